#!/usr/bin/env bash
# Runs a built program as its user would: what a release proves on each system before it is published.
#
#   packaging/try.sh PROGRAM [TARGET]        TARGET: in Wine or qemu, where this machine cannot run it as it is
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=packaging/lib/targets.sh
. "$ROOT/packaging/lib/targets.sh"

program=$(realpath "${1:?usage: packaging/try.sh PROGRAM [TARGET]}")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1)
runner=() drive=
if [ $# -gt 1 ]; then
    prepare "$2"
    [ -z "$RUNNER" ] || runner=("$RUNNER")
    # Wine's name for the root folder
    case $RUNNER in *wine*) drive=Z: ;; esac
fi
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# No Discord, no session and no setting of the user who runs this.
export HOME=$home XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR=$home AGENT_PRESENCE_STATE_DIR=$drive$home/state
export AGENT_PRESENCE_CONFIG=$drive$home/config.toml CODEX_HOME=$drive$home/codex CLAUDE_CONFIG_DIR=$drive$home/claude
unset AGENT_PRESENCE_APPLICATION_ID RUST_LOG

# try EXIT_CODE ARGUMENT...: sets `said`
try() {
    local code=0 expected=$1
    shift
    said=$(${runner[@]+"${runner[@]}"} "$program" "$@" 2>"$home/said" </dev/null | tr -d '\r') || code=$?
    [ "$code" = "$expected" ] || fail "$*: exit code $code; it says: $said $(cat "$home/said")"
    printf '%s: exit code %s, %s lines\n' "$*" "$code" "$(wc -l <<<"$said")"
}
says() { for part; do [[ $said == *"$part"* ]] || fail "'$part' is missing in: $said"; done; }
says_json() { if command -v python3 >/dev/null; then python3 -c 'import json, sys; json.load(sys.stdin)' <<<"$said"; fi; }

try 0 --version
[ "$said" = "agent-presence $version" ] || fail "--version says: $said"
try 0 run --demo
says 'Waiting for input' ' left ' ' tokens'
try 0 status --json
says '"schema": 1'
says_json
# An empty home is not in order: no application id, no session. It has to say so.
try 1 doctor --json
says_json
try 2 status --nonsense

case $program in *.exe)
    # 3: has a console, so shells wait for it; 2: has none, so login shows no window
    for expected in agent-presence.exe:3 agent-presencew.exe:2; do
        file=$(dirname "$program")/${expected%:*}
        [ -f "$file" ] || fail "$file is missing"
        header=$(od -An -tu4 -j 60 -N 4 "$file" | tr -d ' ')
        kind=$(od -An -tu2 -j $((header + 92)) -N 2 "$file" | tr -d ' ')
        [ "$kind" = "${expected#*:}" ] || fail "$file is of subsystem $kind"
        echo "${expected%:*}: subsystem $kind"
    done ;;
esac
