#!/usr/bin/env bash
# Runs the tests as the other systems' programs, as far as one machine can: Windows in Wine, arm64 in qemu, static musl as it
# is; for macOS it compiles, lints and links.
#
#   packaging/check-platforms.sh [--lint] [--at-hand] [TARGET...] [TEST...]
#
# --lint only compiles and lints. --at-hand fetches no tools, and leaves out the targets whose tools are missing. Without
# targets it takes all that are below; `windows`, `arm64`, `musl` and `macos` are short for them. Each TEST is a part of a
# test's name: only those run then, also where they are left out otherwise, and nothing is linted. Output goes to
# .build/platforms/TARGET.log, a line per target to the terminal. README.md beside this script says what it needs, and which
# tests run nowhere but at home.
set -euo pipefail
# What is emulated needs a core for each test at work.
RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(getconf _NPROCESSORS_ONLN)}"
export RUST_TEST_THREADS

ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
exec </dev/null
# shellcheck source=packaging/lib/targets.sh
. packaging/lib/targets.sh

LINT=
targets=() tests=()
for argument; do
    case $argument in
    --lint) LINT=yes ;;
    --at-hand) export PLATFORM_FETCH=no ;;
    -*) fail "unknown option $argument" 'packaging/check-platforms.sh [--lint] [--at-hand] [TARGET...] [TEST...]' ;;
    windows) targets+=(x86_64-pc-windows-gnu) ;;
    arm64) targets+=(aarch64-unknown-linux-gnu) ;;
    musl) targets+=(x86_64-unknown-linux-musl) ;;
    macos) targets+=(aarch64-apple-darwin x86_64-apple-darwin) ;;
    *-*) targets+=("$argument") ;;
    *) tests+=("$argument") ;;
    esac
done
[ ${#targets[@]} -gt 0 ] || targets=(
    x86_64-pc-windows-gnu aarch64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-apple-darwin x86_64-apple-darwin
)
LOGS=.build/platforms
mkdir -p "$LOGS"

# rows WHERE: the tests that README.md says do not run there, one per line: `name` or `module::*`
rows() { sed -nE "s/^\| .* \| $1 \| (\`.*\`) \|$/\1/p" packaging/README.md | tr -d '\`' | tr -s ', ' '\n'; }

# in_rows WHERE: of the names on standard input those that have a row
in_rows() {
    local name row rows
    mapfile -t rows < <(rows "$1")
    while read -r name; do
        for row in ${rows[@]+"${rows[@]}"}; do
            # shellcheck disable=SC2053
            if [[ $name == $row ]]; then
                echo "$name"
                break
            fi
        done
    done
}

names() { sed -n 's/: test$//p' "$1" | sort -u; }

# compare TARGET LIST: LIST has the tests of this system but for those that README.md says are not there, which all exist.
compare() {
    local target=$1 list=$2 system='' emulator='' absent wrong
    case $target in
    *-windows-*) system=windows emulator=wine ;;
    aarch64-*-linux-*) emulator=qemu ;;
    esac
    [ -s "$LOGS/host.list" ] || cargo test --locked -q -- --list >"$LOGS/host.list"
    absent=$(comm -23 <(names "$LOGS/host.list") <(names "$list"))
    wrong=$(
        comm -23 <(echo "$absent") <(in_rows "$system" <<<"$absent") | sed '/./s/^/not there, and README.md does not say why: /'
        names "$list" | in_rows "$system" | sed 's/^/there, and README.md says that it is not: /'
        rows "($system|$emulator)" | while read -r row; do
            grep -q "^${row%\*}" "$LOGS/host.list" "$list" || echo "in README.md, and no test has that name: $row"
        done
    )
    [ -z "$wrong" ] || { echo "$wrong"; return 1; }
    mapfile -t skips < <(names "$list" | in_rows "$emulator" | awk '{ print "--skip"; print }')
}

lint() {
    local target=$1
    if [ "$CARGO" = cargo ]; then set -- cargo clippy; else set -- "${CARGO%/*}/cargo-clippy" clippy; fi
    with_target "$target" "$@" --locked --all-targets --features windows-launcher --target "$target" -- -D warnings
}

run_tests() {
    local target=$1 skips=()
    # with an emulator tests wait longer; in qemu, which is ten times slower, each property is tried on fewer inputs as well,
    # where its test leaves the number open
    [ -z "$RUNNER" ] || export SLOW_MACHINE=yes
    case $RUNNER in */qemu-run) export PROPTEST_CASES=${PROPTEST_CASES:-16} ;; esac
    if [ ${#tests[@]} -gt 0 ]; then
        with_target "$target" "$CARGO" test --locked --no-fail-fast --target "$target" -- "${tests[@]}"
        return
    fi
    with_target "$target" "$CARGO" test --locked --target "$target" -q -- --list >"$LOGS/$target.list"
    compare "$target" "$LOGS/$target.list"
    with_target "$target" "$CARGO" test --locked --no-fail-fast --target "$target" -- --exact ${skips[@]+"${skips[@]}"}
}

check() {
    local target=$1
    if [ -n "$LINT" ]; then
        prepare "$target" lint
        lint "$target"
        return
    fi
    prepare "$target"
    [ ${#tests[@]} -gt 0 ] || lint "$target"
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
    [ "$verdict" = ok ] || grep -E '^(error|test .*FAILED|hint:|not there,|there,|in README)|panicked at' "$log" | head -n 40
done
[ ${#bad[@]} = 0 ] || { printf 'failed: %s; the logs are in %s\n' "${bad[*]}" "$LOGS"; exit 1; }
