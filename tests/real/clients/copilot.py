"""Copilot CLI: `@github/copilot`, with a provider of the user's own, against the Chat Completions API."""
import glob
import json
import os
import sqlite3

from model import call, calls, fail, say

NAME = "copilot"
PACKAGE = "@github/copilot"
PROMPT = "PRIVATE-PROMPT"
BESIDE = []


def bash(command, **rest):
    return call("bash", {"command": command, "description": "PRIVATE-COMMAND"}, **rest)


def task(name, mode="sync"):
    return call("task", {"description": "PRIVATE-JOB", "prompt": f"{PROMPT} script={name}", "agent_type": "general-purpose", "name": f"job-{name}", "mode": mode})


SCRIPTS = {
    "one": [say()],
    "run": [bash("echo PRIVATE-OUTPUT", before="looking"), say()],
    "slow-run": [bash("sleep 6"), say()],
    "ask": [bash("sleep 2; touch PRIVATE-FILE"), say()],
    "many": [bash("echo 1"), calls(bash("echo 2"), bash("echo 3")), bash("echo 4"), say()],
    "edit": [call("view", {"path": "/PROJECT/a.txt"}), call("create", {"path": "/PROJECT/b.txt", "file_text": "PRIVATE-CONTENT"}), say()],
    "helper": [task("helper-run"), say()],
    "helper-run": [bash("echo PRIVATE-OUTPUT"), say()],
    "helpers": [task("slow-run"), say()],
    "background": [task("slow-run", "background"), say()],
    "failure": [fail(400)],
    "slow": [say("word " * 200, slow=20)],
}

HELPERS = {}
HAS_LIMITS = False


def prepare(world, folder=".copilot"):
    world.agent_home = f"{world.home}/{folder}"
    with open(f"{world.project}/a.txt", "w") as file:
        file.write("alpha\n")


def env(world):
    return world.env(COPILOT_HOME=world.agent_home, COPILOT_OFFLINE="true", COPILOT_PROVIDER_API_KEY="fake", COPILOT_MODEL="fake-large",
                     COPILOT_PROVIDER_BASE_URL=f"http://127.0.0.1:{world.model.port}/v1")


def command(world, *arguments):
    program = os.path.join(world.client_folder, "node_modules", ".bin", "copilot")
    return [program, "--disable-client-telemetry", "--no-auto-update", *arguments]


def print_(world, prompt, *before):
    return world.client(command(world, "--allow-all-tools", *before, "-p", f"{PROMPT} {prompt}"), env(world))


def background(world, script, *before):
    return world.background(command(world, "--allow-all-tools", *before, "-p", f"{PROMPT} script={script}"), env(world))


def interactive(world, *before):
    terminal = world.terminal(command(world, *before), env(world))
    if terminal.wait_for("trust", "/ commands", seconds=40) and "trust" in terminal.screen():
        terminal.still(0.7)
        terminal.keys("Enter")
    if not terminal.wait_for("/ commands", seconds=20):
        world.notes.append("the terminal never got ready: " + " / ".join(terminal.screen().split())[-300:])
    terminal.still(1.5)
    return terminal


def files(home):
    return sorted(glob.glob(f"{home}/**/session-state/*/events.jsonl", recursive=True) + glob.glob(f"{home}/.copilot/session-state/*/events.jsonl"))


def sessions_of(home):
    return {os.path.basename(os.path.dirname(path)) for path in files(home)}


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
    print_(world, "script=run", "--continue")
    print_(world, "script=many", "--continue")
    stored_alike(world)


