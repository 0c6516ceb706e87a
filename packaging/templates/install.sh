#!/bin/sh
# Installs agent-presence @VERSION@ for the user who runs this: into ~/.local, without root. Run it again to update.
#
#   curl -fsSL @REPOSITORY@/releases/latest/download/install.sh | sh
#   sh install.sh [--prefix DIR]
#   sh install.sh --uninstall [--purge] [--prefix DIR]
#
# What it downloads has to have the sum that stands here. It starts nothing and edits no file of the shell.
set -eu

VERSION='@VERSION@'
URL='@URL@'
# sha256 and name of what there is
SUMS='@SUMS@'

say() { printf '%s\n' "$*"; }

# fail MESSAGE [HINT]
fail() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# <os>-<arch>, as the files are named
system() {
    case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=macos ;;
    *) os=$(uname -s) ;;
    esac
    case $(uname -m) in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) arch=$(uname -m) ;;
    esac
    # a shell that Rosetta runs says x86_64 on a machine that is not
    if [ "$os-$arch" = macos-x64 ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || true)" = 1 ]; then arch=arm64; fi
    printf '%s-%s' "$os" "$arch"
}

# download URL FILE
download() {
    if has curl; then
        curl -fsSL --retry 2 --output "$2" "$1"
    elif has wget; then
        wget -q -O "$2" "$1"
    else
        fail 'neither curl nor wget is installed' "download $1 by hand"
    fi
}

sum_of() {
    if has sha256sum; then
        sha256sum "$1" | cut -d ' ' -f 1
    elif has shasum; then
        shasum -a 256 "$1" | cut -d ' ' -f 1
    elif has openssl; then
        openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
    else
        fail 'no program to compute sums is installed' 'install sha256sum, shasum or openssl'
    fi
}

# put FILE PLACE MODE: never half a file, and a program that runs goes on
put() {
    mkdir -p "$(dirname "$2")" 2>/dev/null || fail "could not create $(dirname "$2")" "name another place: --prefix DIR"
    { cp "$1" "$2.new" && chmod "$3" "$2.new" && mv -f "$2.new" "$2"; } 2>/dev/null || {
        rm -f "$2.new" 2>/dev/null || true
        fail "could not write $2" "make $(dirname "$2") writable, or name another place: --prefix DIR"
    }
}

# what is installed besides the program, below the prefix
MAN=share/man/man1/agent-presence.1
BASH=share/bash-completion/completions/agent-presence
FISH=share/fish/vendor_completions.d/agent-presence.fish
ZSH=share/zsh/site-functions/_agent-presence

install() {
    name=$(system)
    archive=agent-presence-$VERSION-$name.tar.gz
    expected=$(printf '%s\n' "$SUMS" | sed -n "s/  $archive\$//p")
    [ -n "$expected" ] || fail "there is no program for $name" 'build it: cargo install agent-presence'
    work=$(mktemp -d)
    trap 'rm -rf "$work"; rm -f "$prefix/bin/agent-presence.tried"' EXIT
    trap 'exit 1' HUP INT TERM
    say "downloading $URL/$archive"
    download "$URL/$archive" "$work/$archive" ||
        fail "could not download $archive" 'nothing was changed; see whether the network is there, then try again'
    found=$(sum_of "$work/$archive")
    [ "$found" = "$expected" ] ||
        fail "$archive is not what was released: its sum is $found, not $expected" 'nothing was changed; try again, and if it stays so, tell the project'
    tar -xzf "$work/$archive" -C "$work" || fail "could not unpack $archive"
    from=$work/agent-presence-$VERSION-$name
    before=$("$prefix/bin/agent-presence" --version 2>/dev/null || true)
    # Tried where it is to be, because the folder for temporary files may not allow programs.
    tried=$prefix/bin/agent-presence.tried
    put "$from/agent-presence" "$tried" 755
    [ "$("$tried" --version 2>&1)" = "agent-presence $VERSION" ] ||
        fail 'the program does not run on this machine' 'nothing was changed; build it: cargo install agent-presence'
    put "$from/man/agent-presence.1" "$prefix/$MAN" 644
    put "$from/completions/agent-presence.bash" "$prefix/$BASH" 644
    put "$from/completions/agent-presence.fish" "$prefix/$FISH" 644
    put "$from/completions/_agent-presence" "$prefix/$ZSH" 644
    mv -f "$tried" "$prefix/bin/agent-presence"
    case $before in
    '') say "agent-presence $VERSION is installed: $prefix/bin/agent-presence" ;;
    *) say "$before is now $VERSION: $prefix/bin/agent-presence" ;;
    esac
    case :$PATH: in
    *:"$prefix/bin":*) command=agent-presence ;;
    *)
        command=$prefix/bin/agent-presence
        say "note: $prefix/bin is not in PATH; add it in your shell's own file: export PATH=\"$prefix/bin:\$PATH\""
        ;;
    esac
    other=$(command -v agent-presence || true)
    [ -z "$other" ] || [ "$other" = "$prefix/bin/agent-presence" ] || say "note: a shell finds another one first: $other"
    case $before in
    '') say "next: $command setup" ;;
    *) say "a daemon that runs goes on as it was; $command doctor says how to renew it" ;;
    esac
}

# uninstall [--purge]
uninstall() {
    program=$prefix/bin/agent-presence
    [ -e "$program" ] || fail "$program is not there" 'if it was installed elsewhere: --prefix DIR'
    "$program" uninstall "$@" || fail 'it could not undo what it has set up' 'see above; nothing was removed'
    for file in "$MAN" "$BASH" "$FISH" "$ZSH" bin/agent-presence; do
        rm -f "$prefix/$file" || fail "could not remove $prefix/$file"
    done
    say "removed: $program"
}

main() {
    action=install purge=
    prefix=${HOME:-}/.local
    while [ $# -gt 0 ]; do
        case $1 in
        --prefix)
            [ $# -gt 1 ] || fail '--prefix needs a folder'
            prefix=$2
            shift
            ;;
        --uninstall) action=uninstall ;;
        --purge) purge=--purge ;;
        *) fail "unknown option $1" 'install.sh [--prefix DIR], install.sh --uninstall [--purge] [--prefix DIR]' ;;
        esac
        shift
    done
    case $prefix in
    /.local) fail 'HOME is not set' 'name a place: --prefix DIR' ;;
    /*) ;;
    *) prefix=$PWD/$prefix ;;
    esac
    if [ "$action" = uninstall ]; then
        uninstall ${purge:+"$purge"}
    else
        [ -z "$purge" ] || fail '--purge goes with --uninstall'
        install
    fi
}

# All of it has to have arrived before any of it runs.
main "$@"
