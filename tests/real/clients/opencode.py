"""OpenCode: `opencode-ai`, against the Chat Completions API; and Kilo CLI, which keeps its sessions as it does."""
import contextlib
import glob
import json
import os
import sqlite3

from install import SYSTEM
from model import call, calls, fail, say

NAME = "opencode"
PACKAGE = "opencode-ai"
PROMPT = "PRIVATE-PROMPT"
# The packages of one system are the programs alone, without an install script.
BESIDE = [f"@kilocode/cli-{SYSTEM}@7.7.9"]


def bash(command, **rest):
    return call("bash", {"command": command, "description": "PRIVATE-COMMAND"}, **rest)


SCRIPTS = {
    "one": [say()],
    "run": [bash("echo PRIVATE-OUTPUT", before="looking"), say()],
    "slow-run": [bash("sleep 6"), say()],
    "many": [bash("echo 1"), calls(bash("echo 2"), bash("echo 3")), bash("echo 4"), say()],
    "edit": [call("read", {"filePath": "/PROJECT/a.txt"}), call("write", {"filePath": "/PROJECT/b.txt", "content": "PRIVATE-CONTENT"}), say()],
    "helper": [call("task", {"description": "PRIVATE-JOB", "prompt": f"{PROMPT} script=helper-run", "subagent_type": "general"}), say()],
    "helper-run": [bash("sleep 3"), say()],
    "failure": [fail(400)],
    "slow": [say("word " * 200, slow=20)],
}

HELPERS = {}
HAS_LIMITS = False


def prepare(world, program="opencode"):
    world.agent_home = f"{world.home}/.local/share/{program}"
    world.program_of_agent = program
    with open(f"{world.project}/a.txt", "w") as file:
        file.write("alpha\n")
    models = {name: {"name": name, "reasoning": True, "tool_call": True, "limit": {"context": 100000, "output": 8000}} for name in ("fake-large", "fake-small")}
    settings = {"autoupdate": False, "share": "disabled", "model": "fake/fake-large", "small_model": "fake/fake-small",
                "permission": {"bash": "allow", "edit": "allow"},
                "provider": {"fake": {"npm": "@ai-sdk/openai-compatible", "name": "Fake", "models": models,
                                      "options": {"baseURL": f"http://127.0.0.1:{world.model.port}/v1", "apiKey": "fake"}}}}
    folder = world.folder(f"h/.config/{program}")
    with open(f"{folder}/{program}.json", "w") as file:
        json.dump(settings, file)


def env(world, **more):
    prefix = world.program_of_agent.upper()
    switches = {f"{prefix}_{name}": "1" for name in ("DISABLE_AUTOUPDATE", "DISABLE_MODELS_FETCH", "DISABLE_LSP_DOWNLOAD")}
    return world.env(KILO_TELEMETRY_LEVEL="off", **switches, **more)


def command(world, *arguments):
    modules = os.path.join(world.client_folder, "node_modules")
    if world.program_of_agent == "kilo":
        return [os.path.join(modules, f"@kilocode/cli-{SYSTEM}/bin/kilo"), "run", "--auto", *arguments]
    return [os.path.join(modules, f"opencode-{SYSTEM}/bin/opencode"), "run", *arguments]


def print_(world, prompt, *before, **more):
    return world.client(command(world, *before, f"{PROMPT} {prompt}"), env(world, **more))


def background(world, script, *before):
    return world.background(command(world, *before, f"{PROMPT} script={script}"), env(world))


def files(home):
    return sorted(path for name in ("opencode", "kilo", "elsewhere") for path in glob.glob(f"{home}/**/{name}*.db", recursive=True) + glob.glob(f"{home}/.local/share/{name}/*.db"))


def sessions_of(home):
    found = set()
    for path in set(files(home)):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            found |= {row[0] for row in database.execute("SELECT id FROM session")}
    return found


# The scenarios.


def one_answer(world):
    print_(world, "script=one")
    world.activity("waiting", "idle")


def tools(world):
    for script in ("run", "edit"):
        print_(world, f"script={script}")
    child = background(world, "slow-run")
    world.activity("running", seconds=60)
    child.wait(60)
    world.activity("waiting", "idle")


def many_responses(world):
    print_(world, "script=many")


def resume(world):
    print_(world, "script=one")
    print_(world, "script=run", "--continue")
    print_(world, "script=many", "--continue")


def fork(world):
    """A fork's rows repeat those of the session that it was made of."""
    print_(world, "script=many")
    print_(world, "script=run", "--continue", "--fork")
    print_(world, "script=one", "--continue")
    if len({row["session"] for row in world.model.served}) != 2:
        world.notes.append("it made no fork")


def helper(world):
    """A sub-agent is a session of its own."""
    child = background(world, "helper")
    world.activity("delegating", seconds=60)
    child.wait(90)
    world.activity("waiting", "idle")
    if not any(row["parent"] for row in world.status()["sessions"]):
        world.notes.append("no session has a parent")


def failure(world):
    print_(world, "script=one")
    print_(world, "script=failure", "--continue")
    world.activity("waiting", "idle")


def killed(world):
    child = background(world, "slow-run")
    world.activity("running", seconds=60)
    world.kill(child)
    # What the killed process was handed out is in no row.
    [row for row in world.model.served if row["kind"] == "turn"][-1]["kind"] = "side"
    print_(world, "script=one", "--continue")
    world.activity("waiting", "idle")


def killed_in_answer(world):
    print_(world, "script=one")
    child = background(world, "slow", "--continue")
    world.activity("thinking", seconds=60)
    world.kill(child)
    print_(world, "script=run", "--continue")
    world.activity("waiting", "idle")


def other_database(world):
    """`OPENCODE_DB`, of the client and of the daemon."""
    path = os.path.join(world.folder("h/elsewhere"), "elsewhere.db")
    world.restart_daemon(OPENCODE_DB=path)
    print_(world, "script=run", OPENCODE_DB=path)
    print_(world, "script=one", "--continue", OPENCODE_DB=path)
    if not os.path.exists(path):
        world.notes.append("the database is not where it was named")


def kilo(world):
    """Kilo CLI: the same tables in a database of its own."""
    prepare(world, "kilo")
    print_(world, "script=many")
    print_(world, "script=run", "--continue")
    world.activity("waiting", "idle")


def two_at_once(world):
    child = background(world, "slow-run")
    world.activity("running", seconds=60)
    print_(world, "script=many")
    child.wait(60)


SCENARIOS = {
    "one answer": one_answer, "tools": tools, "many responses": many_responses, "resume": resume, "fork": fork, "helper": helper,
    "failure": failure, "killed": killed, "killed in an answer": killed_in_answer, "other database": other_database,
    "kilo": kilo, "two at once": two_at_once,
}
INTERACTIVE = set()
