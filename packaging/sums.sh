#!/usr/bin/env bash
# Writes dist/SHA256SUMS: one line per file below dist, with its path there.
#
#   packaging/sums.sh [--check]
#
# --check compares instead, and fails when a file differs, is missing or is not listed.
set -euo pipefail
cd "$(dirname "$0")/../dist"

if command -v sha256sum >/dev/null; then sums=(sha256sum); else sums=(shasum -a 256); fi
files() { find . -type f ! -path ./SHA256SUMS ! -path ./README.md | sed 's|^\./||' | LC_ALL=C sort; }
# Windows' own sha256sum marks binary files with a star, which others don't
list() { files | while read -r file; do "${sums[@]}" "$file" | sed 's/ \*/  /'; done; }

if [ "${1:-}" = --check ]; then
    "${sums[@]}" --check --quiet SHA256SUMS
    [ "$(cut -d ' ' -f 3- SHA256SUMS)" = "$(files)" ] || { echo 'error: dist has files that SHA256SUMS does not list' >&2; exit 1; }
    echo "$(files | wc -l) files, as SHA256SUMS says"
else
    list >SHA256SUMS
fi