def stored_alike(world):
    """That the rows of its database are those calls that its lines tell: what one tells alone would be missing from the other."""
    lines = []
    for path in files(world.home):
        with open(path) as file:
            for event in map(json.loads, file):
                if event["type"] == "session.usage_record":
                    lines.append(tuple(event["data"]["usage"].get(name) for name in ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens")))
    with sqlite3.connect(f"file:{world.agent_home}/session-store.db?mode=ro", uri=True) as store:
        rows = store.execute("SELECT input_tokens, output_tokens, cache_read_tokens, cache_write_tokens FROM assistant_usage_events").fetchall()
    if sorted(rows) != sorted(lines):
        world.notes.append(f"its database has {len(rows)} calls, its lines {len(lines)}")


def helper(world):
    """A sub-agent's calls are its session's, and neither begin nor end a turn."""
    print_(world, "script=helper")
    child = background(world, "helpers", "--continue")
    world.activity("delegating")
    child.wait(90)
    world.activity("waiting", "idle")


def helper_in_background(world):
    """A sub-agent that works on when the turn that started it is over; when it is done the agent goes on by itself."""
    world.same_turns = False
    terminal = interactive(world, "--allow-all-tools")
    world.prompt(terminal, f"{PROMPT} script=background")
    world.served(2)
    world.activity("delegating")
    world.served(4)
    world.settle()
    world.activity("waiting", "idle")


def asked(world, terminal, script="ask"):
    world.prompt(terminal, f"{PROMPT} script={script}")
    terminal.wait_for("Do you want")
    world.activity("waiting")
    world.until(lambda: world.discord.cards and "Waiting for input" in world.discord.cards[-1][1]["details"], "a card that says that the user is awaited")


def permission(world):
    """The dialog stands until it is answered; the session waits, then runs."""
    terminal = interactive(world)
    asked(world, terminal)
    terminal.keys("Enter")
    world.activity("running")
    world.served(2)
    world.activity("waiting", "idle")


def permission_broken_off(world):
    terminal = interactive(world)
    asked(world, terminal)
    terminal.keys("Escape")
    world.settle()
    world.activity("waiting", "idle")
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(2)


def killed_while_asking(world):
    terminal = interactive(world)
    asked(world, terminal)
    world.settle()
    world.kill_in_terminals()
    print_(world, "script=one", "--continue")
    world.activity("waiting", "idle")


def steering(world):
    """A message that is sent while a tool runs goes into the turn that runs. The command goes on in the background, and its end begins a turn."""
    world.same_turns = False
    terminal = interactive(world, "--allow-all-tools")
    world.prompt(terminal, f"{PROMPT} script=slow-run")
    world.activity("running")
    terminal.text(f"{PROMPT} and this")
    world.served(2)
    world.settle()
    both = sum(row["blended"] for row in world.model.served[:2])
    if not any(event["event"] == "usage" and event["tokens"]["last"] == both for event in world.events):
        world.notes.append("the message began a turn")
    world.activity("waiting", "idle")


def own_command(world):
    terminal = interactive(world, "--allow-all-tools")
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    terminal.text("!echo PRIVATE-OUTPUT")
    terminal.still(1.5)
    world.settle()
    world.activity("waiting", "idle")
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(3)


def compaction(world):
    """What a summary used is in no line of its own kind, and the end of the process leaves it out."""
    terminal = interactive(world, "--allow-all-tools")
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    terminal.text("/compact")
    world.served(3)
    world.settle()
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(4)
    world.settle()
    terminal.text("/exit")
    world.settle()


def interrupted(world):
    terminal = interactive(world, "--allow-all-tools")
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    world.prompt(terminal, f"{PROMPT} script=slow")
    world.activity("thinking")
    terminal.wait_for("word word")
    for _ in range(3):
        terminal.keys("Escape")
        if terminal.wait_for("again to interrupt", seconds=1):
            terminal.keys("Escape")
            break
    world.activity("waiting", "idle")


def cleared(world):
    """`/new` goes on in a session of its own, without an end of the one before."""
    terminal = interactive(world, "--allow-all-tools")
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    terminal.text("/new")
    terminal.still(1.5)
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(3)
    world.settle()


def fork(world):
    """A fork's file repeats the lines of the session that it was made of."""
    terminal = interactive(world, "--allow-all-tools")
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    terminal.text("/fork")
    terminal.wait_for("Forked")
    terminal.still(1.5)
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(3)
    world.settle()
    terminal.text("/exit")
    world.settle()
    if len(files(world.home)) != 2:
        world.notes.append("it made no fork")


def failure(world):
    print_(world, "script=one")
    print_(world, "script=failure", "--continue")
    world.activity("waiting", "idle")
    print_(world, "script=run", "--continue")


def killed(world):
    child = background(world, "slow-run")
    world.activity("running")
    world.kill(child)
    print_(world, "script=one", "--continue")
    world.activity("waiting", "idle")


def killed_in_answer(world):
    print_(world, "script=one")
    child = background(world, "slow", "--continue")
    world.activity("thinking")
    world.kill(child)
    print_(world, "script=run", "--continue")
    world.activity("waiting", "idle")


def other_home(world):
    """`COPILOT_HOME`, of the client and of the daemon."""
    prepare(world, "elsewhere")
    world.restart_daemon(COPILOT_HOME=world.agent_home)
    print_(world, "script=run")
    print_(world, "script=one", "--continue")
    found = files(world.home)
    if len(found) != 1 or not found[0].startswith(world.agent_home):
        world.notes.append(f"its files are {found}")


def two_at_once(world):
    child = background(world, "slow-run")
    world.activity("running")
    print_(world, "script=many")
    child.wait(60)


SCENARIOS = {
    "one answer": one_answer, "tools": tools, "many responses": many_responses, "resume": resume, "helper": helper,
    "helper in the background": helper_in_background, "permission": permission, "permission broken off": permission_broken_off,
    "killed while asking": killed_while_asking, "steering message": steering, "own command": own_command, "compaction": compaction,
    "interrupted": interrupted, "new": cleared, "fork": fork, "failure": failure, "killed": killed,
    "killed in an answer": killed_in_answer, "other home": other_home, "two at once": two_at_once,
}
INTERACTIVE = {"helper in the background", "permission", "permission broken off", "killed while asking", "steering message", "own command",
               "compaction", "interrupted", "new", "fork"}
