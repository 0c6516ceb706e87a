#!/usr/bin/env bash
# Builds the program with an application id of a packager's, and looks whether a user needs none any more.
#
#   packaging/check-application-id.sh
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "error: $1" >&2; exit 1; }

ID=123456789012345678
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# as the tests need it, so that little is built again
AGENT_PRESENCE_APPLICATION_ID=$ID cargo test --locked --no-run --test it
program=${CARGO_TARGET_DIR:-.build/target}/debug/agent-presence

# says TEXT COMMAND...: an empty home is not in order otherwise, so the exit code is not looked at
says() {
    local text=$1 said
    shift
    said=$(env -i HOME="$home" XDG_RUNTIME_DIR="$home" TZ=UTC "$program" "$@" 2>&1 </dev/null || true)
    [[ $said == *"$text"* ]] || fail "$* does not say '$text': $said"
}

says "application_id = \"$ID\"" config show
says "$ID (built in)" doctor
says 'the application id is built in' setup
says 'on hover:    Waiting for input' setup
mkdir -p "$home/.config/agent-presence"
printf '[discord]\napplication_id = "876543210987654321"\n' >"$home/.config/agent-presence/config.toml"
says 'application_id = "876543210987654321"' config show
says 'icons = false' config show
echo "ok: with a built-in id nothing has to be asked, and the user's own is stronger"
