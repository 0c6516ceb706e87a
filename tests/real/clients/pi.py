"""pi: `@earendil-works/pi-coding-agent`, against the Chat Completions API."""
import glob
import json
import os

from install import NODE
from model import call, calls, fail, say

NAME = "pi"
PACKAGE = "@earendil-works/pi-coding-agent"
PROMPT = "PRIVATE-PROMPT"
BESIDE = [f"{NODE}@22"]


def bash(command, **rest):
    return call("bash", {"command": command}, **rest)


SCRIPTS = {
    "one": [say()],
    "run": [bash("echo PRIVATE-OUTPUT", before="looking"), say()],
    "slow-run": [bash("sleep 6"), say()],
    "many": [bash("echo 1"), calls(bash("echo 2"), bash("echo 3")), bash("echo 4"), say()],
    "edit": [call("read", {"path": "a.txt"}),
             call("edit", {"path": "a.txt", "edits": [{"oldText": "alpha", "newText": "PRIVATE-CONTENT"}]}),
             call("write", {"path": "b.txt", "content": "PRIVATE-CONTENT"}), say()],
    "retry": [fail(429, once=True), say("word " * 20, slow=4)],
    "busy": [fail(429)],
    "failure": [fail(400)],
    "slow": [say("word " * 200, slow=20)],
}

HELPERS = {}
HAS_LIMITS = False


def prepare(world, folder=".pi/agent", reserve=16384):
    world.agent_home = f"{world.home}/{folder}"
    os.makedirs(world.agent_home, exist_ok=True)
    with open(f"{world.project}/a.txt", "w") as file:
        file.write("alpha\n")
    # The session's id comes with a request only where the model's provider asks for it.
    provider = {"baseUrl": f"http://127.0.0.1:{world.model.port}/v1", "api": "openai-completions", "apiKey": "fake",
                "compat": {"sendSessionAffinityHeaders": True, "sessionAffinityFormat": "openai"},
                "models": [{"id": "fake-large", "reasoning": True, "contextWindow": 100000, "maxTokens": 8000}]}
    with open(f"{world.agent_home}/models.json", "w") as file:
        json.dump({"providers": {"fake": provider}}, file)
    # Few tokens are kept, so that there is something to summarize.
    with open(f"{world.agent_home}/settings.json", "w") as file:
        json.dump({"compaction": {"keepRecentTokens": 1, "reserveTokens": reserve}}, file)


def env(world):
    return world.env(PI_CODING_AGENT_DIR=world.agent_home, PI_OFFLINE="1", PI_TELEMETRY="0")


def command(world, *arguments):
    modules = os.path.join(world.client_folder, "node_modules")
    return [os.path.join(modules, NODE, "bin", "node"), os.path.join(modules, ".bin", "pi"), "--provider", "fake", "--model", "fake-large", *arguments]


def print_(world, prompt, *before):
    return world.client(command(world, *before, "-p", f"{PROMPT} {prompt}"), env(world))


def background(world, script, *before):
    return world.background(command(world, *before, "-p", f"{PROMPT} script={script}"), env(world))


def interactive(world):
    terminal = world.terminal(command(world), env(world))
    if not terminal.wait_for("fake-large", seconds=40):
        world.notes.append("the terminal never got ready: " + " / ".join(terminal.screen().split("\n")[:4]))
    terminal.still(1.5)
    return terminal


def files(home):
    return sorted(glob.glob(f"{home}/*/**/sessions/**/*.jsonl", recursive=True) + glob.glob(f"{home}/.pi/agent/sessions/**/*.jsonl", recursive=True))


def sessions_of(home):
    for path in files(home):
        with open(path) as file:
            yield json.loads(file.readline())["id"]


# The scenarios.


def one_answer(world):
    print_(world, "script=one")
    world.activity("waiting", "idle")


def tools(world):
    for script in ("run", "edit"):
        print_(world, f"script={script}")
    child = background(world, "slow-run")
    world.activity("running")
    child.wait(60)
    world.activity("waiting", "idle")


def many_responses(world):
    print_(world, "script=many")


def resume(world):
    print_(world, "script=one")
    print_(world, "script=run", "-c")
    print_(world, "script=many", "-c")


def fork(world):
    """A fork of a session, and one of that fork: each has what it was handed out itself."""
    print_(world, "script=many")
    for script in ("run", "one"):
        newest = world.model.served[-1]["session"]
        world.settle()
        print_(world, f"script={script}", "--fork", newest)
    print_(world, "script=run", "-c")


def queued(world):
    """A message that is sent while a tool runs goes into the turn that runs."""
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=slow-run")
    world.activity("running")
    terminal.text(f"{PROMPT} and this")
    world.served(2)
    world.activity("waiting", "idle")


def follow_up(world):
    """A message that waits for the turn's end begins one of its own."""
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=slow-run")
    world.activity("running")
    terminal.type(f"{PROMPT} script=run")
    terminal.keys("M-Enter")
    world.served(4)
    world.activity("waiting", "idle")


def own_command(world):
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    before = tokens(world)
    for mark in ("!", "!!"):
        terminal.text(f"{mark}echo PRIVATE-OUTPUT")
        terminal.still(1.5)
        world.settle()
    if tokens(world) != before or len(world.model.served) != 2:
        world.notes.append(f"tokens are {tokens(world)} after a command of the user's, {before} before it")
    world.activity("waiting", "idle")
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(3)


def tokens(world):
    return [row["tokens"] for row in world.status()["sessions"]]


def compacted(world):
    """A client with two turns that it was asked to summarize."""
    terminal = interactive(world)
    for count in (2, 4):
        world.prompt(terminal, f"{PROMPT} script=run")
        world.served(count)
        world.settle()
    terminal.text("/compact")
    world.served(5)
    world.settle()
    return terminal


