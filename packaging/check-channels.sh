#!/usr/bin/env bash
# Installs what dist/channels and dist/packages have for this machine into temporary folders, uses it as a user, removes it again:
# npm's packages, the installer, the RPM. Needs no root and no network but this machine's own.
#
#   packaging/check-channels.sh
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "error: $1" >&2; exit 1; }
said() { printf 'ok: %s\n' "$*"; }
has() { command -v "$1" >/dev/null || { echo "skipped: $2, because $1 is not installed"; return 1; }; }

VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
case $(uname -m) in aarch64 | arm64) ARCH=arm64 ;; *) ARCH=x64 ;; esac
case $(uname -s) in Darwin) OS=macos ;; *) OS=linux ;; esac
WORK=$(mktemp -d)
server='' pid=''
clean() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$WORK"
}
trap clean EXIT

# as_user COMMAND...: with no setting, session or Discord of the user who runs this
as_user() {
    (cd "$WORK" && env -i HOME="$WORK/home" PATH="$PATH" XDG_RUNTIME_DIR="$WORK/run" "$@")
}

# used NAME PROGRAM: the program as a user has it
used() {
    local code=0
    rm -rf "${WORK:?}/home" "$WORK/log"
    mkdir -p "$WORK/home" "$WORK/run"
    [ "$(as_user "$2" --version)" = "agent-presence $VERSION" ] || fail "$1: it is not version $VERSION"
    as_user "$2" stop 2>/dev/null || code=$?
    [ "$code" = 3 ] || fail "$1: stop without a daemon ends with $code"
    # started without a subshell in between, so that the signal is for it
    (cd "$WORK" && exec env -i HOME="$WORK/home" PATH="$PATH" XDG_RUNTIME_DIR="$WORK/run" "$2" run --dry-run) >"$WORK/log" 2>&1 &
    pid=$!
    until grep -qs started "$WORK/log"; do kill -0 "$pid" || fail "$1: $(cat "$WORK/log")"; read -r -t 0.1 <>"$WORK/wait" || true; done
    as_user "$2" status | grep -q '^daemon running' || fail "$1: status does not see the daemon"
    code=0
    kill -TERM "$pid"
    wait "$pid" || code=$?
    pid=''
    [ "$code" = 0 ] || fail "$1: it ends with $code after SIGTERM"
    as_user "$2" uninstall --purge >/dev/null
    [ -z "$(find "$WORK/home" -name '*agent-presence*')" ] || fail "$1: uninstall left $(find "$WORK/home" -name '*agent-presence*')"
    said "$1: version, exit code 3, a daemon that ends at SIGTERM, uninstall"
}
mkfifo "$WORK/wait"

check_npm() {
    if ! has npm npm; then return; fi
    export npm_config_cache=$WORK/cache npm_config_prefix=$WORK/prefix npm_config_update_notifier=false
    (cd dist/channels/npm && npm pack --silent --pack-destination "$WORK" ./agent-presence "./$OS-$ARCH") >/dev/null
    npm install --global --silent --offline --no-audit --no-fund "$WORK/agent-presence-$OS-$ARCH-$VERSION.tgz" "$WORK/agent-presence-$VERSION.tgz"
    used npm "$WORK/prefix/bin/agent-presence"
    npm uninstall --global --silent agent-presence "@agent-presence/$OS-$ARCH"
    [ ! -e "$WORK/prefix/bin/agent-presence" ] || fail 'npm: it left the command'
}

# From a server on this machine: the installer of a trial names it.
check_installer() {
    local port
    python3 -u -m http.server --bind 127.0.0.1 --directory dist/packages 0 >"$WORK/server" 2>&1 &
    server=$!
    until port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$WORK/server") && [ -n "$port" ]; do read -r -t 0.1 <>"$WORK/wait" || true; done
    sed "s|^URL=.*|URL='http://127.0.0.1:$port'|" dist/packages/install.sh >"$WORK/install.sh"
    rm -rf "${WORK:?}/home"
    mkdir -p "$WORK/home"
    as_user sh "$WORK/install.sh" >/dev/null
    mv "$WORK/home/.local" "$WORK/local"
    used install.sh "$WORK/local/bin/agent-presence"
    as_user sh "$WORK/install.sh" --uninstall --prefix "$WORK/local" >/dev/null
    [ -z "$(find "$WORK/local" -type f)" ] || fail "install.sh: it left $(find "$WORK/local" -type f)"
}

check_rpm() {
    local rpm scripts findings
    rpm=dist/packages/agent-presence-$VERSION-1.$(uname -m).rpm
    if ! has rpm 'the RPM'; then return; fi
    scripts=$(rpm -qp --scripts "$rpm")
    [ -z "$scripts" ] || fail "rpm: it runs scripts: $scripts"
    mkdir "$WORK/root"
    rpm --root "$WORK/root" --dbpath /db --install --nodeps --ignoreos "$rpm"
    used rpm "$WORK/root/usr/bin/agent-presence"
    rpm --root "$WORK/root" --dbpath /db --erase agent-presence
    [ -z "$(find "$WORK/root" -name '*agent-presence*' ! -path "$WORK/root/db/*")" ] || fail 'rpm: it left files'
    if has rpmlint rpmlint; then
        # Every release's files are attested instead of signed; the program is static; the manual is found compressed; the unit belongs there.
        findings=$(rpmlint "$rpm" 2>&1 | grep -E ': [EW]: ' |
            grep -vE 'no-signature|statically-linked-binary|position-independent-executable-suggested|no-manual-page-for-binary|manpage-not-compressed|only-non-binary-in-usr-lib|invalid-license MIT' || true)
        [ -z "$findings" ] || fail "rpmlint: $findings"
        said 'rpmlint has no other finding'
    fi
}

packaging/sums.sh --check
check_npm
check_installer
check_rpm
