#!/usr/bin/env python3
"""A daemon that records, killed at random moments while sessions grow; then what is in its record.

    tests/soak/record.py [KILLS] [PROGRAM]

Four Codex sessions and two of Claude Code grow by about a thousand usage events a second all the time, whether a daemon runs
or not. Each daemon is killed with SIGKILL between 0 and 400 ms after its start. After a last start, exits 1 unless every line is
JSON, no event of a session is there twice, and every session's last recorded total is the one that `replay` counts.
"""

import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from datetime import datetime, timezone

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / ".build/target/debug/agent-presence").resolve()


def stamp():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Codex:
    """A session in the shapes of `tests/it/support/codex_session.rs`."""

    def __init__(self, home):
        self.id = str(uuid.uuid4())
        day = datetime.now(timezone.utc)
        folder = home / ".codex/sessions" / day.strftime("%Y/%m/%d")
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"rollout-{day.strftime('%Y-%m-%dT%H-%M-%S')}-{self.id}.jsonl"
        self.file = open(self.path, "ab", buffering=0)
        self.total = 0
        self.line("session_meta", {"id": self.id, "timestamp": stamp(), "cwd": "/home/you/app", "originator": "codex-tui",
                                   "cli_version": "0.160.0", "source": "cli"})
        self.line("event_msg", {"type": "task_started", "turn_id": "1", "model_context_window": 258400})

    def line(self, kind, payload):
        line = {"timestamp": stamp(), "type": kind, "payload": payload}
        self.file.write((json.dumps(line) + "\n").encode())

    def grow(self):
        tokens = random.randint(1, 500)
        self.total += tokens

        def usage(output):
            return {"input_tokens": 0, "cached_input_tokens": 0, "output_tokens": output, "reasoning_output_tokens": 0,
                    "total_tokens": output}

        info = {"total_token_usage": usage(self.total), "last_token_usage": usage(tokens), "model_context_window": 258400}
        self.line("event_msg", {"type": "token_count", "info": info, "rate_limits": None})


class Claude:
    """A session in the shapes of `tests/it/support/claude_session.rs`."""

    def __init__(self, home):
        self.id = str(uuid.uuid4())
        folder = home / ".claude/projects/-home-you-app"
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{self.id}.jsonl"
        self.file = open(self.path, "ab", buffering=0)
        self.total = 0
        self.line("user", {"message": {"role": "user", "content": "x"}})

    def line(self, kind, fields):
        line = {"type": kind, "uuid": str(uuid.uuid4()), "parentUuid": None, "isSidechain": False, "sessionId": self.id,
                "cwd": "/home/you/app", "version": "2.1.270", "entrypoint": "cli", "timestamp": stamp(), **fields}
        self.file.write((json.dumps(line) + "\n").encode())

    def grow(self):
        tokens = random.randint(1, 500)
        self.total += tokens
        usage = {"input_tokens": tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
        message = {"id": f"msg_{uuid.uuid4()}", "type": "message", "role": "assistant", "model": "claude-opus-5",
                   "content": [{"type": "text", "text": "x"}], "stop_reason": None, "usage": usage}
        self.line("assistant", {"requestId": f"req_{uuid.uuid4()}", "message": message})


class Writer(threading.Thread):
    """Lets the sessions grow until it is told to stop."""

    def __init__(self, sessions):
        super().__init__(daemon=True)
        self.sessions, self.stopped, self.events = sessions, threading.Event(), 0

    def run(self):
        while not self.stopped.is_set():
            for _ in range(random.randint(1, 20)):
                random.choice(self.sessions).grow()
                self.events += 1
            time.sleep(0.01)


def main():
    folder = tempfile.TemporaryDirectory()
    root = pathlib.Path(folder.name)
    home = root / "home"
    home.mkdir()
    (root / "config.toml").write_text('[record]\nenabled = true\n[log]\nlevel = "warn"\n')
    environment = {"HOME": str(home), "AGENT_PRESENCE_CONFIG": str(root / "config.toml"), "TZ": "UTC",
                   "AGENT_PRESENCE_STATE_DIR": str(root / "state"), "CODEX_HOME": str(home / ".codex"),
                   "CLAUDE_CONFIG_DIR": str(home / ".claude")}
    errors = open(root / "errors", "ab")

    def start():
        return subprocess.Popen([PROGRAM, "run", "--dry-run"], env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=errors)

    def output(*arguments):
        return subprocess.run([PROGRAM, *arguments], env=environment, stdout=subprocess.PIPE, check=True).stdout

    def record():
        return b"".join(path.read_bytes() for path in sorted((root / "state/record").glob("*.jsonl")))

    sessions = [Codex(home) for _ in range(4)] + [Claude(home) for _ in range(2)]
    writer = Writer(sessions)
    writer.start()
    torn = 0
    for _ in range(KILLS):
        daemon = start()
        time.sleep(random.uniform(0, 0.4))
        daemon.kill()
        daemon.wait()
        torn += bool(record()) and not record().endswith(b"\n")
        time.sleep(random.uniform(0, 0.05))
    daemon = start()
    time.sleep(1)
    writer.stopped.set()
    writer.join()

    truth = {session.id: session.total for session in sessions}
    replayed = {}
    for session in sessions:
        for line in output("replay", "--json", session.path).splitlines():
            event = json.loads(line)
            if event["event"] == "usage":
                replayed[event["session"]] = event["tokens"]["total"]
    until = time.monotonic() + 20
    while time.monotonic() < until:
        status = json.loads(output("status", "--json"))
        if {session["id"]: session["tokens"]["total"] for session in status["sessions"]} == truth:
            break
    else:
        print("the last daemon did not catch up")
    daemon.terminate()
    daemon.wait()

    lines = record()
    events = [json.loads(line) for line in lines.splitlines()]
    times = collections.Counter((event["session"], event["tokens"]["total"]) for event in events)
    twice = sum(1 for count in times.values() if count > 1)
    last = {event["session"]: event["tokens"]["total"] for event in events}
    restored = sum(event["restored"] for event in events)
    errors.close()
    said = (root / "errors").read_text()
    print(f"kills:                     {KILLS}")
    print(f"usage events written:      {writer.events}")
    print(f"lines in the record:       {len(events)}, {restored} of them restored, {len(lines)} bytes")
    print(f"torn at a kill, repaired:  {torn}")
    print(f"session and total twice:   {twice}")
    print(f"last totals = replay:      {last == replayed}")
    print(f"replay = what was written: {replayed == truth}")
    print(f"warnings:                  {said or 'none'}")
    good = lines.endswith(b"\n") and twice == 0 and last == replayed == truth and not said
    sys.exit(0 if good else 1)


main()
