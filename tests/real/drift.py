"""What the real agents write that no fixture shows: line types, fields, tool names, file names. Names alone, never contents."""
import contextlib
import glob
import json
import os
import re
import sqlite3

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# Below these, keys are data: tool arguments, schemas, contents.
OPAQUE = {"arguments", "input", "output", "content", "replacement_history", "tools", "base_instructions", "dynamic_tools", "state",
          "params", "shape", "toolUseResult", "snapshot", "trackedFileBackups", "attachment", "changes", "modelUsage", "metadata",
          "environments", "schema", "rendered", "blob", "todos", "toolsAdded"}


def shapes(line):
    """The names in one line."""
    try:
        value = json.loads(line)
    except ValueError:
        return
    if not isinstance(value, dict):
        return
    kind = [str(value.get("type"))]
    payload = value.get("payload")
    if isinstance(payload, dict) and "type" in payload:
        kind.append(str(payload["type"]))
    if isinstance(value.get("subtype"), str):
        kind.append(value["subtype"])
    name = "/".join(kind)
    yield f"line {name}"
    yield from fields(value, name, 4)


def fields(value, path, depth):
    for key, inner in value.items():
        if re.fullmatch(r"[A-Za-z_]\w{0,40}", key) is None:
            continue
        yield f"field {path}: {key}"
        if key in ("name",) and isinstance(inner, str) and value.get("type") in ("tool_use", "function_call", "custom_tool_call", "toolCall"):
            yield f"tool {inner}"
        if key in OPAQUE:
            blocks = inner if key == "content" and isinstance(inner, list) else []
            for block in blocks:
                if isinstance(block, dict) and isinstance(block.get("type"), str):
                    yield f"block {block['type']}"
                    if block["type"] == "tool_use":
                        yield f"tool {block.get('name')}"
            continue
        if isinstance(inner, dict) and depth:
            yield from fields(inner, f"{path}.{key}", depth - 1)
        for one in inner if isinstance(inner, list) and depth else []:
            if isinstance(one, dict):
                yield from fields(one, f"{path}.{key}[]", depth - 1)


def of_files(paths):
    found = set()
    for path in paths:
        for line in lines(path):
            found.update(shapes(line))
    return found


def lines(path):
    """The lines of a file; of a database the JSON in its rows."""
    with open(path, "rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            file.seek(0)
            yield from file
            return
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in tables & {"message", "part", "session_message"}:
            yield from (row[0] for row in database.execute(f"SELECT data FROM {table}"))


def file_names(home, folder):
    """The places of an agent's files, ids and numbers made alike."""
    for inside, _, names in os.walk(os.path.join(home, folder)):
        for name in names:
            place = os.path.relpath(os.path.join(inside, name), home)
            if any(f"/{part}/" in place for part in ("skills", "packages", "plugins", "shell-snapshots", "tmp", ".tmp", "log")):
                continue
            place = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", place)
            place = re.sub(r"projects/[^/]+/", "projects/PROJECT/", place)
            place = re.sub(r"sessions/--[^/]+--/", "sessions/PROJECT/", place)
            place = re.sub(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", "TIME", place)
            place = re.sub(r"agent-[0-9a-z-]+\.", "agent-ID.", place)
            place = re.sub(r"session-[0-9a-f]{8}\.", "session-ID.", place)
            yield "file " + re.sub(r"\d+", "N", re.sub(r"[0-9a-f]{16,}", "HEX", place))


def known(agent):
    """What fixtures show, and what was looked at and found to need nothing: `known/AGENT.txt`."""
    found = of_files(glob.glob(f"{ROOT}/tests/fixtures/{agent}/**/*.jsonl", recursive=True))
    path = f"{HERE}/known/{agent}.txt"
    if os.path.exists(path):
        with open(path) as file:
            found.update(line.rstrip("\n") for line in file if not line.startswith("#"))
    return found


def accept(agent, found):
    """Adds what was found to what is known."""
    path = f"{HERE}/known/{agent}.txt"
    before = set()
    if os.path.exists(path):
        with open(path) as file:
            before = {line.rstrip("\n") for line in file if not line.startswith("#")}
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("# Names seen in real files that no fixture shows and that the program does not need. Made by run.sh --accept.\n")
        file.writelines(f"{row}\n" for row in sorted(before | found))
