#!/usr/bin/env bash
# Builds the release into dist/<os>/<arch>/ and writes dist/SHA256SUMS.
#
#   packaging/build.sh [--with cargo|cross] [--twice] [TARGET...]
#
# Without targets it builds this machine's own; on Linux that is the static one (musl), if the toolchain has it. --with cross
# builds in the containers that Cargo.toml pins (needs Docker or Podman). --twice builds each target again from a copy of the
# commit in another folder, and fails unless every byte is the same. README.md beside this script has more.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
exec </dev/null
# shellcheck source=packaging/lib/targets.sh
. packaging/lib/targets.sh

WITH=cargo TWICE=
targets=()
while [ $# -gt 0 ]; do
    case $1 in
    --with)
        WITH=${2:-}
        shift
        ;;
    --twice) TWICE=yes ;;
    -*) fail "unknown option $1" 'packaging/build.sh [--with cargo|cross] [--twice] [TARGET...]' ;;
    *) targets+=("$1") ;;
    esac
    shift
done
case $WITH in cargo | cross) ;; *) fail "unknown builder '$WITH'" '--with cargo or --with cross' ;; esac

own_target() {
    local static=${HOST%-gnu}-musl
    case $HOST in *-linux-gnu) if has_std "$static"; then echo "$static" && return; fi ;; esac
    echo "$HOST"
}
[ ${#targets[@]} -gt 0 ] || targets=("$(own_target)")

# programs TARGET: what is built for it
programs() {
    case $1 in
    *-windows-*) printf '%s\n' agent-presence.exe agent-presencew.exe ;;
    *) echo agent-presence ;;
    esac
}

# native PATH: as rustc writes it; the shell on Windows has forms of its own
native() { if command -v cygpath >/dev/null; then cygpath -w "$1"; else echo "$1"; fi; }

# build TARGET FOLDER OUTPUT: the release of the sources in FOLDER; OUTPUT is cargo's target folder. After `prepare TARGET`.
build() {
    local target=$1 folder=$2 output=$3 cargo=$CARGO features=()
    case $target in *-windows-*) features=(--features windows-launcher) ;; esac
    [ "$WITH" = cargo ] || cargo=cross
    # Nothing of this machine in the programs: neither where they were built nor when. In a container all machines are one.
    if [ "$WITH" = cargo ]; then
        FLAGS+=("--remap-path-prefix=$(native "$folder")=/agent-presence")
        FLAGS+=("--remap-path-prefix=$(native "${CARGO_HOME:-$HOME/.cargo}")=/cargo")
    fi
    (
        cd "$folder"
        SOURCE_DATE_EPOCH=$(git -C "$ROOT" log -1 --format=%ct) CARGO_TARGET_DIR=$output CARGO_INCREMENTAL=0 \
            with_target "$target" "$cargo" build --release --locked --target "$target" ${features[@]+"${features[@]}"}
    )
}

build_twice() {
    local target=$1 copy output=$ROOT/.build/target program
    [ -z "$(git status --porcelain --untracked-files=no)" ] || fail 'could not compare: the work tree differs from its commit'
    copy=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$copy'" EXIT
    git archive HEAD | tar -x -C "$copy"
    say "$target again, in $copy"
    (build "$target" "$copy" "$copy/.build/other")
    for program in $(programs "$target"); do
        cmp "$output/$target/release/$program" "$copy/.build/other/$target/release/$program" ||
            fail "two builds of $program for $target differ"
        say "$program for $target: the same bytes twice"
    done
}

# one TARGET
one() {
    local target=$1 place program
    place=dist/$(os_arch "$target")
    if [ "$WITH" = cross ]; then
        # cross has its own toolchain, in a folder of its own: it may change what rustup has
        command -v cross >/dev/null || fail 'cross is not installed' 'cargo install cross --version 0.2.5 --locked'
        export RUSTUP_HOME=$ROOT/.build/cross-rustup
        CARGO='' LINKER='' RUNNER='' COMPILER='' ARCHIVER='' FLAGS=() SETTINGS=()
    else
        prepare "$target" build
    fi
    say "building for $target"
    (build "$target" "$ROOT" "$ROOT/.build/target")
    [ -z "$TWICE" ] || (build_twice "$target")
    mkdir -p "$place"
    for program in $(programs "$target"); do
        install -m 755 ".build/target/$target/release/$program" "$place/$program"
        ls -l "$place/$program" >&2
    done
}

for target in "${targets[@]}"; do
    # a process of its own each: the tools of one target are not another's
    (one "$target")
done
packaging/sums.sh
