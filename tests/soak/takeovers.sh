#!/usr/bin/env bash
# A thousand daemons, each taking over from the one before; then what is left of them.
#
#   tests/soak/takeovers.sh [COUNT] [PROGRAM]
#
# Prints the times of the takeovers and what is left: one process, one lock, no temporary file, a state folder that
# has not grown with the count. Exits 1 if that is not so.
set -euo pipefail
cd "$(dirname "$0")/../.."
count=${1:-1000}
program=$(realpath "${2:-.build/target/debug/agent-presence}")

root=$(mktemp -d)
mkdir "$root/home" "$root/run"
state=$root/state
cat > "$root/config.toml" <<TOML
[discord]
application_id = "1234567890123456789"
clients = ["$root/run/discord-ipc-0"]
TOML
presence=(
  env -i HOME="$root/home" XDG_RUNTIME_DIR="$root/run" AGENT_PRESENCE_CONFIG="$root/config.toml"
  AGENT_PRESENCE_STATE_DIR="$state" CODEX_HOME="$root/home/.codex" RUST_LOG=warn "$program"
)
pid_of_daemon() { sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$state/instance.json"; }
folder_size() { find "$state" -type f ! -name '*.log' -printf '%s\n' | awk '{sum += $1} END {print sum + 0}'; }
# The processes of this state folder, by the environment that they were started with.
daemons() { { grep -lsaxz "AGENT_PRESENCE_STATE_DIR=$state" /proc/[0-9]*/environ || true; } | wc -l; }
finish() { "${presence[@]}" stop || true; rm -rf "$root"; }
trap finish EXIT

slowest=0 failed=0 previous=
for ((number = 0; number <= count; number++)); do
  start=$(date +%s%N)
  "${presence[@]}" run -q 2>> "$root/errors" &
  daemon=$!
  until [ "$(pid_of_daemon 2> /dev/null)" = "$daemon" ]; do
    kill -0 "$daemon" 2> /dev/null || { wait "$daemon" || true; break; }
    sleep 0.005
  done
  took=$((($(date +%s%N) - start) / 1000000))
  if [ -n "$previous" ]; then
    wait "$previous" || failed=$((failed + 1))
    [ "$took" -le "$slowest" ] || slowest=$took
  else
    before=$(folder_size)
  fi
  previous=$daemon
done

left=$(daemons)
locks=$(find "$state" -name '*.lock' | wc -l)
temporary=$(find "$state" -name '*.tmp' | wc -l)
after=$(folder_size)
echo "takeovers:        $count, slowest $slowest ms, $failed failed"
echo "processes left:   $left"
echo "locks:            $locks"
echo "temporary files:  $temporary"
echo "state folder:     $before bytes before, $after after, without logs; $(find "$state" | wc -l) entries"
find "$state" -mindepth 1 -printf '                  %f %s\n' | sort
[ ! -s "$root/errors" ] || { echo "said:"; sort "$root/errors" | uniq -c | head; }
[ "$failed" = 0 ] && [ "$left" = 1 ] && [ "$locks" = 1 ] && [ "$temporary" = 0 ] && [ $((after - before)) -lt 64 ]
