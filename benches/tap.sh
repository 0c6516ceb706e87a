#!/usr/bin/env bash
# What `tap` adds to `cat`: both copy the same gigabyte of an agent's output out of a pipe, in turns, and the fastest of
# each counts. The bytes are compared as well. No daemon is running: the state folder is empty.
#   benches/tap.sh [--rounds 9] [--megabytes 1024]
# BENCH_PROFILE=dev measures a quick build instead, to see that the measuring works.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=9
megabytes=1024
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2 ;;
    --megabytes) megabytes=$2 ;;
    *) echo "usage: benches/tap.sh [--rounds N] [--megabytes N]" >&2 && exit 2 ;;
    esac
    shift 2
done
profile=${BENCH_PROFILE:-release}
cargo build --quiet --profile "$profile" --bin agent-presence
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export AGENT_PRESENCE_STATE_DIR=$folder/state
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
tap=$target/${profile/#dev/debug}/agent-presence

# Repeats an agent's run: what its commands print is most of it, as in real ones.
filler() { head -c "$1" /dev/zero | tr '\0' x; }
codex_run() {
    echo '{"type":"thread.started","thread_id":"01a0d000-0000-7000-8000-000000000001"}'
    echo '{"type":"turn.started"}'
    for item in 0 1 2 3 4 5 6 7; do
        echo '{"type":"item.started","item":{"id":"item_'$item'","type":"command_execution","command":"cargo test","aggregated_output":"","exit_code":null,"status":"in_progress"}}'
        echo '{"type":"item.completed","item":{"id":"item_'$item'","type":"command_execution","command":"cargo test","aggregated_output":"'"$(filler 4000)"'","exit_code":0,"status":"completed"}}'
    done
    echo '{"type":"item.completed","item":{"id":"item_8","type":"agent_message","text":"'"$(filler 600)"'"}}'
    echo '{"type":"turn.completed","usage":{"input_tokens":24763,"cached_input_tokens":24448,"output_tokens":122,"reasoning_output_tokens":0}}'
}
claude_run() {
    local same='"parent_tool_use_id":null,"session_id":"11111111-1111-4111-8111-111111111111","uuid":"22222222-2222-4222-8222-222222222222"}'
    local usage='"usage":{"input_tokens":3,"cache_creation_input_tokens":1200,"cache_read_input_tokens":15000,"output_tokens":187}}'
    echo '{"type":"system","subtype":"init","cwd":"/home/you/app","model":"claude-opus-5","tools":["Bash"],'"$same"
    for call in 0 1 2 3 4 5 6 7; do
        echo '{"type":"assistant","message":{"id":"msg_'$call'","type":"message","role":"assistant","model":"claude-opus-5","content":[{"type":"tool_use","id":"toolu_'$call'","name":"Bash","input":{"command":"cargo test"}}],"stop_reason":null,'"$usage,$same"
        echo '{"type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_'$call'","type":"tool_result","content":"'"$(filler 4000)"'"}]},'"$same"
    done
    echo '{"type":"result","subtype":"success","is_error":false,"num_turns":8,"result":"'"$(filler 600)"'",'"${usage%\}},"'"session_id":"11111111-1111-4111-8111-111111111111"}'
}

milliseconds() {
    local from to
    from=$(date +%s%N)
    "$@"
    to=$(date +%s%N)
    echo $(((to - from) / 1000000))
}
through_cat() { cat "$folder/stream" | cat >/dev/null; }
through_tap() { cat "$folder/stream" | "$tap" tap -q >/dev/null; }

for agent in codex claude; do
    "${agent}_run" >"$folder/run"
    size=$(wc -c <"$folder/run")
    # A megabyte or so at once, so that making it takes no longer than measuring.
    for _ in $(seq $((1048576 / size + 1))); do cat "$folder/run"; done >"$folder/block"
    block=$(wc -c <"$folder/block")
    for _ in $(seq $((megabytes * 1048576 / block + 1))); do cat "$folder/block"; done >"$folder/stream"
    cat "$folder/stream" | "$tap" tap -q | cmp - "$folder/stream"
    best_cat= best_tap=
    for _ in $(seq "$rounds"); do
        now=$(milliseconds through_cat)
        best_cat=$((best_cat == 0 || now < best_cat ? now : best_cat))
        now=$(milliseconds through_tap)
        best_tap=$((best_tap == 0 || now < best_tap ? now : best_tap))
    done
    bytes=$(wc -c <"$folder/stream")
    printf '%-6s %5d MB  cat %4d ms  tap %4d ms  ratio %s  bytes identical\n' "$agent" $((bytes / 1048576)) \
        "$best_cat" "$best_tap" "$(awk "BEGIN { printf \"%.3f\", $best_tap / $best_cat }")"
done
