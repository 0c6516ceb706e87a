#!/usr/bin/env bash
# Installs a Debian package on this machine, uses it as a user, and removes it again. For a test machine: needs root.
#
#   packaging/check-deb.sh PACKAGE.deb
#
# Fails when lintian has a warning, when installing starts or enables something, when the program, its manual, its completions
# or its unit are not in order, or when removing leaves anything but the user's own files.
set -euo pipefail

fail() { echo "error: $1" >&2; exit 1; }
said() { printf 'ok: %s\n' "$*"; }

deb=$(realpath "${1:?usage: packaging/check-deb.sh PACKAGE.deb}")
[ "$(id -u)" = 0 ] || fail 'installing a package needs root'
! dpkg -s agent-presence >/dev/null 2>&1 || fail 'agent-presence is installed already; this would remove it'

if command -v lintian >/dev/null; then
    findings=$(lintian --allow-root --fail-on none "$deb" 2>&1 | grep -E '^[EW]:' || true)
    [ -z "$findings" ] || fail "lintian: $findings"
    said 'lintian has no warning'
else
    echo 'skipped: lintian, because it is not installed'
fi

! dpkg-deb --ctrl-tarfile "$deb" | tar -t | grep -qE '(pre|post)(inst|rm)|triggers' || fail 'it runs scripts'
said 'installing and removing run no script'

home=$(mktemp -d)
trap 'dpkg --purge agent-presence >/dev/null 2>&1 || true; rm -rf "$home"' EXIT
chown 65534:65534 "$home"
# Those of the installed program alone.
processes() { find /proc -maxdepth 2 -name exe -lname /usr/bin/agent-presence 2>/dev/null || true; }
# What a login entry would be: of users, of systemd, of the desktop.
entries() { find /etc/systemd /etc/xdg/autostart /etc/skel -name '*agent-presence*' 2>/dev/null || true; }
dpkg --install "$deb" >/dev/null
[ -z "$(processes)" ] || fail 'installing it started something'
[ -z "$(entries)" ] || fail "installing it enabled something: $(entries)"
said 'installing it started and enabled nothing'

mapfile -t files < <(dpkg -L agent-presence | while read -r path; do if [ -f "$path" ]; then echo "$path"; fi; done)
as_user() {
    (cd "$home" && setpriv --reuid 65534 --regid 65534 --clear-groups \
        env -i HOME="$home" PATH=/usr/bin:/bin XDG_RUNTIME_DIR="$home" "$@")
}
as_user agent-presence --version
as_user agent-presence status >"$home/status"
grep -q '^daemon not running' "$home/status" || fail "status says: $(cat "$home/status")"
said "status, as a user: $(head -n 1 "$home/status")"
[ "$(as_user agent-presence config init)" = "$home/.config/agent-presence/config.toml" ] || fail 'it wrote no settings'
as_user agent-presence man | cmp - <(gzip -dc /usr/share/man/man1/agent-presence.1.gz)
bash -c '. /usr/share/bash-completion/completions/agent-presence && complete -p agent-presence' >/dev/null
said 'the manual and the completions are those of the program'
if command -v systemd-analyze >/dev/null; then
    HOME=$home XDG_RUNTIME_DIR=$home systemd-analyze verify --user /usr/lib/systemd/user/agent-presence.service
    said 'systemd accepts the unit'
fi
dpkg --remove agent-presence >/dev/null
for path in "${files[@]}"; do [ ! -e "$path" ] || fail "removing it left $path"; done
left=$(find /etc /usr /opt /var -xdev -path /var/tmp -prune -o -name '*agent-presence*' -print 2>/dev/null || true)
[ -z "$left" ] || fail "removing it left $left"
[ -f "$home/.config/agent-presence/config.toml" ] || fail "it took the user's settings along"
said "removed: none of its ${#files[@]} files is left, and the user's settings are"
