"""Writes the packages of every channel: templates/ filled with description.toml, Cargo.toml and dist/SHA256SUMS.

    generate.py [--dist DIR] [--url URL] [--all] [--check]
    generate.py --text TEMPLATE [NAME=VALUE...]

It writes DIR/channels (default: dist/channels), and fails where a program in DIR is not the one that SHA256SUMS names. A channel
whose files are not all in SHA256SUMS is left out and named; with --all that is an error. --check writes nothing, and fails unless
every file is there just as it would be written. --url is where the files of a release are, for a trial without one. --text prints
one template, for those who pack by themselves.
"""

import argparse
import hashlib
import json
import pathlib
import re
import shutil
import sys
import textwrap
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
TEMPLATES = HERE / "templates"
# Each channel's templates, by their paths below templates/ and below channels/.
CHANNELS = {
    "install": ["install.sh", "install.ps1"],
    "homebrew": ["homebrew/agent-presence.rb"],
    "aur": [f"aur/{name}/{file}" for name in ("agent-presence", "agent-presence-bin") for file in ("PKGBUILD", ".SRCINFO")],
    "scoop": ["scoop/agent-presence.json"],
    "winget": [f"winget/agent-presence.agent-presence{part}.yaml" for part in ("", ".installer", ".locale.en-US")],
}
PROGRAMS = {"windows": ["agent-presence.exe", "agent-presencew.exe"]}


def fail(message):
    sys.exit(f"error: {message}")


class Missing(Exception):
    """A file of the release that SHA256SUMS does not list."""


