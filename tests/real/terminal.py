"""An interactive client in tmux: what a person would type, and what stands on the screen."""
import os
import shutil
import subprocess
import time


def at_hand():
    return shutil.which("tmux") is not None


class Terminal:
    """One client in one window of a tmux server of its own."""

    def __init__(self, socket, command, env, cwd, width=120, height=40):
        self.socket = socket
        # tmux keeps what it inherits, so the client gets its environment alone.
        pairs = [f"{name}={value}" for name, value in {**env, "TERM": "xterm-256color"}.items()]
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-c", cwd,
                   "env", "-i", *pairs, *command)

    def _tmux(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, *arguments], capture_output=True, text=True, timeout=20)

    def pid(self):
        out = self._tmux("list-panes", "-F", "#{pane_pid}").stdout.split()
        return int(out[0]) if out else None

    def screen(self):
        return self._tmux("capture-pane", "-p").stdout

    def keys(self, *names):
        self._tmux("send-keys", *names)

    def text(self, text):
        """Types a text and presses Enter."""
        self.type(text)
        self.keys("Enter")

    def type(self, text):
        """Types a text and sees it stand there; a client that gets the next key with it takes both for a paste."""
        for _ in range(3):
            self._tmux("send-keys", "-l", text)
            if self.wait_for(text[-10:], seconds=4):
                break
            self.keys("Escape", "C-u")
        self.still(0.4, seconds=3)

    def still(self, how_long, seconds=20):
        """Waits until the screen has not changed for so long."""
        end, before, since = time.time() + seconds, None, time.time()
        while time.time() < end and time.time() - since < how_long:
            screen = self.screen()
            if screen != before:
                before, since = screen, time.time()
            time.sleep(0.1)

    def wait_for(self, *words, seconds=20):
        """Whether one of the words comes onto the screen in time."""
        end = time.time() + seconds
        while time.time() < end:
            screen = self.screen()
            if any(word in screen for word in words):
                return True
            time.sleep(0.1)
        return False

    def close(self):
        self._tmux("kill-server")
        if os.path.exists(self.socket):
            os.unlink(self.socket)
