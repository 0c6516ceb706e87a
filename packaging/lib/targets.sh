# shellcheck shell=bash
# What each target needs on this machine: a toolchain, a linker, something to run its programs. Sourced by build.sh and
# check-platforms.sh.
#
# What is installed is used: a target of the toolchain (`rustup target add`), mingw, Wine, qemu. Only what is missing is
# fetched, on Debian, into $PLATFORM_TOOLS (default: ~/.cache/agent-presence-tools); elsewhere it is named.

# shellcheck source-path=SCRIPTDIR source=fetch.sh
. "${BASH_SOURCE[0]%/*}/fetch.sh"

TOOLS=${PLATFORM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/agent-presence-tools}
ZIG='ziglang==0.17.0' ZIGBUILD='cargo-zigbuild==0.24.0'
HOST=$(rustc -vV | sed -n 's/^host: //p')

# os_arch TARGET: the folder below dist
os_arch() {
    local os arch
    case $1 in
    *-linux-*) os=linux ;;
    *-apple-darwin) os=macos ;;
    *-windows-*) os=windows ;;
    *) fail "unknown target $1" ;;
    esac
    case $1 in
    x86_64-*) arch=x64 ;;
    aarch64-*) arch=arm64 ;;
    *) fail "unknown target $1" ;;
    esac
    echo "$os/$arch"
}

has_std() { ls "$(rustc --print target-libdir --target "$1")"/libstd-*.rlib >/dev/null 2>&1; }

# same_machine TARGET: whether its programs run here as they are
same_machine() {
    case $HOST:$1 in
    "$1:$1") return 0 ;;
    *-windows-*:*-windows-* | *-linux-*:*-linux-*) [ "${HOST%%-*}" = "${1%%-*}" ] ;;
    *-apple-darwin:x86_64-apple-darwin) return 0 ;;
    *) return 1 ;;
    esac
}

needs_debian() {
    may_fetch "$1"
    [ -n "$(debian_mirror)" ] || fail "$1 is not installed, and can be fetched on Debian only" "$2"
}

# ---- linkers

mingw() {
    if command -v x86_64-w64-mingw32-gcc >/dev/null; then return; fi
    [ -d "$TOOLS/mingw" ] || needs_debian mingw 'install gcc-mingw-w64-x86-64'
    once mingw fetch_mingw
    PATH=$TOOLS/mingw/usr/bin:$PATH
}

# zig_tool NAME ARGUMENT...: the program $TOOLS/bin/NAME, which is cargo-zigbuild's `zig ARGUMENT...`
zig_tool() {
    local program=$TOOLS/bin/$1
    shift
    mkdir -p "$TOOLS/bin"
    cat >"$program.part" <<END
#!/bin/sh
export CARGO_ZIGBUILD_ZIG_PATH='$TOOLS/zig/ziglang/zig' CARGO_ZIGBUILD_CACHE_DIR='$TOOLS/zig-cache'
export ZIG_GLOBAL_CACHE_DIR='$TOOLS/zig-cache' ZIG_LOCAL_CACHE_DIR='$TOOLS/zig-cache'
exec '$TOOLS/zig/bin/cargo-zigbuild' zig $* "\$@"
END
    chmod +x "$program.part"
    mv "$program.part" "$program"
}

# zig_cc TARGET ZIG_TARGET: a C compiler, which can take the linker's place as well; cargo-zigbuild drops the flags that zig
# does not take.
zig_cc() {
    command -v python3 >/dev/null || fail "python3 is not installed: zig is fetched with its pip"
    once zig fetch_zig
    zig_tool "cc-$1" cc -- -g -fno-sanitize=all -target "$2"
    zig_tool ar ar --
    COMPILER=$TOOLS/bin/cc-$1 ARCHIVER=$TOOLS/bin/ar
}

# Stubs of Apple's frameworks, from the names in the locked bindings: the link is checked without a file of Apple's.
apple_stubs() {
    mkdir -p "$TOOLS/apple/System/Library/Frameworks" "$TOOLS/apple/usr/lib"
    "$CARGO" metadata --format-version 1 --locked --filter-platform "$1" |
        python3 "$ROOT/packaging/lib/apple-stubs.py" "$TOOLS/apple/System/Library/Frameworks"
}

# ---- runners

wine_runner() {
    if command -v wine >/dev/null; then
        RUNNER=wine
        return
    fi
    [ -d "$TOOLS/wine" ] || needs_debian Wine 'install Wine 10 or newer'
    once wine fetch_wine
    RUNNER=$ROOT/packaging/lib/wine-run
    export PLATFORM_WINE=$TOOLS/wine PLATFORM_WINE_PREFIX=$TOOLS/wine-prefix
    [ -e "$TOOLS/wine-prefix/.complete" ] && return
    rm -rf "$TOOLS/wine-prefix"
    mkdir -p "$TOOLS/wine-prefix"
    "$RUNNER" wineboot -i >/dev/null 2>&1
    "$RUNNER" cmd /c ver | grep -q Windows || fail 'could not start Wine'
    touch "$TOOLS/wine-prefix/.complete"
}

