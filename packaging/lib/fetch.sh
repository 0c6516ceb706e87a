# shellcheck shell=bash
# Fetching what this machine lacks to build for other systems and to run their programs. Sourced by targets.sh.
#
# Everything goes into $TOOLS and stays there; nothing is installed, and neither apt's nor rustup's state changes.
# Debian packages come from the mirror that this machine's apt already uses, verified by apt; zig comes from PyPI.

say() { printf '==> %s\n' "$*" >&2; }

# fail MESSAGE [HINT]
fail() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

# may_fetch WHAT: ends with exit code 3 where only what is at hand is to be used
may_fetch() {
    [ "${PLATFORM_FETCH:-yes}" = yes ] || { echo "not at hand: $1"; exit 3; }
}

# once NAME BUILDER [ARGUMENT...]: the folder $TOOLS/NAME, made by BUILDER; half a folder never counts.
once() {
    local folder=$TOOLS/$1 builder=$2
    shift 2
    [ ! -e "$folder/.complete" ] || return 0
    may_fetch "$(basename "$folder")"
    say "fetching $(basename "$folder") into $TOOLS"
    rm -rf "$folder" "$folder.part"
    mkdir -p "$folder.part"
    "$builder" "$folder.part" "$@"
    touch "$folder.part/.complete"
    mv "$folder.part" "$folder"
}

# ---- Debian packages

