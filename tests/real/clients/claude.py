"""Claude Code: `@anthropic-ai/claude-code`, against the Messages API."""
import glob
import json
import os
import platform
import stat

from model import Limits, call, calls, fail, say

NAME = "claude"
PACKAGE = "@anthropic-ai/claude-code"
BESIDE = []
PROMPT = "PRIVATE-PROMPT"
KEY = "sk-ant-api03-" + "fake0123456789" * 6
TOKEN = "sk-ant-oat01-" + "fake0123456789" * 6


def bash(command, **rest):
    return call("Bash", {"command": command, "description": "PRIVATE-REASON", **rest})


def helper(script, **rest):
    return call("Agent", {"description": "PRIVATE-REASON", "prompt": f"{PROMPT} script={script}", "subagent_type": "general-purpose", **rest})


SCRIPTS = {
    "one": [say()],
    "run": [bash("echo PRIVATE-OUTPUT"), say()],
    "slow-run": [bash("sleep 5"), say()],
    "many": [bash("echo 1"), calls(bash("echo 2"), bash("echo 3")), bash("echo 4"), say()],
    "edit": [call("Read", {"file_path": "@FOLDER@/a.txt"}),
             call("Edit", {"file_path": "@FOLDER@/a.txt", "old_string": "alpha", "new_string": "beta"}), say()],
    "plan": [call("TaskCreate", {"subject": "PRIVATE-STEP", "description": "a", "activeForm": "a"}), say()],
    "agent": [helper("sub"), say()],
    "agent-foreground": [helper("sub", run_in_background=False), say()],
    "sub": [bash("sleep 2; echo 1"), bash("echo 2"), say("sub done")],
    "retry": [fail(529, once=True), say()],
    "failure": [fail(400)],
    "slow": [say("word " * 200, slow=20)],
    "reached": [fail(429, reached=True)],
    "ask": [bash("touch asked"), say()],
}

HELPERS = {}
HAS_LIMITS = True


def program(folder):
    """The native program where the version has one, else the script."""
    machine = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "linux")
    native = os.path.join(folder, "node_modules", "@anthropic-ai", f"claude-code-{system}-{machine}", "claude")
    return native if os.path.exists(native) else os.path.join(folder, "node_modules", ".bin", "claude")


def number(version):
    return [int(part) for part in version.split(".")]


def prepare(world, subscriber=False):
    world.subscriber = subscriber
    os.makedirs(f"{world.home}/.claude", exist_ok=True)
    with open(f"{world.project}/a.txt", "w") as file:
        file.write("alpha\n")
    with open(f"{world.home}/.claude.json", "w") as file:
        json.dump({"hasCompletedOnboarding": True, "theme": "dark", "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
                   "bypassPermissionsModeAccepted": True, "autoUpdates": False,
                   "projects": {world.project: {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}}}, file)
    script = f"{world.root}/statusline.sh"
    with open(script, "w") as file:
        file.write(f"#!/bin/sh\nexec env AGENT_PRESENCE_STATE_DIR={world.state} {world.program} statusline\n")
    os.chmod(script, os.stat(script).st_mode | stat.S_IXUSR)
    with open(f"{world.home}/.claude/settings.json", "w") as file:
        json.dump({"statusLine": {"type": "command", "command": script}}, file)


def env(world):
    login = {"CLAUDE_CODE_OAUTH_TOKEN": TOKEN} if world.subscriber else {"ANTHROPIC_API_KEY": KEY}
    return world.env(IS_SANDBOX="1", ANTHROPIC_BASE_URL=f"http://127.0.0.1:{world.model.port}", DISABLE_AUTOUPDATER="1",
                     DISABLE_TELEMETRY="1", DISABLE_ERROR_REPORTING="1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", **login)


def print_(world, prompt, *before, tap=None, partial=False):
    command = [program(world.client_folder), "-p", f"{PROMPT} {prompt}", "--output-format", "stream-json", "--verbose",
               "--dangerously-skip-permissions", *before]
    return world.client(command + (["--include-partial-messages"] if partial else []), env(world), through_tap=tap)


def background(world, script):
    return world.background([program(world.client_folder), "-p", f"{PROMPT} script={script}", "--dangerously-skip-permissions"], env(world))


def interactive(world, *arguments):
    terminal = world.terminal([program(world.client_folder), *arguments], env(world))
    if not terminal.wait_for("? for shortcuts", "shortcuts", "Try \"", "bypass", "> ", "❯", seconds=40):
        world.notes.append("the terminal never got ready: " + " / ".join(terminal.screen().split("\n")[:4]))
    terminal.still(1.5)
    return terminal


FREE = ("--dangerously-skip-permissions",)


def files(home):
    return sorted(glob.glob(f"{home}/.claude/projects/**/*.jsonl", recursive=True))


def sessions_of(home):
    """Sessions that have a file, helpers by their own id."""
    for path in files(home):
        name = os.path.basename(path)[:-len(".jsonl")]
        yield name.removeprefix("agent-")


# The scenarios.


def one_answer(world):
    print_(world, "script=one")


def tools(world):
    for script in ("run", "edit", "plan"):
        print_(world, f"script={script}")
    child = background(world, "slow-run")
    world.activity("running")
    child.wait(60)


def many_responses(world):
    print_(world, "script=many")


def sub_agent(world):
    child = background(world, "agent-foreground")
    world.activity("delegating")
    child.wait(60)


def background_agent(world):
    world.same_turns = False
    terminal = interactive(world, *FREE)
    world.prompt(terminal, f"{PROMPT} script=agent")
    world.activity("delegating")
    world.served(5)
    world.activity("waiting", "idle")


