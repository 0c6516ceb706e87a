#!/usr/bin/env bash
# Runs the tests as the other systems' programs, as far as one machine can: Windows in Wine, arm64 in qemu, static musl as it
# is; for macOS it compiles, lints and links.
#
#   packaging/check-platforms.sh [--lint] [--at-hand] [TARGET...]
#
# --lint only compiles and lints. --at-hand fetches no tools, and leaves out the targets whose tools are missing. Without
# targets it takes all that are below. Output goes to .build/platforms/TARGET.log, a
# line per target to the terminal. README.md beside this script says what it needs, and which tests run nowhere but at home.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
exec </dev/null
# shellcheck source=packaging/lib/targets.sh
. packaging/lib/targets.sh

LINT=
targets=()
for argument; do
    case $argument in
    --lint) LINT=yes ;;
    --at-hand) export PLATFORM_FETCH=no ;;
    -*) fail "unknown option $argument" 'packaging/check-platforms.sh [--lint] [--at-hand] [TARGET...]' ;;
    *) targets+=("$argument") ;;
    esac
done
[ ${#targets[@]} -gt 0 ] || targets=(
    x86_64-pc-windows-gnu aarch64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-apple-darwin x86_64-apple-darwin
)
LOGS=.build/platforms
mkdir -p "$LOGS"

# missing TARGET: the tests that do not run for it, one per line: `name` or `module::*`
missing() {
    local where='none'
    case $1 in *-windows-*) where='windows|wine' ;; aarch64-*-linux-*) where='qemu' ;; esac
    sed -nE "s/^\| \`([^\`]+)\` \| ($where) \|.*/\1/p" packaging/README.md
}

# as_skips NAME...: for the test harness, which takes each as a part of the name
as_skips() { for name; do printf -- '--skip\n%s\n' "${name%\*}"; done; }

names() { sed -n 's/: test$//p' "$1" | sort -u; }

# compare TARGET LIST: each test of this system is in LIST, or among those that the README says do not run.
compare() {
    local target=$1 list=$2 name pattern left=()
    [ -s "$LOGS/host.list" ] || cargo test --locked -q -- --list >"$LOGS/host.list"
    while read -r name; do
        while read -r pattern; do
            # shellcheck disable=SC2053
            [[ $name != $pattern ]] || continue 2
        done < <(missing "$target")
        left+=("$name")
    done < <(comm -23 <(names "$LOGS/host.list") <(names "$list"))
    [ ${#left[@]} = 0 ] || {
        printf 'not run for %s, and packaging/README.md does not say why: %s\n' "$target" "${left[@]}"
        return 1
    }
}

lint() {
    local target=$1
    if [ "$CARGO" = cargo ]; then set -- cargo clippy; else set -- "${CARGO%/*}/cargo-clippy" clippy; fi
    with_target "$target" "$@" --locked --all-targets --features windows-launcher --target "$target" -- -D warnings
}

run_tests() {
    local target=$1 skips
    mapfile -t skips < <(missing "$target" | while read -r name; do as_skips "$name"; done)
    # qemu is ten times slower: there tests wait longer, and each property is tried on fewer inputs, where its test leaves
    # the number open
    case $RUNNER in */qemu-run) export SLOW_MACHINE=yes PROPTEST_CASES=${PROPTEST_CASES:-16} ;; esac
    with_target "$target" "$CARGO" test --locked --target "$target" -q -- --list >"$LOGS/$target.list"
    compare "$target" "$LOGS/$target.list"
    with_target "$target" "$CARGO" test --locked --no-fail-fast --target "$target" -- ${skips[@]+"${skips[@]}"}
}

check() {
    local target=$1
    if [ -n "$LINT" ]; then
        prepare "$target" lint
        lint "$target"
        return
    fi
    prepare "$target"
    lint "$target"
    case $target in
    *-apple-darwin)
        if [ "${HOST#*-}" = apple-darwin ]; then
            run_tests "$target"
        else
            with_target "$target" "$CARGO" test --locked --target "$target" --no-run
        fi
        ;;
    # linking needs Microsoft's own libraries
    *-windows-msvc) [ "${HOST#*-}" != pc-windows-msvc ] || run_tests "$target" ;;
    *) run_tests "$target" ;;
    esac
}

summary() {
    local log=$1 linted='compiled and linted'
    if ! grep -q '^test result:' "$log"; then
        if grep -q 'Executable ' "$log"; then linted+=', linked'; fi
        echo "$linted"
        return
    fi
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8; left += $12 }
        END { printf "%d passed, %d failed, %d ignored, %d left out (see packaging/README.md)\n", passed, failed, ignored, left }' "$log"
}

rm -f "$LOGS/host.list"
bad=()
for target in "${targets[@]}"; do
    log=$LOGS/$target.log start=$SECONDS verdict=ok code=0
    # a shell of its own each: the tools of one target are not another's, and errors still end it
    set +e
    (set -e; check "$target") >"$log" 2>&1
    code=$?
    set -e
    if [ "$code" = 3 ]; then
        printf '%-28s left out: %s\n' "$target" "$(tail -n 1 "$log")"
        continue
    fi
    [ "$code" = 0 ] || { verdict=FAILED; bad+=("$target"); }
    printf '%-28s %-6s %s (%d s)\n' "$target" "$verdict" "$(summary "$log")" $((SECONDS - start))
    [ "$verdict" = ok ] || grep -E '^(error|test .*FAILED|hint:|not run for)|panicked at' "$log" | head -n 40
done
[ ${#bad[@]} = 0 ] || { printf 'failed: %s; the logs are in %s\n' "${bad[*]}" "$LOGS"; exit 1; }