def fork_here(world):
    """A fork that is made inside the client, while it runs, and one of a session that was summarized."""
    terminal = compacted(world)
    terminal.text("/clone")
    terminal.still(1.5)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(7)
    world.settle()
    print_(world, "script=one", "--fork", world.model.served[-1]["session"])
    if len({row["session"] for row in world.model.served}) != 3:
        world.notes.append("it made no fork: " + " / ".join(terminal.screen().split())[-300:])
    without_summaries(world)


def summarized_by_itself(world):
    prepare(world, reserve=99000)
    for arguments in (["script=run"], ["script=many", "-c"], ["script=one", "-c"]):
        print_(world, *arguments)
    if all(row["kind"] == "turn" for row in world.model.served):
        world.notes.append("it made no summary")
    without_summaries(world)


def without_summaries(world):
    """What a summary took is not counted where no line tells it."""
    for path in files(world.home):
        with open(path) as file:
            if any(entry["type"] == "compaction" and "usage" in entry for entry in map(json.loads, file)):
                return
    world.cannot.append("it does not write what a summary took")
    for row in world.model.served:
        row["kind"] = "side" if row["kind"] == "compact" else row["kind"]


def compaction(world):
    terminal = compacted(world)
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(6)
    without_summaries(world)


def retry(world):
    print_(world, "script=one")
    child = background(world, "retry", "-c")
    world.until(lambda: [row["script"] for row in world.model.served[1:]] == ["retry", "retry"], "the second try")
    world.activity("thinking", seconds=2)
    child.wait(60)
    world.activity("waiting", "idle")


def retries_used_up(world):
    print_(world, "script=one")
    child = background(world, "busy", "-c")
    world.until(lambda: len(world.model.served) == 3, "the second try")
    child.wait(60)
    world.activity("waiting", "idle")
    print_(world, "script=run", "-c")


def failure(world):
    print_(world, "script=one")
    print_(world, "script=failure", "-c")
    world.activity("waiting", "idle")


def interrupted(world):
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.prompt(terminal, f"{PROMPT} script=slow")
    world.activity("thinking")
    terminal.wait_for("word word")
    terminal.keys("Escape")
    world.activity("waiting", "idle")


def interrupted_tool(world):
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=slow-run")
    world.activity("running")
    terminal.still(0.5, seconds=1)
    terminal.keys("Escape")
    world.activity("waiting", "idle")
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(3)


def killed(world):
    child = background(world, "slow-run")
    world.activity("running")
    world.kill(child)
    print_(world, "script=one", "-c")
    world.activity("waiting", "idle")


def killed_in_answer(world):
    print_(world, "script=one")
    child = background(world, "slow", "-c")
    world.activity("thinking")
    world.kill(child)
    print_(world, "script=run", "-c")
    world.activity("waiting", "idle")


def other_home(world):
    """`PI_CODING_AGENT_DIR`, of the client and of the daemon."""
    prepare(world, "elsewhere")
    world.restart_daemon(PI_CODING_AGENT_DIR=world.agent_home)
    print_(world, "script=run")
    print_(world, "script=one", "-c")
    stands_below(world, world.agent_home)


def other_folder(world):
    """`PI_CODING_AGENT_SESSION_DIR`: a folder without anything above its files, given as a home of its own."""
    folder = world.folder("h/elsewhere/sessions")
    with open(world.settings) as file:
        settings = file.read()
    with open(world.settings, "w") as file:
        file.write(settings.replace("[sources]", f"[sources]\npi_home = ['{folder}']"))
    world.restart_daemon()
    for arguments in (["script=run"], ["script=one", "-c"]):
        world.client(command(world, *arguments[1:], "-p", f"{PROMPT} {arguments[0]}"), {**env(world), "PI_CODING_AGENT_SESSION_DIR": folder})
    stands_below(world, folder)


def stands_below(world, folder):
    """That there is one session file, and where."""
    found = files(world.home)
    if len(found) != 1 or not found[0].startswith(folder):
        world.notes.append(f"its files are {found}")


def edited(world):
    """Back to an earlier message, and on from there: another branch in the same file."""
    terminal = interactive(world)
    for count, name in ((2, "first"), (4, "second")):
        world.prompt(terminal, f"{PROMPT} script=run {name}")
        world.served(count)
        world.settle()
    terminal.text("/tree")
    terminal.still(1)
    for key in ("Up", "Up", "Up", "Enter", "Enter"):
        terminal.keys(key)
        terminal.still(0.7)
    terminal.text(f" {PROMPT} script=many")
    world.served(8)
    with open(files(world.home)[0]) as file:
        above = [json.loads(line).get("parentId") for line in file]
    if len(above) == len(set(above)):
        world.notes.append("no branch was made: " + " / ".join(terminal.screen().split())[-300:])


def cleared(world):
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    terminal.text("/new")
    world.settle()
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(3)


def two_at_once(world):
    child = background(world, "slow-run")
    world.activity("running")
    print_(world, "script=many")
    child.wait(60)


SCENARIOS = {
    "one answer": one_answer, "tools": tools, "many responses": many_responses, "resume": resume, "fork": fork,
    "fork inside": fork_here, "edited message": edited, "new": cleared, "queued message": queued, "follow-up": follow_up,
    "own command": own_command, "compaction": compaction, "compaction by itself": summarized_by_itself, "retry": retry,
    "retries used up": retries_used_up, "failure": failure, "interrupted": interrupted, "interrupted tool": interrupted_tool,
    "killed": killed, "killed in an answer": killed_in_answer, "other home": other_home, "other folder": other_folder,
    "two at once": two_at_once,
}
INTERACTIVE = {"fork inside", "edited message", "new", "queued message", "follow-up", "own command", "compaction", "interrupted", "interrupted tool"}