class Release:
    """What there is to say, and the sums of what there is to fetch."""

    def __init__(self, dist, url):
        manifest = tomllib.loads((HERE.parent / "Cargo.toml").read_text(encoding="utf-8"))["package"]
        self.description = tomllib.loads((HERE / "description.toml").read_text(encoding="utf-8"))
        self.manifest, self.dist, self.name, self.version = manifest, dist, manifest["name"], manifest["version"]
        self.url = url or f"{manifest['repository']}/releases/download/v{self.version}"
        self.sums = {}
        for line in (dist / "SHA256SUMS").read_text(encoding="utf-8").splitlines() if dist else []:
            digest, _, path = line.partition("  ")
            if not re.fullmatch("[0-9a-f]{64}", digest) or not path:
                fail(f"this is no line of SHA256SUMS: {line}")
            self.sums[path] = digest

    def asset(self, name):
        """The file of a release for a system, or its sources."""
        return f"{self.name}-{self.version}-{name}" + (".zip" if name.startswith("windows-") else ".tar.gz")

    def sum(self, name):
        try:
            return self.sums[f"packages/{self.asset(name)}"]
        except KeyError:
            raise Missing(self.asset(name)) from None

    def value(self, word):
        """What stands for @WORD@ in a template."""
        word, _, name = word.partition(" ")
        says = self.description
        if word in ("ASSET", "SUM", "LINK"):
            digest = self.sum(name)
            return {"SUM": digest, "ASSET": self.asset(name), "LINK": f"{self.url}/{self.asset(name)}"}[word]
        values = {
            "NAME": self.name,
            "VERSION": self.version,
            "URL": self.url,
            "REPOSITORY": self.manifest["repository"],
            "LICENSE": self.manifest["license"],
            "DESCRIPTION": self.manifest["description"],
            "SUMMARY": says["summary"],
            "SUMMARY_CAPITAL": says["summary"][0].upper() + says["summary"][1:],
            "MAINTAINER": says["maintainer"],
            "DETAILS": "\n\n".join(textwrap.fill(part, 78) for part in says["details"]),
            # Debian's form: set in, empty lines with a dot
            "DETAILS_SET_IN": "\n .\n".join(textwrap.fill(part, 78, initial_indent=" ", subsequent_indent=" ") for part in says["details"]),
            "SUMS": "\n".join(f"{self.sum(one['name'])}  {self.asset(one['name'])}" for one in self.has()),
        }
        return values.get(word)

    def has(self):
        """The systems that something was built for."""
        return [one for one in self.description["for"] if f"packages/{self.asset(one['name'])}" in self.sums]

    def fill(self, template, more=()):
        def word(match):
            value = dict(more).get(match[1], self.value(match[1]))
            if value is None:
                fail(f"templates/{template} has an unknown word: {match[0]}")
            return value

        return re.sub("@([A-Z_]+(?: [a-z0-9-]+)?)@", word, (TEMPLATES / template).read_text(encoding="utf-8"))

    def npm(self):
        """The package that people name, and one for each system, which has the program."""
        common = {
            "version": self.version,
            "description": self.manifest["description"],
            "license": self.manifest["license"],
            "homepage": self.manifest["repository"],
            "repository": {"type": "git", "url": f"git+{self.manifest['repository']}.git"},
        }
        if not self.has():
            raise Missing(self.asset(self.description["for"][0]["name"]))
        names = {}
        for one in self.has():
            os, arch = one["name"].split("-")
            names[f"@{self.name}/{one['name']}"] = self.version
            package = {"name": f"@{self.name}/{one['name']}", **common, "os": [one["npm"]["os"]], "cpu": [one["npm"]["cpu"]]}
            package["preferUnplugged"] = True
            folder = f"npm/{one['name']}"
            yield f"{folder}/package.json", as_json(package)
            yield f"{folder}/README.md", self.fill("npm/platform.md", [("PLATFORM", one["name"])])
            for program in PROGRAMS.get(os, ["agent-presence"]):
                place = f"{os}/{arch}/{program}"
                content = (self.dist / place).read_bytes()
                if hashlib.sha256(content).hexdigest() != self.sums.get(place):
                    fail(f"{place} is not what SHA256SUMS says")
                yield f"{folder}/{program}", content
        wrapper = {"name": self.name, **common, "keywords": self.manifest["keywords"]}
        wrapper |= {"bin": {self.name: "agent-presence.js"}, "engines": {"node": ">=18"}, "optionalDependencies": names}
        yield "npm/agent-presence/package.json", as_json(wrapper)
        yield "npm/agent-presence/README.md", self.fill("npm/README.md")
        yield "npm/agent-presence/agent-presence.js", self.fill("npm/agent-presence.js")

    def files(self, complete):
        """Path below channels/ and content of every file."""
        found = {}
        channels = {name: lambda paths=paths: ((path, self.fill(path)) for path in paths) for name, paths in CHANNELS.items()}
        for channel, make in {"npm": self.npm, **channels}.items():
            try:
                found |= dict(make())
            except Missing as missing:
                message = f"{channel}: SHA256SUMS does not list {missing}"
                if complete:
                    fail(message)
                print(f"left out: {message}", file=sys.stderr)
        missing = [one["name"] for one in self.description["for"] if one not in self.has()]
        if complete and missing:
            fail(f"SHA256SUMS lists nothing for {', '.join(missing)}")
        return {path: text.encode() if isinstance(text, str) else text for path, text in found.items()}


def as_json(value):
    return json.dumps(value, indent=2) + "\n"


def is_program(path):
    return pathlib.PurePath(path).name in ("agent-presence", "agent-presence.js", "install.sh") or path.endswith(".exe")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=pathlib.Path, default=HERE.parent / "dist")
    parser.add_argument("--url")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--text")
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    if given.text:
        print(Release(None, given.url).fill(given.text, [word.split("=", 1) for word in given.words]), end="")
        return
    release = Release(given.dist, given.url)
    files, out = release.files(given.all), given.dist / "channels"
    if given.check:
        there = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        wrong = sorted(path for path in there.keys() | files.keys() if there.get(path) != files.get(path))
        if wrong:
            fail(f"out of step with the version, the sums or the templates: {', '.join(wrong)}")
        print(f"{len(files)} files, in step with version {release.version} and SHA256SUMS")
        return
    shutil.rmtree(out, ignore_errors=True)
    for path, content in sorted(files.items()):
        place = out / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o755 if is_program(path) else 0o644)
    print(f"{len(files)} files in {out}")


main()
