#!/usr/bin/env python3
"""The daemon while system calls fail: never a wrong number, never a hang, nothing lost once they work again.

    tests/soak/faults.py [NAME...]        all rounds, or those whose name contains one of these words

Each round starts the daemon under `strace --inject`, lets two sessions grow and Discord restart while calls of one kind
fail now and then, and lets go of the daemon (strace detaches, so that nothing fails any more). Then the figures in
`status` have to equal the sessions' own count and `replay --json` of their files, the card in Discord the one of `status`
and `preview`, and `stop` has to end the daemon in time with exit code 0.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import world

# strace counts each thread's calls by themselves; the first ones pass, so that the program can be loaded at all.
ROUNDS = {
    "open EIO": "openat:error=EIO:when=12+5",
    "open EMFILE": "openat:error=EMFILE:when=12+3",
    "open ENOSPC": "openat:error=ENOSPC:when=12+4",
    "read EIO": "read:error=EIO:when=2+3",
    "read EINTR": "read:error=EINTR:when=1+2",
    "write ENOSPC": "write:error=ENOSPC:when=2+3",
    "write EINTR": "write:error=EINTR:when=1+2",
    "rename EIO": "rename:error=EIO:when=2+2",
    "rename ENOSPC": "rename:error=ENOSPC:when=2+1",
    "connect ECONNREFUSED": "connect:error=ECONNREFUSED:when=1+2",
    # A daemon is asked at several places; one that is full each time is taken for hung, so not every try may fail.
    "connect EAGAIN": "connect:error=EAGAIN:when=1+7",
    "accept EMFILE": "accept4:error=EMFILE:when=1+2",
    "accept ECONNABORTED": "accept4:error=ECONNABORTED:when=1+3",
    "receive ECONNRESET": "recvfrom:error=ECONNRESET:when=3+5",
    "send EPIPE": "sendto:error=EPIPE:when=3+4",
    "stat EIO": "statx:error=EIO:when=12+5",
    "list EIO": "getdents64:error=EIO:when=2+3",
    "watch ENOSPC": "inotify_add_watch:error=ENOSPC",
    "watch EMFILE": "inotify_init1:error=EMFILE",
    "poll EINTR": "epoll_wait:error=EINTR:when=2+40",
    "slow disk": "openat:delay_enter=50000:when=12+2",
}
# One that fails from the start can end the daemon before it begins, with a message; a service manager starts it again.
STARTS = 8


def replayed(home, sessions):
    """The totals of the files by `replay`, which knows nothing of the daemon."""
    done = home.command("replay", "--json", *[str(session.path) for session in sessions], timeout=120)
    totals = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event["event"] == "usage":
            totals[event["session"]] = event["tokens"]["total"]
    return totals


def start(home, inject, sessions):
    call = inject.split(":")[0]
    for attempt in range(STARTS):
        # Another call fails first each time, or every start would end at the same place.
        later = re.sub(r"when=(\d+)", lambda first: f"when={int(first[1]) + 3 * attempt}", inject)
        trace = ["strace", "-f", "-qqq", "-o", str(home.folder / "trace"), "-e", f"trace={call}", "-e", f"inject={later}"]
        # The event descriptors of the runtime never fail in truth, and are not written for it.
        paths = {"read": [session.path for session in sessions] + [home.config],
                 "write": [home.log, home.state / time.strftime("agent-presence.%Y-%m-%d.log")]}
        trace += [word for path in paths.get(call, []) for word in ("-P", str(path))]
        home.start(before=trace)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if home.daemon.poll() is not None:
                break
            try:
                if home.status()["daemon"]["state"] == "running":
                    return
            except RuntimeError:
                pass
            time.sleep(0.2)
        else:
            raise RuntimeError("the daemon hangs: it never answered")
        code = home.daemon.returncode
        if code != 1:
            raise RuntimeError(f"the daemon ended with {code} at its start")
    raise RuntimeError(f"the daemon did not start in {STARTS} tries")


def own_pid(home):
    record = json.loads((home.state / "instance.json").read_text())
    return record["pid"]


def one_round(name, inject):
    folder = tempfile.mkdtemp(prefix="ap-faults-")
    home = world.Home(folder)
    discord = world.Discord(home.run / "discord-ipc-0")
    sessions = [world.Codex(home.codex), world.Claude(home.claude)]
    for session in sessions:
        session.turn()
        session.uses(1000)
    try:
        start(home, inject, sessions)
        pid = own_pid(home)
        for step in range(12):
            for session in sessions:
                session.uses(100 + step, used=step)
            if step == 3:
                sessions.append(world.Codex(home.codex))
                sessions[-1].turn()
            if step == 5:
                discord.stop()
            if step == 6:
                discord.start()
            if step == 8:
                home.settings("[privacy]\nproject = true\n")
            time.sleep(0.4)
        # One alone is at work in the end, so that everybody has to choose it.
        for session in sessions[1:]:
            session.ends()
        sessions[0].turn()
        sessions[0].uses(77)
        time.sleep(0.4)
        issues = home.command("status", timeout=60).stdout.count("could not")
        # A loss of the last calls has to be made good without another event.
        # A strace that is killed lets go; one that is asked to end would end the daemon first.
        home.daemon.kill()
        home.daemon.wait(20)
        if not pathlib.Path(f"/proc/{pid}").exists():
            raise RuntimeError("the daemon ended with its tracer")
        deadline = time.monotonic() + 60
        wrong = ["never asked"]
        while wrong and time.monotonic() < deadline:
            time.sleep(0.5)
            status = home.status()
            wrong = world.wrong_figures(status, sessions)
            if status["daemon"]["state"] != "running":
                wrong.append(f"the daemon is {status['daemon']['state']}")
            card = world.wrong_card(status, discord.card)
            wrong += [card] if card else []
            wrong += [issue for issue in status["config"]["issues"] if "could not" in issue and "watch" not in issue]
        if wrong:
            raise RuntimeError("; ".join(wrong))
        totals = replayed(home, sessions)
        for session in sessions:
            if session.delta is not None and totals.get(session.id) != session.total:
                raise RuntimeError(f"replay says {totals.get(session.id)} of {session.total}")
        preview = home.command("preview").stdout
        if discord.card and discord.card["details"] not in preview:
            raise RuntimeError(f"preview shows another card: {preview}")
        begin = time.monotonic()
        stopped = home.command("stop", timeout=20)
        if stopped.returncode != 0:
            raise RuntimeError(f"stop ended with {stopped.returncode}: {stopped.stderr}")
        while pathlib.Path(f"/proc/{pid}").exists() and "Z" not in state_of(pid):
            if time.monotonic() > begin + 15:
                raise RuntimeError("the daemon hangs: it did not end")
            time.sleep(0.05)
        if discord.card is not None:
            raise RuntimeError("the card is still there")
        faults = [fault for fault in discord.faults if name.split()[0] not in ("receive", "send", "connect") or "within" not in fault]
        if faults:
            raise RuntimeError(f"Discord complains: {faults}")
        log = home.log.read_text(errors="replace")
        if "internal error at" in log or world.CONTENT in log:
            raise RuntimeError("a defect, or content, in the log")
        failed = (home.folder / "trace").read_text(errors="replace").count("INJECTED") or "delayed"
        return f"{failed} calls, {issues} problems told meanwhile"
    except Exception:
        print(home.log.read_text(errors="replace")[-1500:], file=sys.stderr)
        raise
    finally:
        if home.daemon.poll() is None:
            home.daemon.kill()
        try:
            os.kill(own_pid(home), signal.SIGKILL)
        except (OSError, ValueError, KeyError):
            pass
        discord.stop()
        world.remove(folder)


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def main():
    if sys.platform != "linux" or not shutil.which("strace"):
        raise SystemExit("could not run: faults are injected with strace, which is not installed (or this is not Linux)")
    wanted = sys.argv[1:]
    failed = 0
    print(f"program: {world.program()}")
    for name, inject in ROUNDS.items():
        if wanted and not any(word in name for word in wanted):
            continue
        begin = time.monotonic()
        try:
            result = one_round(name, inject)
            print(f"ok      {name:<22} {time.monotonic() - begin:5.1f} s  {result}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED  {name:<22} {time.monotonic() - begin:5.1f} s  {error}", flush=True)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
