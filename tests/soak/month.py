#!/usr/bin/env python3
"""A month of a daemon's life in minutes, on real files, sockets and processes.

    tests/soak/month.py [--minutes 10] [--days 30] [--sessions 20000] [--keep]

Every "day" sessions of both agents begin, grow and end, old ones lie around by the thousand, Discord restarts, the machine
"sleeps" (SIGSTOP), settings change and break, another daemon takes over, one is killed, the state folder's disk fills up
and is empty again (where we may mount a small one), the state folder and a session folder vanish and come back, and logs
of earlier days lie there. After each day everything comes to rest, and what `status` and Discord show is held against
what the agents wrote by their own count. Memory, open files, threads, the state folder and the log have to stay flat.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import world

# What a checkpoint may be above the median of the first days. Memory follows the sessions of the last 24 hours, which
# here are the whole month's; see BYTES_PER_SESSION.
MORE_MEMORY, BYTES_PER_SESSION = 8.0, 20_000
MORE_FILES, MORE_THREADS = 4, 1
# In MB, for the log of a day with few sessions; a log has 1 KB for each live one, a fifth of all.
STATE, DISK, SESSIONS_PER_MB = 4, 3, 5000
LOGS = 7


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--sessions", type=int, default=20000, help="small sessions over the month, most of them old")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder behind")
    return parser.parse_args()


class Month:
    def __init__(self, options):
        self.options, self.random = options, random.Random(options.seed)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ap-month-"))
        state = self.folder / "state"
        state.mkdir()
        self.disk = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.megabytes(DISK)}m,mode=700", "tmpfs", str(state)], capture_output=True).returncode == 0
        if not self.disk:
            print("without full disks: a small disk for the state folder can only be mounted as root")
        self.home = world.Home(self.folder, state)
        self.discord = world.Discord(self.home.run / "discord-ipc-0")
        self.live, self.figures, self.failures, self.old, self.settings = [], [], [], 0, 0
        self.at_work, self.lives = [], 0

    def megabytes(self, least):
        return least + max(0, self.options.sessions - 20000) // SESSIONS_PER_MB

    def say(self, text):
        print(text, flush=True)

    # What happens in a day.

    def session(self):
        kind = self.random.choice([world.Codex, world.Claude])
        session = kind(self.home.codex if kind is world.Codex else self.home.claude)
        session.turn()
        self.live.append(session)
        self.at_work.append(session)
        return session

    def old_sessions(self, count):
        """Sessions of earlier months: a few lines, and a time long ago."""
        for _ in range(count):
            ago = self.random.uniform(2, 200) * 86400
            kind = self.random.choice([world.Codex, world.Codex, world.Claude])
            began = time.time() - ago
            session = kind(self.home.codex if kind is world.Codex else self.home.claude, began)
            session.uses(self.random.randrange(10, 9999), began)
            os.utime(session.path, (began, began))
            self.old += 1

    def work(self, seconds):
        """Agents write, in bursts and alone, while the day goes on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.live or self.random.random() < 0.05:
                self.session()
            # The latest ones; a line in one that has ended begins a turn.
            session = self.random.choice(self.live[-12:])
            if session not in self.at_work:
                self.at_work.append(session)
            what = self.random.random()
            if what < 0.7:
                for _ in range(self.random.choice([1, 1, 1, 5, 40])):
                    session.uses(self.random.randrange(20, 20000), used=self.random.randrange(1, 99))
            elif what < 0.85:
                session.turn()
            else:
                session.ends()
            time.sleep(self.random.choice([0, 0.005, 0.05, 0.2]))

    def many(self, count):
        """A crowd of small sessions, live by their time."""
        for _ in range(count):
            session = self.session()
            session.uses(self.random.randrange(10, 999))
            session.ends()
            self.at_work.pop()

    def discord_restarts(self):
        self.discord.stop()
        self.work(0.3)
        self.discord.start()

    def sleeps(self):
        self.home.daemon.send_signal(signal.SIGSTOP)
        self.work(0.5)
        self.home.daemon.send_signal(signal.SIGCONT)

    def settings_change(self):
        self.settings += 1
        self.home.settings("this is = = broken\n")
        self.work(0.2)
        self.home.settings(f"[card]\nidle_after = \"{15 + self.settings % 3}m\"\n[privacy]\nproject = {str(self.settings % 2 == 0).lower()}\n")

    def takeover(self):
        before = self.home.daemon
        self.home.start()
        if before.wait(30) != 0:
            self.failures.append(f"the daemon that handed over ended with {before.returncode}")
        self.lives += 1

    def killed(self):
        self.home.daemon.kill()
        self.home.daemon.wait()
        # A daemon that is killed cannot tell the next one what it has spent of Discord's patience.
        self.discord.forget()
        self.work(0.2)
        self.home.start()
        self.lives += 1

    def disk_full(self):
        if not self.disk:
            return
        filler = self.home.state / "filler"
        try:
            with open(filler, "wb") as file:
                while True:
                    file.write(b"x" * 65536)
                    file.flush()
        except OSError:
            pass
        self.home.running()
        paused = self.home.command("pause")
        if paused.returncode != 0:
            self.failures.append(f"pause ended with {paused.returncode}: {paused.stderr}")
        self.work(1.5)
        is_told = lambda status: any("could not write to the state folder" in issue for issue in status["config"]["issues"])
        self.home.wait("a word on the full disk", is_told, 20)
        filler.unlink()
        self.home.command("resume")
        self.home.wait("the end of a full disk", lambda status: not is_told(status), 20)

    def state_vanishes(self):
        for path in self.home.state.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        self.work(0.3)
        pid = self.home.daemon.pid
        self.home.wait("the daemon in a new state folder", lambda status: status["daemon"]["pid"] == pid)

    def sessions_vanish(self):
        folder = self.home.codex / "sessions"
        away = self.home.codex / "away"
        os.rename(folder, away)
        time.sleep(0.5)
        os.rename(away, folder)

    def logs_of_earlier_days(self):
        for day in range(1, 15):
            (self.home.state / f"agent-presence.2026-01-{day:02}.log").write_text("an earlier day\n" * 100)

    def day(self, day, seconds):
        happenings = [self.discord_restarts, self.sleeps, self.settings_change, self.takeover, self.killed, self.disk_full,
                      self.state_vanishes, self.sessions_vanish, self.logs_of_earlier_days]
        # Each kind happens at least once, also where the random choice leaves it out.
        today = [happenings[day % len(happenings)], happenings[(day * 4 + 2) % len(happenings)]]
        today += [happening for happening in happenings[:3] if self.random.random() < 0.3]
        begin = time.monotonic()
        self.old_sessions(self.options.sessions // self.options.days * 4 // 5)
        self.many(self.options.sessions // self.options.days // 5)
        for happening in dict.fromkeys(today):
            happening()
            self.work(0.3)
        self.work(max(0.5, seconds - (time.monotonic() - begin) - 6))
        return [happening.__name__ for happening in dict.fromkeys(today)]

    # What it comes to.

    def checkpoint(self, day, happened):
        # One session is at work in the end, so that there is no question which one is shown.
        for session in self.at_work:
            session.ends()
        self.at_work.clear()
        last = self.session()
        last.uses(1234, used=self.random.randrange(1, 99))
        pid = self.home.daemon.pid

        def wrong(status):
            found = world.wrong_figures(status, self.live)
            if status["daemon"]["pid"] != pid:
                found.append(f"process {status['daemon']['pid']}, not {pid}")
            if not status["card"] or status["card"]["session"] != last.id:
                found.append("another session is shown")
            card = world.wrong_card(status, self.discord.card)
            return found + ([card] if card else [])

        found, end = ["never asked"], time.monotonic() + 90
        begin = time.monotonic()
        while found and time.monotonic() < end:
            found = wrong(self.home.status())
            time.sleep(0 if not found else 0.3)
        settled = time.monotonic() - begin
        memory, files, threads = world.cost(pid)
        state = world.size(self.home.state)
        log = self.home.log.stat().st_size
        self.figures.append((len(self.live), memory, files, threads, state))
        self.say(f"day {day + 1:2}: {self.old:6} old, {len(self.live):5} live sessions, {memory:6.1f} MB, {files:3} files, "
                 f"{threads:2} threads, state {state / 1024:7.1f} KB, log {log / 1024:8.1f} KB, settled in {settled:4.1f} s"
                 f"  ({', '.join(happened)})")
        self.failures += [f"day {day + 1}: {what}" for what in found[:5]]
        self.failures += [f"day {day + 1}: Discord complains: {what}" for what in self.discord.faults]
        self.discord.faults = []
        if state > self.megabytes(STATE) << 20:
            self.failures.append(f"day {day + 1}: the state folder has {state} bytes")
        logs = len(list(self.home.state.glob("agent-presence.*.log")))
        if logs > LOGS + 14:
            self.failures.append(f"day {day + 1}: {logs} logs are kept")

    def judge(self):
        """Flat: what the last days cost, beyond what their sessions cost, against the first ones."""
        if len(self.figures) < 4:
            return
        first = self.figures[1:4]

        def usual(index):
            return sorted(figure[index] for figure in first)[len(first) // 2]

        sessions = usual(0)
        for day, (live, memory, files, threads, _) in list(enumerate(self.figures))[4:]:
            allowed = usual(1) + MORE_MEMORY + max(0, live - sessions) * BYTES_PER_SESSION / (1 << 20)
            if memory > allowed:
                self.failures.append(f"day {day + 1}: {memory:.1f} MB, more than {allowed:.1f}")
            if files > usual(2) + MORE_FILES:
                self.failures.append(f"day {day + 1}: {files} open files, at first {usual(2)}")
            if threads > usual(3) + MORE_THREADS:
                self.failures.append(f"day {day + 1}: {threads} threads, at first {usual(3)}")

    def run(self):
        begin = time.monotonic()
        seconds = self.options.minutes * 60 / self.options.days
        self.old_sessions(self.options.sessions // 20)
        self.home.start()
        self.home.running()
        for day in range(self.options.days):
            happened = self.day(day, seconds)
            self.checkpoint(day, happened)
        self.judge()
        if self.home.stop() != 0:
            self.failures.append(f"the daemon ended with {self.home.daemon.returncode}")
        if self.discord.card is not None:
            self.failures.append("the card is still there")
        text = self.home.log.read_text(errors="replace")
        if "internal error at" in text or world.CONTENT in text:
            self.failures.append("a defect, or content, in the log")
        return time.monotonic() - begin

    def clean(self):
        if self.home.daemon and self.home.daemon.poll() is None:
            self.home.daemon.kill()
            self.home.daemon.wait()
        self.discord.stop()
        if self.disk:
            subprocess.run(["umount", str(self.home.state)], capture_output=True)
        if self.options.keep:
            print(f"left behind: {self.folder}")
        else:
            world.remove(self.folder)


def main():
    if sys.platform != "linux":
        raise SystemExit("could not run: costs are read from /proc, which only Linux has")
    month = Month(arguments())
    month.say(f"program: {world.program()}")
    try:
        took = month.run()
    finally:
        month.clean()
    for failure in month.failures:
        month.say(f"FAILED  {failure}")
    if month.failures:
        raise SystemExit(1)
    month.say(f"ok: {month.options.days} days in {took / 60:.1f} minutes, {month.old + len(month.live)} sessions, "
              f"{month.discord.restarts} Discord restarts, {month.lives} other daemons, {month.discord.frames} frames")


if __name__ == "__main__":
    main()
