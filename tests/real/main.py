"""Runs the scenarios of the real agents and prints the table. `run.sh` is the way in; it says what is needed."""
import argparse
import importlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import checks
import drift
import fixture
import install
import terminal
from world import World

ROOT = drift.ROOT
AGENTS = ("codex", "claude", "pi", "opencode", "copilot", "gemini", "qwen")


def client_of(agent):
    return importlib.import_module(f"clients.{agent}")


def arguments():
    parser = argparse.ArgumentParser(prog="tests/real/run.sh", description="Checks agent-presence against the real agents, on loopback.")
    parser.add_argument("agent", nargs="?", choices=AGENTS, help="one agent alone")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="its versions; the newest by default")
    parser.add_argument("--months", type=int, metavar="N", help="the last version of each of the last N months")
    parser.add_argument("--only", metavar="NAME", action="append", help="scenarios whose name has this in it")
    parser.add_argument("--keep", metavar="DIR", help="keep each scenario's files")
    parser.add_argument("--fixture", metavar="NAME", help="make a fixture of the files of the scenario that --only names")
    parser.add_argument("--accept", action="store_true", help="add the drift that is found to tests/real/known")
    parser.add_argument("--report", metavar="FILE", help="write what differs, and the drift, into FILE; nothing where there is none")
    parser.add_argument("--program", default=os.path.join(ROOT, ".build/target/debug/agent-presence"), help=argparse.SUPPRESS)
    parser.add_argument("--inside", metavar="FOLDER", help=argparse.SUPPRESS)
    return parser.parse_args()


def wanted_versions(client, options):
    if options.versions:
        return options.versions
    if not options.months:
        newest = install.newest(client.PACKAGE)
        return [newest] if newest else []
    last = {}
    for name, day in install.versions(client.PACKAGE):
        # A day is when it was put there; an old version put there again is not of that month.
        last[day[:7]] = max(last.get(day[:7], name), name, key=lambda text: [int(part) for part in text.split(".") if part.isdigit()])
    return list(last.values())[-options.months:]


def on_loopback(command):
    """The command in a network namespace that has nothing but loopback, where the system can do that."""
    for unshare in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if sys.platform == "linux" and subprocess.run([*unshare, "true"], capture_output=True).returncode == 0:
            return [*unshare, "sh", "-c", 'ip link set lo up 2>/dev/null || true; exec "$@"', "sh", *command]
    print("no network namespaces here: the clients run on the open network, with updates and telemetry off", file=sys.stderr)
    return command


def play(client, version, folder, options):
    """Every scenario of one version; prints a line each, returns the rows."""
    rows, seen = [], set()
    for name, scenario in client.SCENARIOS.items():
        if options.only and not any(part in name for part in options.only):
            continue
        if name in client.INTERACTIVE and not terminal.at_hand():
            rows.append((name, [], ["not run: no tmux"]))
            continue
        keep = os.path.join(options.keep, client.NAME, version, name.replace(" ", "-").replace(",", "")) if options.keep else None
        world = World(options.program, client, version, keep)
        world.client_folder = folder
        begun = time.time()
        try:
            client.prepare(world)
            world.start_daemon()
            scenario(world)
            world.settle()
            getattr(client, "identify", lambda world: None)(world)
            found = list(dict.fromkeys(checks.differences(world, client)))
            files = client.files(world.home)
            seen |= drift.of_files(files) | set(drift.file_names(world.home, f".{client.NAME}"))
            if options.fixture:
                for path in fixture.write(files, os.path.join(ROOT, "tests/fixtures", client.NAME, version, options.fixture)):
                    print(f"wrote {path}")
        except Exception as error:  # A scenario that breaks must not take the others with it.
            found = [f"broke off: {type(error).__name__}: {error}"]
        finally:
            world.close()
        rows.append((name, found, world.cannot))
        told = "; ".join(found + [f"cannot: {what}" for what in world.cannot]) or "ok"
        print(f"{client.NAME} {version}  {name}: {told}  ({time.time() - begun:.0f} s)", flush=True)
    return rows, seen


def table(results):
    yield "| agent | version | scenarios held | what differs | what it cannot do | drift |"
    yield "| --- | --- | ---: | --- | --- | ---: |"
    for agent, version, rows, new in results:
        held = sum(1 for _, found, _ in rows if not found)
        differ = "; ".join(f"{name}: {found[0]}" for name, found, _ in rows if found)
        cannot = "; ".join(f"{name}: {what[0]}" for name, _, what in rows if what)
        yield f"| {agent} | {version} | {held} of {len(rows)} | {differ} | {cannot} | {len(new)} |"
    for agent, version, _, new in results:
        if new:
            yield f"\nIn no fixture, {agent} {version}:\n"
            yield from (f"    {row}" for row in sorted(new))


def main():
    options = arguments()
    if options.inside:
        client = client_of(options.agent)
        rows, seen = play(client, options.versions[0], options.inside, options)
        print("RESULT " + json.dumps([rows, sorted(seen - drift.known(client.NAME))]))
        return 0
    if not install.at_hand():
        print("npm is not installed here: nothing was checked")
        return 0
    results = []
    for agent in [options.agent] if options.agent else AGENTS:
        client = client_of(agent)
        versions = wanted_versions(client, options)
        if not versions:
            print(f"the npm registry does not answer for {client.PACKAGE}: nothing was checked")
        for version in versions:
            folder = install.install(ROOT, agent, f"{client.PACKAGE}@{version}", version, client.BESIDE)
            if folder is None:
                print(f"{agent} {version}: the registry has not got it")
                continue
            passed_on = [flag for name in options.only or [] for flag in ("--only", name)]
            for flag in ("keep", "fixture"):
                passed_on += [f"--{flag}", getattr(options, flag)] if getattr(options, flag) else []
            command = [sys.executable, os.path.abspath(__file__), agent, version, "--inside", folder, "--program", options.program, *passed_on]
            child = subprocess.Popen(on_loopback(command), stdout=subprocess.PIPE, text=True)
            for line in child.stdout:
                if line.startswith("RESULT "):
                    rows, new = json.loads(line.removeprefix("RESULT "))
                    results.append((agent, version, rows, new))
                    if options.accept:
                        drift.accept(agent, set(new))
                else:
                    print(line, end="", flush=True)
            child.wait()
    print("\n" + "\n".join(table(results)))
    bad = any(found for _, _, rows, _ in results for _, found, _ in rows)
    if options.report and (bad or any(new for *_, new in results)):
        with open(options.report, "w") as file:
            file.write("\n".join(table(results)) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        # The reader of the table went away.
        os._exit(141)
