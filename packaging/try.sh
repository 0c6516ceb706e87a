#!/usr/bin/env bash
# Runs a built program as its user would, on the system that it is for: what a release proves before it is published.
#
#   packaging/try.sh PROGRAM [RUNNER]        RUNNER: what runs it here, such as an emulator
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
fail() { echo "error: $1" >&2; exit 1; }

program=${1:?usage: packaging/try.sh PROGRAM [RUNNER]}
runner=("${@:2}")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# No Discord, no session and no setting of whoever runs this.
export HOME=$home XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR=$home AGENT_PRESENCE_STATE_DIR=$home/state
export AGENT_PRESENCE_CONFIG=$home/config.toml CODEX_HOME=$home/codex CLAUDE_CONFIG_DIR=$home/claude
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
