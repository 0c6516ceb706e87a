"""Gemini CLI: `@google/gemini-cli`, against Gemini's API."""
import glob
import json
import os
import time

from model import call, calls, fail, say
from tags import name_sessions

NAME = "gemini"
PACKAGE = "@google/gemini-cli"
PROMPT = "PRIVATE-PROMPT"
BESIDE = []


def shell(command):
    return call("run_shell_command", {"command": command, "description": "x", "is_background": False})


SCRIPTS = {
    "one": [say()],
    "run": [shell("echo PRIVATE-OUTPUT"), say()],
    "slow-run": [shell("sleep 5"), say()],
    "many": [shell("echo 1"), calls(shell("echo 2"), shell("echo 3")), shell("echo 4"), say()],
    "edit": [call("write_file", {"file_path": "b.txt", "content": "PRIVATE-CONTENT"}), say(slow=3)],
    "delegate": [call("invoke_agent", {"agent_name": "generalist", "prompt": f"{PROMPT} tag=helper script=helped"}), say()],
    "helped": [shell("echo PRIVATE-OUTPUT"), call("complete_task", {"result": {"response": "PRIVATE-OUTPUT"}}), say()],
    "failure": [fail(400)],
    "slow": [say("word " * 100, slow=20)],
}
HELPERS = {}
HAS_LIMITS = False


def prepare(world):
    os.makedirs(f"{world.home}/.gemini", exist_ok=True)
    with open(f"{world.home}/.gemini/settings.json", "w") as file:
        json.dump({"security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
                   "telemetry": {"enabled": False}, "privacy": {"usageStatisticsEnabled": False},
                   "general": {"enableAutoUpdate": False, "disableAutoUpdate": True}}, file)


def env(world):
    return world.env(GEMINI_API_KEY="fake", GOOGLE_GEMINI_BASE_URL=f"http://127.0.0.1:{world.model.port}",
                     GEMINI_CLI_NO_RELAUNCH="true", GEMINI_CLI_TRUST_WORKSPACE="true")


def command(world, *arguments):
    return [os.path.join(world.client_folder, "node_modules/.bin/gemini"), "--yolo", "-m", "gemini-2.5-pro", *arguments]


def print_(world, tag, script, *before):
    world.client(command(world, *before, "-p", f"{PROMPT} tag={tag} script={script}"), env(world))


def background(world, tag, script, *before):
    return world.background(command(world, *before, "-p", f"{PROMPT} tag={tag} script={script}"), env(world))


def files(home):
    return sorted(glob.glob(f"{home}/.gemini/tmp/*/chats/**/*.jsonl", recursive=True))


def lines(path):
    with open(path) as file:
        yield from map(json.loads, file)


def sessions_of(home):
    for path in files(home):
        yield next(lines(path))["sessionId"]


def prompts(home):
    for path in files(home):
        session = next(lines(path))["sessionId"]
        for line in lines(path):
            content = line.get("content") if line.get("type") == "user" else None
            for part in content if isinstance(content, list) else []:
                yield session, part.get("text", "")


def identify(world):
    name_sessions(world, prompts(world.home))


# The scenarios. A turn's end is in no file: behind an answer the agent may be thinking still.


def one_answer(world):
    print_(world, "a", "one")
    world.activity("thinking")


def tools(world):
    print_(world, "a", "run")
    child = background(world, "b", "edit")
    world.activity("editing")
    child.wait(60)


def many_responses(world):
    print_(world, "a", "many")


def resume(world):
    print_(world, "a", "one")
    print_(world, "a", "run", "--resume", "latest")
    print_(world, "a", "many", "--resume", "latest")


def deleted(world):
    """A session that is resumed in another minute has two files, which the next start deletes; what it spent stays."""
    print_(world, "a", "run")
    time.sleep(62 - time.time() % 60)
    print_(world, "a", "run", "--resume", "latest")
    world.settle()
    identify(world)
    before = {row["id"]: row["tokens"]["total"] for row in world.status()["sessions"]}
    events = len([event for event in world.events if event["event"] == "usage"])
    print_(world, "b", "one")
    world.settle()
    after = {row["id"]: row["tokens"]["total"] for row in world.status()["sessions"]}
    if world.tags["a"] in set(sessions_of(world.home)):
        world.cannot.append("it leaves the files of a session that was resumed")
    elif after.get(world.tags["a"]) != before.get(world.tags["a"]):
        world.notes.append(f"totals were {before} before the files were deleted, and are {after}")
    if len([event for event in world.events if event["event"] == "usage"]) != events + 1:
        world.notes.append("usage was told again when the files were deleted")


def sub_agent(world):
    print_(world, "a", "delegate")
    identify(world)
    parents = {row["id"]: row["parent"] for row in world.status()["sessions"]}
    if parents.get(world.tags.get("helper")) != world.tags["a"]:
        world.notes.append(f"the sub-agent is not that of its parent: {parents}")


def failure(world):
    print_(world, "a", "failure")
    world.activity("waiting", "idle")
    print_(world, "b", "one")


def killed(world):
    child = background(world, "a", "slow-run")
    world.activity("thinking")
    world.kill(child)
    print_(world, "b", "one")


def killed_in_answer(world):
    child = background(world, "a", "slow")
    world.activity("thinking")
    world.kill(child)
    print_(world, "b", "run")


def other_home(world):
    """`GEMINI_CLI_HOME`, of the client and of the daemon."""
    home = world.folder("h/elsewhere")
    os.rename(f"{world.home}/.gemini", f"{home}/.gemini")
    os.symlink(f"{home}/.gemini", f"{world.home}/.gemini")
    world.restart_daemon(GEMINI_CLI_HOME=home)
    world.client(command(world, "-p", f"{PROMPT} tag=a script=run"), {**env(world), "GEMINI_CLI_HOME": home})


SCENARIOS = {
    "one answer": one_answer, "tools": tools, "many responses": many_responses, "resume": resume, "deleted files": deleted,
    "sub-agent": sub_agent, "failure": failure, "killed": killed, "killed in an answer": killed_in_answer, "other home": other_home,
}
INTERACTIVE = set()
