"""One scenario's world: temporary homes, the model, a Discord, a daemon with its watcher. Nothing outlives it."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from discord import Discord
from model import Model
from terminal import Terminal

SETTINGS = """
[discord]
application_id = "123456789012345678"
clients = ["{discord}"]
[sources]
codex_home = ["{home}/.codex"]
claude_home = ["{home}/.claude"]
[publish]
min_interval = "1s"
tokens_interval = "1s"
[record]
enabled = true
[log]
level = "debug"
"""


class World:
    """Everything around one scenario, with what was heard meanwhile."""

    def __init__(self, program, client, version, keep=None):
        self.program = program
        self.version = version
        # Short: a socket's path has an end. Not in /tmp itself, which clients warn of.
        self.root = tempfile.mkdtemp(prefix="ap-real-", dir="/var/tmp")
        self.keep = keep
        self.home = self.folder("h")
        self.project = self.folder("h/app")
        self.state = self.folder("s")
        os.chmod(self.state, 0o700)
        self.model = Model(client.SCRIPTS, client.HELPERS)
        self.discord = Discord(f"{self.root}/d/discord-ipc-0")
        self.settings = f"{self.root}/config.toml"
        with open(self.settings, "w") as file:
            file.write(SETTINGS.format(discord=self.discord.path, home=self.home))
        # Beside the usual, in the environment of this program.
        self.more_env = {}
        self.children = []
        self.terminals = []
        self.events = []
        self.notes = []
        # What this version of the client does not write down or cannot do.
        self.cannot = []
        self.streams = []
        # Of agents whose requests do not name their session: its id, by the tag of its prompts.
        self.tags = {}
        self.without_files = False
        # Whether a turn begins with a prompt alone, as it does where no client starts one by itself.
        self.same_turns = True

    def folder(self, name):
        path = os.path.join(self.root, name)
        os.makedirs(path, exist_ok=True)
        return path

    # What runs here.

    def env(self, **more):
        path = os.path.dirname(shutil.which("node") or "/usr/bin/node") + ":/usr/local/bin:/usr/bin:/bin"
        return {"PATH": path, "HOME": self.home, "LANG": "C.UTF-8", "TZ": "UTC", "TMPDIR": self.folder("t"), **more}

    def own_env(self):
        return self.env(AGENT_PRESENCE_STATE_DIR=self.state, AGENT_PRESENCE_CONFIG=self.settings, **self.more_env)

    def start_daemon(self):
        self._spawn([self.program, "run", "-q"], self.own_env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.until(lambda: self.status()["daemon"]["state"] == "running", "the daemon runs")
        watch = self._spawn([self.program, "watch", "--json"], self.own_env(), stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, args=(watch.stdout,), daemon=True).start()

    def restart_daemon(self, **more_env):
        """The daemon and its watcher again, in another environment."""
        for child in reversed(self.children):
            self._end(child)
        self.more_env = more_env
        self.start_daemon()

    def _listen(self, lines):
        for line in lines:
            self.events.append({**json.loads(line), "heard": time.time()})

    def _spawn(self, command, env, **how):
        child = subprocess.Popen(command, env=env, stdin=how.pop("stdin", subprocess.DEVNULL), start_new_session=True, **how)
        self.children.append(child)
        return child

    def client(self, command, env, seconds=90, through_tap=None):
        """Runs a client to its end; `through_tap`: what it prints goes through `tap` as it comes."""
        child = self._spawn(command, env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.project)
        served = len(self.model.served)
        ending = threading.Timer(seconds, self._too_slow, (child,))
        ending.start()
        if through_tap:
            self._tap(child, through_tap, served)
        else:
            child.stdout.read()
        child.wait()
        ending.cancel()

    def _too_slow(self, child):
        self.notes.append("a client did not end in time")
        self._end(child)

    def _tap(self, child, agent, served):
        tap = self._spawn([self.program, "tap", "--agent", agent], self.own_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        came = []
        reader = threading.Thread(target=lambda: came.append(tap.stdout.read()))
        reader.start()
        sent = b""
        while chunk := child.stdout.read1(1 << 16):
            sent += chunk
            tap.stdin.write(chunk)
            tap.stdin.flush()
        tap.stdin.close()
        reader.join()
        if came != [sent]:
            self.notes.append("tap changed the bytes")
        self.streams.append((tap.stderr.read().decode().strip(), served, len(self.model.served)))
        tap.wait()

    def background(self, command, env):
        """Starts a client and goes on."""
        return self._spawn(command, env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.project)

    def terminal(self, command, env):
        terminal = Terminal(f"{self.root}/t{len(self.terminals)}.sock", command, env, self.project)
        self.terminals.append(terminal)
        return terminal

    def prompt(self, terminal, text):
        """Types a prompt and sees it arrive; an offer that came over it may have taken the key, so it is typed again."""
        before = len(self.model.served)
        for _ in range(2):
            terminal.text(text)
            end = time.time() + 8
            while time.time() < end:
                if len(self.model.served) > before:
                    return
                time.sleep(0.05)
        self.notes.append("a prompt never arrived: " + " / ".join(terminal.screen().split())[-300:])

    # What it says.

    def ask(self, *arguments):
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, env=self.own_env(), timeout=60)
        return done.stdout

    def status(self):
        return json.loads(self.ask("status", "--json"))

    def replay(self, *paths):
        return [json.loads(line) for line in self.ask("replay", "--json", *paths).splitlines()]

    def record(self):
        rows = []
        folder = os.path.join(self.state, "record")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name)) as file:
                rows += [json.loads(line) for line in file]
        return rows

    def until(self, holds, what, seconds=20):
        """Waits until something holds; notes it where it never does."""
        end = time.time() + seconds
        while time.time() < end:
            try:
                if holds():
                    return True
            except (ValueError, KeyError, OSError):
                pass
            time.sleep(0.05)
        self.notes.append(f"never within {seconds} s: {what() if callable(what) else what}")
        return False

    def activity(self, *wanted, seconds=15):
        """Waits until some session is doing that, from now on or already."""
        def now():
            return {session["activity"] for session in self.status()["sessions"] if session["parent"] is None}

        return self.until(lambda: now() & set(wanted), lambda: f"activity {' or '.join(wanted)} (is {', '.join(sorted(now())) or 'none'})", seconds)

    def served(self, count, seconds=40):
        """Waits until so many answers of turns were given to their ends."""
        return self.until(lambda: sum(1 for one in self.model.served if one["status"] == 200 and one["kind"] != "side") >= count,
                          lambda: f"{count} answers" + "".join(f"; the screen: {' / '.join(terminal.screen().split())[-300:]}" for terminal in self.terminals), seconds)

    def settle(self, seconds=15):
        """Waits until the daemon has heard all that the clients have written: nothing new for a second and a half."""
        end = time.time() + seconds
        while time.time() < end:
            before = len(self.events)
            time.sleep(1.5)
            if len(self.events) == before:
                return

    def kill(self, child):
        """Kills a client and all that it started at once, when the daemon has read what they wrote until then."""
        self.settle()
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(5)

    def kill_in_terminals(self):
        """The same of clients in terminals. What they started goes first: it would hear of their ends."""
        own = {child.pid for child in self.children}
        for pid in sorted(set(processes_of(self.home)) - own, reverse=True):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    # The end.

    def _end(self, child):
        for sort in (signal.SIGTERM, signal.SIGKILL):
            if child.poll() is None:
                try:
                    os.killpg(child.pid, sort)
                    child.wait(5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass

    def end_strays(self):
        """Ends what clients left behind: every process whose HOME is this world's."""
        for sort in (signal.SIGTERM, signal.SIGKILL):
            own = {child.pid for child in self.children}
            strays = [pid for pid in processes_of(self.home) if pid not in own]
            for pid in strays:
                try:
                    os.kill(pid, sort)
                except ProcessLookupError:
                    pass
            if strays:
                time.sleep(0.3)

    def close_clients(self):
        for terminal in self.terminals:
            terminal.close()
        self.terminals = []

    def close(self):
        self.close_clients()
        for child in reversed(self.children):
            self._end(child)
        self.end_strays()
        self.model.close()
        self.discord.close()
        if self.keep:
            shutil.rmtree(self.keep, ignore_errors=True)
            shutil.copytree(self.root, self.keep, symlinks=True, ignore=not_to_keep)
        shutil.rmtree(self.root, ignore_errors=True)


def processes_of(home):
    """The processes whose environment names this home. Read from Linux's /proc; elsewhere none is found."""
    if not os.path.isdir("/proc"):
        return
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if f"HOME={home}".encode() in file.read().split(b"\0"):
                        yield int(name)
            except OSError:
                pass


def not_to_keep(folder, names):
    """What is no plain file or folder, and programs that clients unpack."""
    def unusual(name):
        path = os.path.join(folder, name)
        return os.path.islink(path) or not (os.path.isdir(path) or os.path.isfile(path)) or name in ("packages", "skills")

    return [name for name in names if unusual(name)]
