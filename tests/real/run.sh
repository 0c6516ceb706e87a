#!/usr/bin/env bash
# Checks the program against the real agents: installs them from npm, runs them against a fake model on loopback, and compares
# every figure with what the model handed out.
#
#   tests/real/run.sh [AGENT] [VERSION...] [--months N] [--only SCENARIO] [--keep DIR] [--fixture NAME] [--accept]
#
# It needs npm, Node and Python 3, and tmux for the interactive scenarios; where npm cannot be had it says so and ends with 0.
# README.md beside this script says what is compared and how to read the table.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v python3 >/dev/null || { echo "Python 3 is not installed here: nothing was checked"; exit 0; }
cargo build --quiet
exec python3 tests/real/main.py "$@"