debian_mirror() {
    command -v apt-get >/dev/null || return 1
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/*$' | sort -u | head -n 1
}

# debian_folder FOLDER ARCH SUITE: an apt of its own, to which nothing is installed.
debian_folder() {
    local folder=$1 arch=$2 suite=$3 mirror
    mirror=$(debian_mirror) || mirror=
    [ -n "$mirror" ] || return 1
    mkdir -p "$folder"/etc/{apt.conf.d,preferences.d,sources.list.d,trusted.gpg.d} \
        "$folder"/state/lists/partial "$folder"/cache/archives/partial
    : >"$folder/state/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$folder/etc/sources.list"
    {
        printf '%s\n' "Dir::Etc \"$folder/etc\";" "Dir::State \"$folder/state\";" "Dir::Cache \"$folder/cache\";" \
            "Dir::State::status \"$folder/state/status\";" "APT::Architecture \"$arch\";" "APT::Architectures { \"$arch\"; };" \
            'APT::Sandbox::User "";' 'APT::Install-Recommends "false";' 'Acquire::Languages "none";' 'Acquire::Retries "3";' \
            'Acquire::Check-Valid-Until "false";'
        # the way to the mirror: proxies and the like
        apt-config dump | grep -E '^Acquire::(http|https)::' || true
    } >"$folder/apt.conf"
    APT_CONFIG=$folder/apt.conf apt-get -qq update
}

unpack() { dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner; }

# packages_alone FOLDER ARCH SUITE PACKAGE...
packages_alone() {
    local folder=$1 apt=$1.apt arch=$2 suite=$3 package
    shift 3
    debian_folder "$apt" "$arch" "$suite"
    (cd "$apt" && APT_CONFIG=$apt/apt.conf apt-get -qq download "$@" >/dev/null)
    for package in "$apt"/*.deb; do unpack "$package" "$folder"; done
    rm -rf "$apt"
}

# packages_with_all_they_need FOLDER ARCH SUITE PACKAGE...: a small root; no package's own scripts run.
packages_with_all_they_need() {
    local folder=$1 apt=$1.apt arch=$2 suite=$3 package
    shift 3
    debian_folder "$apt" "$arch" "$suite"
    APT_CONFIG=$apt/apt.conf apt-get -qq -y --download-only install "$@" >/dev/null
    # base-files first: it brings the links from /lib to /usr/lib
    for package in "$apt"/cache/archives/base-files_*.deb "$apt"/cache/archives/*.deb; do unpack "$package" "$folder"; done
    rm -rf "$apt"
}

# ---- tools

fetch_zig() { python3 -m pip -q install --no-compile --target "$1" "$ZIG" "$ZIGBUILD"; }

# Of this machine's own release, so that its programs run here.
fetch_mingw() {
    # shellcheck disable=SC1091
    packages_alone "$1" "$(dpkg --print-architecture)" "$(. /etc/os-release && echo "$VERSION_CODENAME")" \
        binutils-mingw-w64-x86-64 gcc-mingw-w64-x86-64-win32 gcc-mingw-w64-x86-64-win32-runtime \
        mingw-w64-x86-64-dev mingw-w64-common
    ln -s x86_64-w64-mingw32-gcc-win32 "$1/usr/bin/x86_64-w64-mingw32-gcc"
    # headers are there as well
    find "${1:?}/usr/share" -mindepth 1 -maxdepth 1 ! -name mingw-w64 -exec rm -rf {} +
}

# Wine 10: the standard library imports bcryptprimitives.dll, which Wine 8 does not have.
fetch_wine() {
    packages_with_all_they_need "$1" amd64 trixie base-files libc-bin bash coreutils wine64 libwine
    local programs=$1/usr/lib/x86_64-linux-gnu/wine/x86_64-windows zlib=$1/usr/x86_64-w64-mingw32/lib/zlib1.dll
    # the only thing that matters of what the packages' own scripts would do: mark this library as Wine's
    { head -c 64 "$zlib"; printf 'Wine builtin DLL'; head -c 16 /dev/zero; tail -c +97 "$zlib"; } >"$programs/zlib1.dll"
    rm -rf "$1"/usr/share/{doc,locale,man} "$1/usr/lib/i386-linux-gnu"
    mkdir -p "$1"/{proc,dev,sys,tmp,root}
}

fetch_qemu() {
    packages_alone "$1" amd64 trixie qemu-user
    find "$1/usr/bin" -mindepth 1 ! -name qemu-aarch64 -delete
    rm -rf "${1:?}/usr/share"
    mkdir -p "$1/arm64"
    packages_alone "$1/arm64" arm64 trixie base-files libc6 libgcc-s1
}

# ---- the standard library of a target that the installed toolchain does not have

# fetch_toolchain FOLDER: a copy of the installed one, with the sources of its own standard library.
fetch_toolchain() {
    local folder=$1 sysroot version suite found
    sysroot=$(rustc --print sysroot)
    version=$(rustc -vV | sed -n 's/^release: //p')
    cp -a --reflink=auto "$sysroot"/{bin,lib} "$folder/"
    # what rustup writes there would make the copy look like its own
    rm -f "$folder"/lib/rustlib/{components,multirust-*,manifest-*,rust-installer-version}
    [ ! -d "$folder/lib/rustlib/src/rust/library" ] || return 0
    for suite in trixie-backports forky sid experimental; do
        rm -rf "$folder.apt"
        debian_folder "$folder.apt" amd64 "$suite" || continue
        found=$(APT_CONFIG=$folder.apt/apt.conf apt-cache madison rust-src | awk '{print $3}' | grep -m 1 "^$version+") && break
    done
    [ -n "${found:-}" ] || fail "could not find the sources of Rust $version's standard library" "rustup component add rust-src"
    (cd "$folder.apt" && APT_CONFIG=$folder.apt/apt.conf apt-get -qq download "rust-src=$found" >/dev/null)
    mkdir -p "$folder/lib/rustlib/src/rust"
    dpkg-deb --fsys-tarfile "$folder.apt"/rust-src_*.deb |
        tar -x --no-same-owner -C "$folder/lib/rustlib/src/rust" --strip-components=4 "./usr/src/rustc-$version/library"
    rm -rf "$folder.apt"
}

has_built_std() { ls "$1/lib/rustlib/$2/lib"/libstd-*.rlib >/dev/null 2>&1; }

# build_std TOOLCHAIN TARGET: builds it, and puts it where `rustup target add` would have.
build_std() {
    local toolchain=$1 target=$2 place=$1/lib/rustlib/$2/lib work=$TOOLS/std-$2 object commit flags
    may_fetch "the standard library for $target"
    say "building the standard library for $target"
    commit=$("$toolchain/bin/rustc" -vV | sed -n 's/^commit-hash: //p')
    rm -rf "$work" "$place.part"
    mkdir -p "$work/src" "$place.part"
    echo '#![no_std]' >"$work/src/lib.rs"
    printf '%s\n' 'cargo-features = ["profile-rustflags"]' '[package]' 'name = "sysroot-of"' 'edition = "2021"' '[workspace]' \
        '[profile.release.package.panic_abort]' 'rustflags = ["-Cpanic=abort", "-Cembed-bitcode=yes"]' >"$work/Cargo.toml"
    # as in the standard libraries that rustup brings: with bitcode for LTO, and without the paths of this machine
    flags="-Cembed-bitcode=yes --remap-path-prefix=$toolchain/lib/rustlib/src/rust=/rustc/$commit"
    flags+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    (cd "$work" && env -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET -u CARGO_TARGET_DIR \
        RUSTC="$toolchain/bin/rustc" RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0 RUSTFLAGS="$flags" \
        "$toolchain/bin/cargo" build -q --release --target "$target" --target-dir target \
        -Zbuild-std=std,panic_unwind,panic_abort,proc_macro,test -Zbuild-std-features=panic-unwind,backtrace)
    cp "$work/target/$target/release/deps"/lib*.rlib "$place.part/"
    rm -f "$place.part"/libsysroot_of-*
    case $target in *-windows-gnu)
        # start-up objects, which rustup brings and cargo does not build
        for object in rsbegin rsend; do
            RUSTC_BOOTSTRAP=1 "$toolchain/bin/rustc" --target "$target" -L "$place.part" --emit=obj -O \
                -o "$place.part/$object.o" "$toolchain/lib/rustlib/src/rust/library/rtstartup/$object.rs"
        done ;;
    esac
    rm -rf "$place" "$work"
    mv "$place.part" "$place"
}
