#!/usr/bin/env bash
# All fuzz targets, one after the other, for so many seconds each (600 unless told), then what each has executed.
# Other targets than all of them: fuzz/run.sh 60 engine control
#
# It needs a nightly compiler and cargo-fuzz. The project has no `unsafe`, so no sanitizer is needed; without one the
# same time holds several times as many executions. What is found lies in fuzz/artifacts and ends the run with an error.
set -uo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
shift || true
for tool in "cargo +nightly" cargo-fuzz; do
    if ! $tool --version >/dev/null 2>&1; then
        echo "could not start: \`$tool\` is not installed (see fuzz/README.md)" >&2
        exit 1
    fi
done
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list)
fi

out=fuzz/target/runs
mkdir -p "$out"
failed=0
for target in "${targets[@]}"; do
    mkdir -p "$out/$target" "fuzz/artifacts/$target"
    # What a run finds beyond the seeds is kept beside the build, so that the next one begins where this one ended.
    if ! cargo +nightly fuzz run --sanitizer none --target-dir fuzz/target "$target" "$out/$target" "fuzz/corpus/$target" -- \
        "-max_total_time=$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 >"$out/$target.log" 2>&1; then
        failed=1
        printf '%-14s FAILED, see %s\n' "$target" "$out/$target.log"
        grep -a -m1 -A2 'panicked at' "$out/$target.log" | cut -c 1-300
        continue
    fi
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target.log")
    memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$out/$target.log")
    printf '%-14s %10s executions in %s s, at most %s MB\n' "$target" "$executed" "$seconds" "$memory"
done
exit "$failed"
