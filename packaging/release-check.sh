#!/usr/bin/env bash
# Stops a release whose version, changelog and tag do not agree. Prints what changed in it, for the release's page.
#
#   packaging/release-check.sh TAG
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "error: $1" >&2; exit 1; }

tag=${1:?usage: packaging/release-check.sh TAG}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
locked=$(sed -n '/^name = "agent-presence"$/{n; s/^version = "\(.*\)"/\1/p;}' Cargo.lock)
newest=$(grep -m 1 '^## ' CHANGELOG.md)

[ "$locked" = "$version" ] || fail "Cargo.lock has version $locked, Cargo.toml $version"
[ "$tag" = "v$version" ] || fail "the tag is $tag, the version $version"
[[ $newest =~ ^'## '"$version"' ('[0-9]{4}-[0-9]{2}-[0-9]{2}')'$ ]] ||
    fail "the newest entry of CHANGELOG.md is '${newest#\#\# }', not '$version (YYYY-MM-DD)'"
awk '/^## / { entries++; next } entries == 1' CHANGELOG.md | sed '/./,$!d'
