"""Writes a stub of each of Apple's frameworks that the locked crates bind, with the names that they declare.

Reads `cargo metadata` on standard input; the folder for the stubs is the only argument. A name that a crate uses and does
not declare is then missing at the link, as it would be on macOS.
"""

import json
import pathlib
import re
import sys

FRAMEWORKS = {
    "objc2-core-foundation": "CoreFoundation",
    "objc2-core-services": "CoreServices",
    "objc2-foundation": "Foundation",
    "objc2-io-kit": "IOKit",
}
STUB = """--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: '/System/Library/Frameworks/{name}.framework/Versions/A/{name}'
exports:
  - targets: [ x86_64-macos, arm64-macos ]
    symbols: [ {symbols} ]
...
"""

for package in json.load(sys.stdin)["packages"]:
    name = FRAMEWORKS.get(package["name"])
    if name is None:
        continue
    symbols = set()
    for source in pathlib.Path(package["manifest_path"]).parent.rglob("*.rs"):
        for block in re.findall(r'extern "C(?:-unwind)?" \{(.*?)\n\s*\}', source.read_text(encoding="utf-8"), re.S):
            symbols.update(re.findall(r"\b(?:fn|static) ([A-Za-z]\w+)", block))
    folder = pathlib.Path(sys.argv[1]) / (name + ".framework")
    folder.mkdir(parents=True, exist_ok=True)
    listed = ", ".join("_" + symbol for symbol in sorted(symbols))
    (folder / (name + ".tbd")).write_text(STUB.format(name=name, symbols=listed), encoding="utf-8")
