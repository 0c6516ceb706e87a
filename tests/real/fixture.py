"""Makes a small fixture of real session files: contents replaced, ids made up, lines that tell nothing left out."""
import json
import os
import re

# Texts under these keys are names of the format, not contents.
PLAIN = {"type", "subtype", "role", "status", "model", "timestamp", "version", "cli_version", "originator", "source", "thread_source",
         "stop_reason", "name", "namespace", "effort", "reason", "history_mode", "entrypoint", "userType", "limit_id", "plan_type",
         "turnOrigin", "kind", "phase", "operation", "collaboration_mode_kind", "promptSource", "rateLimitType", "resetsAt", "error"}
# Big and private, and nothing that is counted or shown is in them.
DROPPED = {"attachment", "world_state", "file-history-snapshot", "api-request", "api-request-blob", "api-request-shape", "last-prompt"}
SECRET = "MARKER-SECRET"


class Names:
    """Made-up ids, the same for the same."""

    def __init__(self):
        self.ids = {}

    def of(self, text):
        def made_up(match):
            number = self.ids.setdefault(match[0], len(self.ids) + 1)
            # The first part of a version 7 id is its time, which tells copied turns from own ones.
            return f"{match[0][:19]}-{number:04x}-{number:012x}"[:0] + f"{match[0][:18]}-8{number:03x}-{number:012x}"

        return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", made_up, text)


def clean(value, names, key=""):
    if isinstance(value, dict):
        return {name: clean(inner, names, name) for name, inner in value.items() if name not in ("base_instructions", "dynamic_tools", "snapshot")}
    if isinstance(value, list):
        return [clean(inner, names, key) for inner in value[:3]]
    if not isinstance(value, str):
        return value
    swapped = names.of(value)
    if key in PLAIN or swapped != value and len(value) < 80 or key.endswith(("_id", "Id", "uuid", "Uuid")) or key == "id":
        return swapped
    if key == "cwd":
        return "/home/u/app"
    return SECRET if value else value


def write(paths, folder):
    """Writes what is left of each file; returns the new paths."""
    names, made = Names(), []
    os.makedirs(folder, exist_ok=True)
    for path in paths:
        target = os.path.join(folder, names.of(os.path.basename(path)))
        with open(path) as source, open(target, "w") as file:
            for line in source:
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if value.get("type") not in DROPPED:
                    file.write(json.dumps(clean(value, names), separators=(",", ":"), ensure_ascii=False) + "\n")
        made.append(target)
    return made
