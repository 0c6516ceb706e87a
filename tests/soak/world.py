"""What the soak scripts share: agents that write session files, a strict Discord, the daemon, and what it costs.

Nothing here reads a real home, touches the network or needs anything but Python and a built agent-presence.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
APPLICATION = "1234567890123456789"
CONTENT = "SECRET-CONTENT"

# Discord allows 5 changes in 20 s to all programs of a user, and answers two handshakes a minute.
CHANGES, CHANGES_SPAN = 4, 20.0
CONNECTIONS, CONNECTIONS_SPAN = 2, 60.0


def program():
    """The built program: AGENT_PRESENCE, else the newest of what cargo built here."""
    named = os.environ.get("AGENT_PRESENCE")
    if named:
        return named
    built = [ROOT / ".build/target" / kind / "agent-presence" for kind in ("release", "debug")]
    built = sorted((path for path in built if path.exists()), key=lambda path: path.stat().st_mtime)
    if not built:
        raise SystemExit("could not find the program: run `cargo build` first, or set AGENT_PRESENCE")
    return str(built[-1])


def stamp(seconds=None):
    seconds = time.time() if seconds is None else seconds
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03}Z"


def uuid7(seconds):
    millis = int(seconds * 1000)
    rest = uuid.uuid4().hex
    return f"{millis >> 16:08x}-{millis & 0xFFFF:04x}-7{rest[0:3]}-8{rest[3:6]}-{rest[6:18]}"


def append(path, *lines):
    """One write, as agents do it."""
    data = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
    with open(path, "ab", buffering=0) as file:
        file.write(data)


class Codex:
    """A Codex session in the form of 0.160, and what it has used by its own count."""

    agent = "codex"

    def __init__(self, home, began=None):
        began = time.time() if began is None else began
        self.id, self.total, self.delta, self.turns = uuid7(began), 0, None, 0
        self.counters = {"input_tokens": 0, "cached_input_tokens": 0, "cache_write_input_tokens": 0,
                         "output_tokens": 0, "reasoning_output_tokens": 0, "total_tokens": 0}
        day = time.strftime("%Y/%m/%d", time.gmtime(began))
        name = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(began))
        self.path = pathlib.Path(home) / "sessions" / day / f"rollout-{name}-{self.id}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        meta = {"id": self.id, "timestamp": stamp(began), "cwd": f"/home/{CONTENT}/app", "originator": "codex-tui",
                "cli_version": "0.160.0", "source": "cli", "git": {"branch": "main"}, "instructions": CONTENT}
        context = {"cwd": f"/home/{CONTENT}/app", "model": "gpt-5.6-sol", "effort": "high", "summary": "auto"}
        append(self.path, self.line("session_meta", meta, began), self.line("turn_context", context, began))

    @staticmethod
    def line(kind, payload, at=None):
        return {"timestamp": stamp(at), "type": kind, "payload": payload}

    def turn(self, at=None):
        self.turns += 1
        append(self.path,
               self.line("event_msg", {"type": "task_started", "turn_id": f"turn-{self.turns}",
                                       "model_context_window": 258400}, at),
               self.line("event_msg", {"type": "user_message", "message": CONTENT}, at))

    def uses(self, tokens, at=None, used=None):
        """A response that used so many tokens beyond the cache, a tenth of them output."""
        output = max(1, tokens // 10)
        last = {"input_tokens": tokens - output + 100, "cached_input_tokens": 100, "cache_write_input_tokens": 0,
                "output_tokens": output, "reasoning_output_tokens": 0, "total_tokens": tokens + 100}
        for key, value in last.items():
            self.counters[key] += value
        self.total += tokens
        self.delta = tokens
        info = {"total_token_usage": dict(self.counters), "last_token_usage": last, "model_context_window": 258400}
        limits = None
        if used is not None:
            now = int(time.time())
            limits = {"limit_id": "codex", "plan_type": "plus",
                      "primary": {"used_percent": used, "window_minutes": 300, "resets_at": now + 9000},
                      "secondary": {"used_percent": used / 2, "window_minutes": 10080, "resets_at": now + 300000}}
        append(self.path, self.line("event_msg", {"type": "token_count", "info": info, "rate_limits": limits}, at))

    def ends(self, at=None):
        append(self.path, self.line("event_msg", {"type": "task_complete", "turn_id": f"turn-{self.turns}",
                                                  "last_agent_message": CONTENT}, at))


class Claude:
    """A Claude Code session in the form of 2.1.270, and what it has used by its own count."""

    agent = "claude"

    def __init__(self, home, began=None):
        self.id, self.total, self.delta, self.began = str(uuid.uuid4()), 0, None, began
        self.path = pathlib.Path(home) / "projects/-home-app" / f"{self.id}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.turn(began)

    def line(self, kind, fields, at=None):
        return {"type": kind, "uuid": str(uuid.uuid4()), "parentUuid": None, "isSidechain": False,
                "sessionId": self.id, "cwd": f"/home/{CONTENT}/app", "version": "2.1.270", "gitBranch": "main",
                "entrypoint": "cli", "timestamp": stamp(at), **fields}

    def turn(self, at=None):
        append(self.path, self.line("user", {"message": {"role": "user", "content": CONTENT}}, at))

    def uses(self, tokens, at=None, used=None):
        """A message that is written twice, as Claude Code streams it: first with less than it used in the end."""
        output = max(2, tokens // 10)
        name = uuid.uuid4().hex
        before = self.total

        def message(output):
            usage = {"input_tokens": tokens - max(2, tokens // 10), "cache_creation_input_tokens": 0,
                     "cache_read_input_tokens": 1000, "output_tokens": output}
            return {"requestId": f"req_{name}", "message": {
                "id": f"msg_{name}", "type": "message", "role": "assistant", "model": "claude-opus-5",
                "content": [{"type": "text", "text": CONTENT}], "stop_reason": None, "usage": usage}}

        append(self.path, self.line("assistant", message(1), at), self.line("assistant", message(output), at))
        self.total = before + tokens - max(2, tokens // 10) + output
        self.delta = output - 1

    def ends(self, at=None):
        append(self.path, self.line("system", {"subtype": "turn_duration", "durationMs": 41000}, at))


class Discord:
    """A Discord client's socket, strict about what it is sent and how often; it can go and come back."""

    def __init__(self, path):
        self.path, self.faults, self.lock = str(path), [], threading.Lock()
        self.card, self.frames, self.changes, self.opened, self.restarts = None, 0, [], [], 0
        self.listener, self.connections = None, []
        self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.listener.close()
        # Closing does not wake an accept that waits.
        try:
            with socket.socket(socket.AF_UNIX) as knock:
                knock.connect(self.path)
        except OSError:
            pass
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections = []
        self.card = None
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.restarts += 1

    def forget(self):
        """Counts changes and connections anew."""
        with self.lock:
            self.changes, self.opened = [], []

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if listener is not self.listener or listener.fileno() < 0:
                connection.close()
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        def read(length):
            data = b""
            while len(data) < length:
                more = connection.recv(length - len(data))
                if not more:
                    raise EOFError
                data += more
            return data

        def send(opcode, body):
            data = json.dumps(body).encode()
            connection.sendall(struct.pack("<II", opcode, len(data)) + data)

        try:
            while True:
                opcode, length = struct.unpack("<II", read(8))
                body = json.loads(read(length)) if length else None
                if opcode == 0:
                    self.connected(body)
                    send(1, {"cmd": "DISPATCH", "evt": "READY", "nonce": None, "data": {
                        "v": 1, "config": {"api_endpoint": "//discord.com/api", "environment": "production"},
                        "user": {"id": "100000000000000001", "username": "somebody"}}})
                elif opcode == 1:
                    activity = body["args"].get("activity")
                    self.show(connection, activity)
                    send(1, {"cmd": body["cmd"], "data": activity, "evt": None, "nonce": body["nonce"]})
                elif opcode == 2:
                    break
                else:
                    self.faults.append(f"opcode {opcode}")
        except (EOFError, OSError, ValueError):
            pass
        finally:
            if connection in self.connections:
                self.connections.remove(connection)
                self.card = None
            connection.close()

    def connected(self, hello):
        now = time.monotonic()
        with self.lock:
            if hello != {"v": 1, "client_id": APPLICATION}:
                self.faults.append(f"handshake {hello}")
            self.opened = [at for at in self.opened if at > now - CONNECTIONS_SPAN] + [now]
            if len(self.opened) > CONNECTIONS:
                self.faults.append(f"{len(self.opened)} connections within a minute")

    def show(self, connection, activity):
        now = time.monotonic()
        with self.lock:
            self.frames += 1
            if activity is not None:
                for key in ("name", "details", "state"):
                    text = activity.get(key)
                    if text is not None and not 2 <= len(text.encode("utf-16-le")) // 2 <= 128:
                        self.faults.append(f"{key} of a wrong length: {text!r}")
                if CONTENT in json.dumps(activity):
                    self.faults.append("content on a card")
            if connection not in self.connections:
                return
            if activity != self.card:
                self.card = activity
                self.changes = [at for at in self.changes if at > now - CHANGES_SPAN] + [now]
                if len(self.changes) > CHANGES + (activity is None):
                    self.faults.append(f"{len(self.changes)} changes within {CHANGES_SPAN:.0f} s")


