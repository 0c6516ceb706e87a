#!/bin/sh
# The median, in milliseconds, of 50 runs of `agent-presence statusline` on the documented input of Claude Code 2.1.240.
# Claude Code kills the command when it has something newer to say, so it has to be quick.
# usage: benches/statusline.sh [PROGRAM]     (a release build is what counts; the default is a debug build)
set -eu
cd "$(dirname "$0")/.."
program=${1:-.build/target/debug/agent-presence}
input=tests/fixtures/claude-statusline/2.1.240.json
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
export AGENT_PRESENCE_STATE_DIR="$state" HOME="$state" CLAUDE_CONFIG_DIR="$state"
for run in $(seq 50); do
    from=$(date +%s%N)
    "$program" statusline <"$input" >"$state/line" || { echo "run $run ended with $?" >&2; exit 1; }
    to=$(date +%s%N)
    echo $(((to - from) / 1000))
done | sort -n | awk '{ all[NR] = $1 } END { printf "median %.1f ms, slowest %.1f ms of %d runs\n", all[int((NR + 1) / 2)] / 1000, all[NR] / 1000, NR }'
cat "$state/line"
