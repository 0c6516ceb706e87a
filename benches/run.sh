#!/usr/bin/env bash
# Builds the program and the floor as released, measures both in one run, and prints a table.
#   benches/run.sh [--old-sessions 1000] [--appends 20] [--starts 5]
# BENCH_PROFILE=dev measures a quick build instead, to see that the measuring works.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${BENCH_PROFILE:-release}
cargo build --quiet --profile "$profile" --example floor
cargo bench --quiet --profile "$profile" --bench daemon -- "$@"
