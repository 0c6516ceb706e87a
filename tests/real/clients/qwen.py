"""Qwen Code: `@qwen-code/qwen-code`, against the Chat Completions API."""
import glob
import json
import os

from install import NODE
from model import call, calls, fail, say
from tags import name_sessions

NAME = "qwen"
PACKAGE = "@qwen-code/qwen-code"
PROMPT = "PRIVATE-PROMPT"
BESIDE = [f"{NODE}@22"]


def shell(command):
    return call("run_shell_command", {"command": command, "description": "x", "is_background": False})


SCRIPTS = {
    "one": [say()],
    "run": [shell("echo PRIVATE-OUTPUT"), say()],
    # It refuses to sleep alone.
    "slow-run": [shell("echo 1; sleep 6; echo PRIVATE-OUTPUT"), say()],
    "many": [shell("echo 1"), calls(shell("echo 2"), shell("echo 3")), shell("echo 4"), say()],
    "edit": [call("write_file", {"file_path": "b.txt", "content": "PRIVATE-CONTENT"}), say()],
    "delegate": [call("agent", {"description": "x", "prompt": f"{PROMPT} script=beside", "subagent_type": "general-purpose"}), say()],
    "beside": [say(slow=8)],
    "notified": [say()],
    "failure": [fail(400)],
    "retry": [fail(429, once=True), say()],
    "slow": [say("word " * 200, slow=20)],
}
HELPERS = {}
HAS_LIMITS = False


def prepare(world):
    os.makedirs(f"{world.home}/.qwen", exist_ok=True)
    with open(f"{world.home}/.qwen/settings.json", "w") as file:
        json.dump({"security": {"auth": {"selectedType": "openai"}, "folderTrust": {"enabled": False}}, "telemetry": {"enabled": False},
                   "privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False, "disableAutoUpdate": True}}, file)


def env(world):
    return world.env(OPENAI_API_KEY="fake", OPENAI_BASE_URL=f"http://127.0.0.1:{world.model.port}/v1", OPENAI_MODEL="fake-large")


def command(world, *arguments):
    modules = os.path.join(world.client_folder, "node_modules")
    return [os.path.join(modules, NODE, "bin", "node"), os.path.join(modules, ".bin", "qwen"), "--yolo", *arguments]


def print_(world, tag, script, *before):
    world.client(command(world, *before, "-p", f"{PROMPT} tag={tag} script={script}"), env(world))


def background(world, tag, script, *before):
    return world.background(command(world, *before, "-p", f"{PROMPT} tag={tag} script={script}"), env(world))


def files(home):
    """Those of sessions. Those of sub-agents repeat what is in them."""
    return sorted(glob.glob(f"{home}/**/projects/*/chats/*.jsonl", recursive=True) + glob.glob(f"{home}/.qwen/projects/*/chats/*.jsonl"))


def sessions_of(home):
    return [os.path.basename(path).removesuffix(".jsonl") for path in files(home)]


def prompts(home):
    for path in files(home):
        with open(path) as file:
            for line in map(json.loads, file):
                for part in line["message"]["parts"] if line["type"] == "user" else []:
                    yield line["sessionId"], part.get("text", "")


def identify(world):
    name_sessions(world, prompts(world.home))


# The scenarios.


def one_answer(world):
    print_(world, "a", "one")
    world.activity("waiting", "idle")


def tools(world):
    for tag, script in (("a", "run"), ("b", "edit")):
        print_(world, tag, script)
    child = background(world, "c", "slow-run")
    world.activity("running")
    child.wait(60)
    world.activity("waiting", "idle")


def many_responses(world):
    print_(world, "a", "many")


def resume(world):
    print_(world, "a", "one")
    print_(world, "a", "run", "--continue")
    print_(world, "a", "many", "--continue")


def sub_agent(world):
    """One in the background: the turn ends before it does, and its end begins another one."""
    child = background(world, "a", "delegate")
    world.activity("delegating")
    child.wait(60)
    if not any(row["script"] == "notified" for row in world.model.served):
        world.cannot.append("its sub-agents are not in the background")
    world.activity("waiting", "idle")


def failure(world):
    print_(world, "a", "one")
    print_(world, "a", "failure", "--continue")
    world.activity("waiting", "idle")


def retry(world):
    print_(world, "a", "retry")
    world.activity("waiting", "idle")


def killed(world):
    child = background(world, "a", "slow-run")
    world.activity("running")
    world.kill(child)
    print_(world, "a", "one", "--continue")
    world.activity("waiting", "idle")


def killed_in_answer(world):
    child = background(world, "a", "slow")
    world.activity("thinking")
    world.kill(child)
    print_(world, "b", "run")
    world.activity("waiting", "idle")


def other_home(world):
    """`QWEN_RUNTIME_DIR`, of the client and of the daemon."""
    home = world.folder("h/elsewhere")
    world.restart_daemon(QWEN_RUNTIME_DIR=home)
    world.client(command(world, "-p", f"{PROMPT} tag=a script=run"), {**env(world), "QWEN_RUNTIME_DIR": home})
    if not os.path.isdir(f"{home}/projects"):
        world.notes.append("its files are elsewhere")


SCENARIOS = {
    "one answer": one_answer, "tools": tools, "many responses": many_responses, "resume": resume, "sub-agent": sub_agent, "failure": failure,
    "retry": retry, "killed": killed, "killed in an answer": killed_in_answer, "other home": other_home,
}
INTERACTIVE = set()