def resume(world):
    print_(world, "script=one")
    print_(world, "script=run", "--continue")


def fork(world):
    print_(world, "script=many")
    first = world.model.served[0]["session"]
    print_(world, "script=one", "--resume", first, "--fork-session")


def edited(world):
    terminal = interactive(world, *FREE)
    world.prompt(terminal, f"{PROMPT} script=run first")
    world.served(2)
    world.settle()
    world.prompt(terminal, f"{PROMPT} script=run second")
    world.served(4)
    world.settle()
    for key in ("Escape", "Escape", "Up", "Enter", "Enter"):
        terminal.keys(key)
        terminal.still(1)
    terminal.text(f" {PROMPT} script=one")
    world.served(5)


def cleared(world):
    terminal = interactive(world, *FREE)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    terminal.text("/clear")
    world.settle()
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(3)


def own_command(world):
    terminal = interactive(world, *FREE)
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(1)
    world.settle()
    # The command's output is answered: a turn that no prompt began.
    world.same_turns = False
    terminal.text("! echo PRIVATE-OUTPUT")
    world.served(2)
    world.settle()
    answered = [row["blended"] for row in world.model.served if row["kind"] == "turn"]
    told = [row["tokens"]["last"] for row in world.status()["sessions"]]
    if told != answered[1:]:
        world.notes.append(f"last is {told} after a command of the user's, handed out {answered[1:]}")


def compaction(world):
    terminal = interactive(world, *FREE)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    terminal.text("/compact")
    world.served(3)
    world.settle()
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(4)


def retry(world):
    print_(world, "script=retry")


def failure(world):
    print_(world, "script=failure")


def interrupted(world):
    terminal = interactive(world, *FREE)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    world.prompt(terminal, f"{PROMPT} script=slow")
    world.activity("thinking")
    terminal.wait_for("word word")
    terminal.keys("Escape")
    world.activity("waiting", "idle")


def killed(world):
    child = background(world, "slow-run")
    world.activity("running")
    world.kill(child)
    print_(world, "script=one")


def permission(world):
    terminal = interactive(world, "--permission-mode", "default")
    world.prompt(terminal, f"{PROMPT} script=ask")
    terminal.wait_for("Do you want", "proceed")
    world.activity("waiting")
    terminal.still(1)
    terminal.keys("Enter")
    world.served(2)
    world.activity("waiting", "idle")


def limits(world):
    prepare(world, subscriber=True)
    world.model.limits = Limits(40, 20)
    terminal = interactive(world, *FREE)
    world.prompt(terminal, f"{PROMPT} script=one")
    world.until(lambda: told(world) == {"5h": 60, "weekly": 80}, "5h 60, weekly 80")
    world.model.limits = Limits(55, 22, world.model.limits.five_hours_reset, world.model.limits.weekly_reset)
    world.prompt(terminal, f"{PROMPT} script=one")
    world.until(lambda: told(world) == {"5h": 45, "weekly": 78}, "5h 45, weekly 78")
    world.model.limits = Limits(3, 2, world.model.limits.five_hours_reset, world.model.limits.weekly_reset)
    world.prompt(terminal, f"{PROMPT} script=one")
    world.until(lambda: told(world) == {"5h": 97, "weekly": 98}, "5h 97, weekly 98")


def limit_reached(world):
    prepare(world, subscriber=True)
    world.model.limits = Limits(99, 20)
    terminal = interactive(world, *FREE)
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(1)
    world.settle()
    world.model.limits = Limits(100, 21, world.model.limits.five_hours_reset, world.model.limits.weekly_reset)
    world.prompt(terminal, f"{PROMPT} script=reached")
    world.activity("limit_reached")
    world.settle()
    if not written(world, '"quotaLimits"') and told(world).get("5h") != 0:
        world.cannot.append("its lines do not tell which limit was reached")
        return
    world.until(lambda: told(world).get("5h") == 0, "5h 0")


def written(world, text):
    """Whether a text stands in some transcript."""
    for path in files(world.home):
        with open(path) as file:
            if text in file.read():
                return True
    return False


def told(world):
    rows = [row for row in world.status()["limits"] if row["agent"] == NAME]
    return {window["label"]: window["remaining_percent"] for row in rows[:1] for window in row["windows"]}


def tap(world):
    print_(world, "script=many", tap=NAME)
    print_(world, "script=agent-foreground", tap=NAME)
    print_(world, "script=many", tap=NAME, partial=True)


def tap_held(world):
    world.same_turns = False
    print_(world, "script=agent", tap=NAME)


def tap_alone(world):
    world.without_files = True
    print_(world, "script=many", "--no-session-persistence", tap=NAME)


def two_at_once(world):
    child = background(world, "slow-run")
    print_(world, "script=many")
    child.wait(60)


SCENARIOS = {
    "one answer": one_answer, "tools": tools, "many responses": many_responses, "sub-agent": sub_agent,
    "background agent": background_agent, "resume": resume, "fork": fork, "edited message": edited, "clear": cleared,
    "own command": own_command, "compaction": compaction, "retry": retry, "failure": failure, "interrupted": interrupted,
    "killed": killed, "permission": permission, "limits fall": limits, "limit reached": limit_reached, "tap": tap,
    "tap, held results": tap_held, "tap, no file": tap_alone, "two at once": two_at_once,
}
INTERACTIVE = {"background agent", "edited message", "clear", "own command", "compaction", "interrupted", "permission", "limits fall", "limit reached"}
