#!/usr/bin/env bash
# Makes packages of what is in dist: a Debian package, an RPM and a tarball for Linux, a tarball for macOS, a zip for Windows, a
# tarball of the sources, the installers. They go to dist/packages; what the other channels need, to dist/channels. All of it is in
# dist/SHA256SUMS.
#
#   packaging/package.sh [--url URL] [--all]
#
# URL is where the files will be, for a trial; --all fails where anything of a release is missing. Needs a built program that runs
# here, which writes the manual and the completions; python3 (3.11 or newer); dpkg-deb and rpmbuild for their packages.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"

fail() { echo "error: $1" >&2; exit 1; }

VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Packages of one commit are the same bytes, whenever they are made.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
OUT=dist/packages
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
rm -rf "$OUT"
mkdir -p "$OUT" "$WORK/texts"

text() { python3 packaging/generate.py --text "$@"; }

# any of them: the texts are the same everywhere
runs_here() {
    local program
    for program in dist/linux/x64 dist/linux/arm64 dist/macos/arm64 dist/macos/x64; do
        program=$program/agent-presence
        if [ -x "$program" ] && "$program" --version >/dev/null 2>&1; then echo "$program" && return; fi
    done
    fail 'no program in dist runs here: it writes the manual and the completions'
}

write_texts() {
    local program shell
    program=$(runs_here)
    [ "$("$program" --version)" = "agent-presence $VERSION" ] || fail "$program is not version $VERSION: build it first"
    "$program" man >"$WORK/texts/agent-presence.1"
    for shell in bash zsh fish powershell elvish; do "$program" completions "$shell" >"$WORK/texts/$shell"; done
}

# put FILE PLACE [MODE]
put() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2"
    chmod "${3:-644}" "$2"
}

