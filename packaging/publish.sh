#!/usr/bin/env bash
# Hands a release that is published to the other channels: npm, crates.io, a Homebrew tap, a scoop bucket, AUR, winget.
#
#   packaging/publish.sh [CHANNEL...]
#
# Reads dist/channels. A channel whose secret is not in the environment is skipped and named; one that has this version already
# is left as it is. release.md beside this script says what each one needs once.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "error: $1" >&2; exit 1; }

VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
FROM=$PWD/dist/channels
OWNER=agent-presence
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
[ -d "$FROM" ] || fail 'dist/channels is not there: packaging/package.sh makes it'

# needs CHANNEL VARIABLE...: whether all of them are set
needs() {
    local channel=$1 variable
    shift
    for variable; do
        if [ -z "${!variable:-}" ]; then
            echo "skipped: $channel, because $variable is not set"
            return 1
        fi
    done
}

# pushed REPOSITORY FOLDER FILE...: the files, in a folder of a git repository, as one commit
pushed() {
    local repository=$1 folder=$2 clone
    shift 2
    clone=$WORK/$(basename "$repository" .git)
    git clone --quiet --depth 1 "$repository" "$clone"
    mkdir -p "$clone/$folder"
    cp "$@" "$clone/$folder/"
    git -C "$clone" add --all
    if git -C "$clone" diff --cached --quiet; then
        echo "has it already: $(basename "$repository" .git)"
        return
    fi
    commit "$clone"
    git -C "$clone" push --quiet origin HEAD
    echo "pushed to $(basename "$repository" .git)"
}

commit() {
    git -C "$1" -c user.name="$OWNER" -c user.email="$OWNER@users.noreply.github.com" commit --quiet --message "agent-presence $VERSION"
}

# with_token REPOSITORY: its address on GitHub, with the right to push
with_token() { echo "https://x-access-token:$GH_CHANNELS_TOKEN@github.com/$1.git"; }

channel_npm() {
    needs npm NODE_AUTH_TOKEN || return 0
    local folder name
    # the package that people name comes last, when what it needs is there
    for folder in "$FROM"/npm/{linux,macos,windows}-*/ "$FROM/npm/agent-presence/"; do
        name=$(sed -n 's/^  "name": "\(.*\)",$/\1/p' "$folder/package.json")
        if [ "$(npm view "$name@$VERSION" version 2>/dev/null)" = "$VERSION" ]; then
            echo "has it already: $name"
        else
            npm publish --access public ${GITHUB_ACTIONS:+--provenance} "$folder"
        fi
    done
}

channel_crates() {
    needs crates.io CARGO_REGISTRY_TOKEN || return 0
    local crate
    for crate in agent-presence-core agent-presence; do
        if cargo info --quiet --registry crates-io "$crate@$VERSION" >/dev/null 2>&1; then
            echo "has it already: $crate"
        else
            cargo publish --locked --package "$crate"
        fi
    done
}

channel_homebrew() {
    needs homebrew GH_CHANNELS_TOKEN || return 0
    pushed "$(with_token $OWNER/homebrew-tap)" Formula "$FROM/homebrew/agent-presence.rb"
}

channel_scoop() {
    needs scoop GH_CHANNELS_TOKEN || return 0
    pushed "$(with_token $OWNER/scoop-bucket)" bucket "$FROM/scoop/agent-presence.json"
}

channel_aur() {
    needs aur AUR_SSH_KEY AUR_KNOWN_HOSTS || return 0
    local name
    (umask 077 && printf '%s\n' "$AUR_SSH_KEY" >"$WORK/key")
    printf '%s\n' "$AUR_KNOWN_HOSTS" >"$WORK/known_hosts"
    export GIT_SSH_COMMAND="ssh -i $WORK/key -o IdentitiesOnly=yes -o UserKnownHostsFile=$WORK/known_hosts"
    for name in agent-presence agent-presence-bin; do
        pushed "ssh://aur@aur.archlinux.org/$name.git" . "$FROM/aur/$name/PKGBUILD" "$FROM/aur/$name/.SRCINFO"
    done
}

# A request to Microsoft's collection, from a fork of it.
channel_winget() {
    needs winget GH_CHANNELS_TOKEN || return 0
    local clone=$WORK/winget-pkgs folder=manifests/a/agent-presence/agent-presence branch=agent-presence-$VERSION
    GH_TOKEN=$GH_CHANNELS_TOKEN gh repo sync $OWNER/winget-pkgs
    git clone --quiet --depth 1 --filter blob:none --sparse "$(with_token $OWNER/winget-pkgs)" "$clone"
    git -C "$clone" sparse-checkout set "$folder"
    if [ -d "$clone/$folder/$VERSION" ]; then
        echo 'has it already: winget-pkgs'
        return
    fi
    mkdir -p "$clone/$folder/$VERSION"
    cp "$FROM"/winget/*.yaml "$clone/$folder/$VERSION/"
    git -C "$clone" checkout --quiet -b "$branch"
    git -C "$clone" add --all
    commit "$clone"
    git -C "$clone" push --quiet --force origin "$branch"
    GH_TOKEN=$GH_CHANNELS_TOKEN gh pr create --repo microsoft/winget-pkgs --head "$OWNER:$branch" \
        --title "agent-presence.agent-presence version $VERSION" --body "Made by the release workflow of https://github.com/$OWNER/agent-presence"
}

[ $# -gt 0 ] || set -- npm crates homebrew scoop aur winget
for channel; do
    case $channel in
    npm | crates | homebrew | scoop | aur | winget) "channel_$channel" ;;
    *) fail "unknown channel $channel" ;;
    esac
done