qemu_runner() {
    RUNNER=$ROOT/packaging/lib/qemu-run
    if command -v qemu-aarch64 >/dev/null && [ -n "${QEMU_LD_PREFIX:-}" ]; then
        PLATFORM_QEMU=$(command -v qemu-aarch64)
    else
        [ -d "$TOOLS/qemu" ] || needs_debian qemu-aarch64 'install qemu-user, and set QEMU_LD_PREFIX to a folder with the C library for arm64'
        once qemu fetch_qemu
        PLATFORM_QEMU=$TOOLS/qemu/usr/bin/qemu-aarch64
        export QEMU_LD_PREFIX=$TOOLS/qemu/arm64
    fi
    export PLATFORM_QEMU
}

# ---- all of it

# prepare TARGET [lint|build]: sets CARGO, LINKER, RUNNER, COMPILER and ARCHIVER for C, FLAGS for rustc and SETTINGS, more of
# the environment; empty where cargo's own choice is right. `lint` is for what links nothing, `build` for what runs nothing.
prepare() {
    local target=$1 own_std=
    CARGO=cargo LINKER='' RUNNER='' COMPILER='' ARCHIVER='' FLAGS=() SETTINGS=()
    unset SDKROOT
    if ! has_std "$target"; then
        [ -d "$TOOLS" ] || may_fetch "the standard library for $target"
        command -v apt-get >/dev/null || fail "the Rust toolchain has no standard library for $target" "rustup target add $target"
        own_std=$TOOLS/toolchain-$(rustc -vV | cksum | cut -d ' ' -f 1)
        once "$(basename "$own_std")" fetch_toolchain
        if ! has_built_std "$own_std" "$target"; then
            [ "$target" != x86_64-pc-windows-gnu ] || mingw
            build_std "$own_std" "$target"
        fi
        CARGO=$own_std/bin/cargo
        export RUSTC=$own_std/bin/rustc PATH=$own_std/bin:$PATH
    fi
    if [ "${2:-}" = lint ]; then
        # what is not linked needs no C compiler: SQLite is taken for a library of the system, wherever that is
        SETTINGS+=(LIBSQLITE3_SYS_USE_PKG_CONFIG=1 SQLITE3_LIB_DIR=/)
        return
    fi
    case $target in
    x86_64-pc-windows-gnu)
        mingw
        LINKER=x86_64-w64-mingw32-gcc
        # no time of the build in the program
        FLAGS+=("-Clink-arg=-Wl,--no-insert-timestamp")
        [ "${2:-}" = build ] || same_machine "$target" || wine_runner
        ;;
    *-windows-msvc) FLAGS+=(-Clink-arg=/Brepro -Ctarget-feature=+crt-static) ;;
    *-apple-darwin)
        case $HOST in *-apple-darwin) return ;; esac
        zig_cc "$target" "$([ "${target%%-*}" = x86_64 ] && echo x86_64 || echo aarch64)-macos-none"
        LINKER=$COMPILER
        apple_stubs "$target"
        FLAGS+=("-Clink-arg=-F$TOOLS/apple/System/Library/Frameworks")
        # or rustc asks Xcode
        export SDKROOT=$TOOLS/apple
        ;;
    *-linux-gnu)
        if [ "$HOST" != "$target" ]; then
            zig_cc "$target" "${target%%-*}-linux-gnu.2.31"
            LINKER=$COMPILER
        fi
        ;;
    *-linux-musl)
        if [ -z "$own_std" ] && same_machine "$target" && command -v musl-gcc >/dev/null; then
            COMPILER=musl-gcc
        elif [ "$HOST" != "$target" ]; then
            zig_cc "$target" "${target%%-*}-linux-musl"
        fi
        if [ -n "$own_std" ]; then
            # rustup's comes with the C library and its start-up objects, ours without: zig has them
            LINKER=$COMPILER
            FLAGS+=(-Clink-self-contained=no)
        elif ! same_machine "$target"; then
            LINKER=rust-lld
        fi
        ;;
    esac
    case $target in aarch64-unknown-linux-*)
        [ "${2:-}" = build ] || same_machine "$target" || qemu_runner ;;
    esac
    case $RUNNER:$target in */qemu-run:*-gnu)
        # by name, because what a test starts gets no environment from which qemu could know where they are
        FLAGS+=("-Clink-arg=-Wl,-dynamic-linker,$QEMU_LD_PREFIX/lib/ld-linux-aarch64.so.1")
        FLAGS+=("-Clink-arg=-Wl,-rpath,$QEMU_LD_PREFIX/lib/aarch64-linux-gnu") ;;
    esac
}

# with_target TARGET COMMAND...: COMMAND, with the environment that cargo needs for TARGET. After `prepare TARGET`.
with_target() {
    local key variables=(${SETTINGS[@]+"${SETTINGS[@]}"})
    key=CARGO_TARGET_$(printf %s "$1" | tr 'a-z-' 'A-Z_')
    [ -z "$COMPILER" ] || variables+=("CC_${1//-/_}=$COMPILER")
    [ -z "$ARCHIVER" ] || variables+=("AR_${1//-/_}=$ARCHIVER")
    [ -z "$LINKER" ] || variables+=("${key}_LINKER=$LINKER")
    [ -z "$RUNNER" ] || variables+=("${key}_RUNNER=$RUNNER")
    [ ${#FLAGS[@]} = 0 ] || variables+=("${key}_RUSTFLAGS=${FLAGS[*]}")
    shift
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS ${variables[@]+"${variables[@]}"} "$@"
}