# archive OS ARCH: everything in one folder, which is the archive's only entry
archive() {
    local os=$1 arch=$2 name program folder
    name=agent-presence-$VERSION-$os-$arch
    folder=$WORK/archives/$name
    for program in "dist/$os/$arch"/*; do put "$program" "$folder/$(basename "$program")" 755; done
    for program in README.md CHANGELOG.md LICENSE; do put "$program" "$folder/$program"; done
    put "$WORK/texts/agent-presence.1" "$folder/man/agent-presence.1"
    put "$WORK/texts/bash" "$folder/completions/agent-presence.bash"
    put "$WORK/texts/zsh" "$folder/completions/_agent-presence"
    put "$WORK/texts/fish" "$folder/completions/agent-presence.fish"
    put "$WORK/texts/powershell" "$folder/completions/_agent-presence.ps1"
    put "$WORK/texts/elvish" "$folder/completions/agent-presence.elv"
    for program in packaging/login/*; do put "$program" "$folder/login/$(basename "$program")"; done
    if [ "$os" = windows ]; then
        python3 packaging/lib/pack.py "$OUT/$name.zip" "$folder"
    else
        python3 packaging/lib/pack.py "$OUT/$name.tar.gz" "$folder"
    fi
}

# common_root ARCH ROOT ZSH: what every package for Linux puts where
common_root() {
    local root=$2 doc=$2/usr/share/doc/agent-presence
    put "dist/linux/$1/agent-presence" "$root/usr/bin/agent-presence" 755
    # The file that `autostart` fills in; as it stands, it starts the program where this package puts it.
    put packaging/login/agent-presence.service "$root/usr/lib/systemd/user/agent-presence.service"
    put "$WORK/texts/agent-presence.1" "$root/usr/share/man/man1/agent-presence.1"
    put "$WORK/texts/bash" "$root/usr/share/bash-completion/completions/agent-presence"
    put "$WORK/texts/zsh" "$root/usr/share/zsh/$3/_agent-presence"
    put "$WORK/texts/fish" "$root/usr/share/fish/vendor_completions.d/agent-presence.fish"
    put README.md "$doc/README.md"
    put CHANGELOG.md "$doc/CHANGELOG.md"
    gzip -9n "$root/usr/share/man/man1/agent-presence.1"
}

# one_time FOLDER: the same folders and times whenever and wherever it is packed
one_time() {
    find "$1" -type d -exec chmod 755 {} +
    find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
}

# debian_package ARCH DEBIAN_ARCH
debian_package() {
    local root=$WORK/deb-$2 doc size
    doc=$root/usr/share/doc/agent-presence
    common_root "$1" "$root" vendor-completions
    put packaging/templates/deb/lintian-overrides "$root/usr/share/lintian/overrides/agent-presence"
    {
        echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
        echo 'Upstream-Name: agent-presence'
        echo 'Source: https://github.com/agent-presence/agent-presence'
        echo
        echo 'Files: *'
        sed -n 's/^Copyright (c) /Copyright: /p' LICENSE
        echo 'License: MIT'
        # the text alone, each line set in, empty ones with a dot
        sed -n '/^Permission/,$p' LICENSE | sed 's/^$/./; s/^/ /'
    } >"$doc/copyright"
    {
        printf 'agent-presence (%s) unstable; urgency=medium\n\n' "$VERSION"
        printf '  * What changed is in CHANGELOG.md.gz, beside this file.\n\n'
        printf ' -- %s  %s\n' "$(text deb/control "ARCH=$2" SIZE=0 | sed -n 's/^Maintainer: //p')" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
    } >"$doc/changelog"
    gzip -9n "$doc/changelog" "$doc/CHANGELOG.md"
    size=$(find "$root" -type f -printf '%k\n' | awk '{ all += $1 } END { print all }')
    mkdir -p "$root/DEBIAN"
    text deb/control "ARCH=$2" "SIZE=$size" >"$root/DEBIAN/control"
    (cd "$root" && find usr -type f | LC_ALL=C sort | xargs md5sum >DEBIAN/md5sums)
    one_time "$root"
    dpkg-deb --root-owner-group -Zxz --build "$root" "$OUT/agent-presence_${VERSION}_$2.deb" >/dev/null
}

# rpm_package ARCH RPM_ARCH
rpm_package() {
    local root=$WORK/rpm-$2 top=$WORK/rpmbuild-$2
    common_root "$1" "$root" site-functions
    put LICENSE "$root/usr/share/licenses/agent-presence/LICENSE"
    one_time "$root"
    mkdir -p "$top"
    text rpm/agent-presence.spec "DATE=$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" >"$top/agent-presence.spec"
    rpmbuild -bb --quiet --target "$2-linux" --define "_topdir $top" --define "_files $root" --define "_buildhost agent-presence" \
        --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
        --define '_binary_payload w19.zstdio' "$top/agent-presence.spec"
    cp "$top/RPMS/$2/agent-presence-$VERSION-1.$2.rpm" "$OUT/"
}

# the sources of this commit, for those who build by themselves
source_archive() {
    local name=agent-presence-$VERSION-source
    mkdir -p "$WORK/archives/$name"
    git archive HEAD | tar -x -C "$WORK/archives/$name"
    python3 packaging/lib/pack.py "$OUT/$name.tar.gz" "$WORK/archives/$name"
}

generate=()
while [ $# -gt 0 ]; do
    case $1 in
    --url)
        generate+=(--url "${2:?}")
        shift
        ;;
    --all) generate+=(--all) ;;
    *) fail "unknown option $1" ;;
    esac
    shift
done

write_texts
source_archive
for folder in dist/*/*/; do
    IFS=/ read -r _ os arch _ <<<"$folder"
    case $os in linux | macos | windows) archive "$os" "$arch" ;; esac
done
if command -v dpkg-deb >/dev/null; then
    [ ! -d dist/linux/x64 ] || debian_package x64 amd64
    [ ! -d dist/linux/arm64 ] || debian_package arm64 arm64
else
    echo 'no Debian packages, because dpkg-deb is not installed' >&2
fi
if command -v rpmbuild >/dev/null; then
    [ ! -d dist/linux/x64 ] || rpm_package x64 x86_64
    [ ! -d dist/linux/arm64 ] || rpm_package arm64 aarch64
else
    echo 'no RPMs, because rpmbuild is not installed' >&2
fi
rm -rf dist/channels
packaging/sums.sh
python3 packaging/generate.py ${generate[@]+"${generate[@]}"}
# they carry the sums of the others, and are files of the release themselves
cp dist/channels/install.sh dist/channels/install.ps1 "$OUT/"
packaging/sums.sh
python3 packaging/generate.py --check ${generate[@]+"${generate[@]}"}
ls -l "$OUT"
