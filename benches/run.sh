#!/usr/bin/env bash
# Builds the program and the floor as released, measures them beside each other, and prints a table.
#   benches/run.sh [--quick] [latency|idle|growth|start|counting|single|database|crowd …]
# crowd is measured only when it is named. Everything else takes about nine minutes and 8 GB of disk below TMPDIR, --quick a minute and 1 GB, to see that it works.
# CCUSAGE names ccusage's native binary; without it the package is fetched from npm where there is one.
# BENCH_PROFILE=dev measures a quick build instead.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${BENCH_PROFILE:-release}
cargo build --quiet --profile "$profile" --example floor
rows=" ${*//--quick/} "
if [ -z "${CCUSAGE-}" ] && [[ -z ${rows// } || $rows = *" counting "* ]] && command -v npm >/dev/null; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    machine=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
    package=@ccusage/ccusage-$(uname -s | tr '[:upper:]' '[:lower:]')-$machine
    # Where it cannot be had its rows are left out.
    npm install --silent --no-audit --no-fund --prefix "$folder" "$package@20.0.24" >/dev/null 2>&1 || true
    CCUSAGE=$folder/node_modules/$package/bin/ccusage
    if [ -f "$CCUSAGE" ]; then chmod +x "$CCUSAGE"; else CCUSAGE=; fi
fi
export CCUSAGE=${CCUSAGE-}
cargo bench --quiet --profile "$profile" --bench daemon -- "$@"