class Home:
    """A user's folders, and the daemon in them."""

    def __init__(self, folder, state=None):
        self.folder = pathlib.Path(folder)
        self.state = pathlib.Path(state) if state else self.folder / "state"
        self.codex, self.claude = self.folder / "home/.codex", self.folder / "home/.claude"
        self.run = self.folder / "run"
        for made in (self.codex / "sessions", self.claude / "projects", self.run, self.state):
            made.mkdir(parents=True, exist_ok=True)
        os.chmod(self.state, 0o700)
        self.config = self.folder / "config.toml"
        self.settings()
        self.daemon, self.log = None, self.folder / "daemon.log"

    def settings(self, more=""):
        text = (f"[discord]\nclients = [\"{self.run}/discord-ipc-0\"]\n"
                f"[publish]\nsettle = \"0ms\"\nmin_interval = \"1s\"\ntokens_interval = \"1s\"\n{more}")
        part = self.config.with_suffix(".new")
        part.write_text(text)
        os.rename(part, self.config)

    def environment(self):
        return {"HOME": str(self.folder / "home"), "PATH": "/usr/bin:/bin", "TZ": "UTC", "XDG_RUNTIME_DIR": str(self.run),
                "AGENT_PRESENCE_CONFIG": str(self.config), "AGENT_PRESENCE_STATE_DIR": str(self.state),
                "AGENT_PRESENCE_APPLICATION_ID": APPLICATION, "CODEX_HOME": str(self.codex),
                "CLAUDE_CONFIG_DIR": str(self.claude)}

    def start(self, before=(), arguments=("run",)):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([*before, program(), *arguments], env=self.environment(), cwd=self.folder,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self.daemon

    def command(self, *arguments, timeout=60):
        return subprocess.run([program(), *arguments], env=self.environment(), cwd=self.folder, timeout=timeout,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def status(self, timeout=60):
        done = self.command("status", "--json", timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"status ended with {done.returncode}: {done.stderr}")
        if CONTENT in done.stdout:
            raise RuntimeError("content in status")
        return json.loads(done.stdout)

    def wait(self, what, wanted, seconds=60):
        """Asks `status` until it says what is wanted."""
        end, status = time.monotonic() + seconds, None
        while time.monotonic() < end:
            status = self.status()
            if wanted(status):
                return status
            time.sleep(0.2)
        raise RuntimeError(f"waited in vain for {what}: {json.dumps(status)[:3000]}")

    def running(self):
        return self.wait("the daemon", lambda status: status["daemon"]["state"] == "running")

    def stop(self, seconds=15):
        """A polite end; the exit code. A daemon that does not end hangs."""
        self.daemon.send_signal(signal.SIGTERM)
        try:
            return self.daemon.wait(seconds)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
            raise RuntimeError("the daemon hangs: it did not end")


def wrong_figures(status, sessions):
    """What `status` says of the sessions, against what they have used by their own count."""
    told = {session["id"]: session for session in status["sessions"]}
    wrong = []
    for session in sessions:
        seen = told.get(session.id)
        if seen is None:
            wrong.append(f"{session.agent} {session.id} is not listed")
        elif seen["tokens"]["total"] != (session.total if session.delta is not None else None):
            wrong.append(f"{session.agent} {session.id}: {seen['tokens']['total']}, not {session.total}")
    return wrong


def wrong_card(status, card):
    """What Discord was sent last, against what `status` says is on the card."""
    said = status["card"]
    if (said is None) != (card is None):
        return f"Discord shows {card}, status says {said}"
    if said is None:
        return None
    same = all(said[key] == card.get(key) for key in ("name", "details", "state"))
    return None if same else f"Discord shows {card}, status says {said}"


def cost(pid):
    """Resident memory in MB, open files and threads of a process."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    memory = int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024
    threads = int(re.search(r"Threads:\s+(\d+)", text)[1])
    return memory, len(os.listdir(f"/proc/{pid}/fd")), threads


def size(folder):
    total = 0
    for path in pathlib.Path(folder).rglob("*"):
        try:
            if path.is_file():
                total += path.stat().st_size
        except OSError:
            pass
    return total


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
