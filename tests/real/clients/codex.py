"""Codex: `@openai/codex`, against the Responses API."""
import glob
import json
import os
import time

from model import Limits, call, calls, fail, say

NAME = "codex"
PACKAGE = "@openai/codex"
BESIDE = []
PROMPT = "PRIVATE-PROMPT"


def run(command, **rest):
    return call("exec_command", {"cmd": command, **rest})


SCRIPTS = {
    "one": [say()],
    "run": [run("echo PRIVATE-OUTPUT"), say()],
    "slow-run": [run("sleep 5"), say()],
    "read": [run("cat a.txt"), run("sleep 3; cat a.txt"), say()],
    "many": [run("echo 1"), calls(run("echo 2"), run("echo 3")), run("echo 4"), run("echo 5"), say()],
    "edit": [call("apply_patch", "*** Begin Patch\n*** Add File: b.txt\n+PRIVATE-CONTENT\n*** End Patch\n"), say()],
    "plan": [call("update_plan", {"plan": [{"step": "PRIVATE-STEP", "status": "in_progress"}]}), say()],
    "agent": [call("spawn_agent", {"task_name": "counter", "message": f"{PROMPT} script=sub"}, "collaboration"),
              call("wait_agent", {"timeout_ms": 20000}, "collaboration"), say()],
    "agent-v1": [call("spawn_agent", {"message": f"{PROMPT} script=sub"}, "multi_agent_v1"), run("sleep 5"), say()],
    "sub": [run("sleep 3"), say("sub done")],
    "retry": [fail(500, once=True), say()],
    "failure": [fail(400)],
    "slow": [say("word " * 200, slow=20)],
    "reached": [fail(429, reached=True)],
    "agent-ask": [call("spawn_agent", {"task_name": "counter", "message": f"{PROMPT} script=ask"}, "collaboration"),
                  call("wait_agent", {"timeout_ms": 20000}, "collaboration"), say()],
    "ask": [run("touch asked", sandbox_permissions="require_escalated", justification="PRIVATE-REASON"), say()],
}

HELPERS = {"agent": "sub", "agent-v1": "sub", "agent-ask": "ask"}
HAS_LIMITS = True


def program(folder):
    return os.path.join(folder, "node_modules", ".bin", "codex")


def number(version):
    return [int(part) for part in version.split(".")]


def prepare(world, sandbox="danger-full-access", approval="never"):
    os.makedirs(f"{world.home}/.codex", exist_ok=True)
    with open(f"{world.project}/a.txt", "w") as file:
        file.write("alpha\n")
    model = "gpt-5.6-sol" if number(world.version) < [0, 160] else "gpt-6-sol"
    with open(f"{world.home}/.codex/config.toml", "w") as file:
        file.write(f"""model = "{model}"
model_provider = "fake"
approval_policy = "{approval}"
sandbox_mode = "{sandbox}"
check_for_update_on_startup = false
[model_providers.fake]
name = "fake"
base_url = "http://127.0.0.1:{world.model.port}/v1"
env_key = "FAKE_KEY"
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 2
[analytics]
enabled = false
[projects."{world.project}"]
trust_level = "trusted"
""")


def env(world):
    return world.env(CODEX_HOME=f"{world.home}/.codex", FAKE_KEY="x")


def exec_(world, prompt, *before, tap=None):
    command = [program(world.client_folder), "exec", *before, "--json", "--skip-git-repo-check", f"{PROMPT} {prompt}"]
    return world.client(command, env(world), through_tap=tap)


def interactive(world):
    terminal = world.terminal([program(world.client_folder)], env(world))
    if not terminal.wait_for("Ask Codex", "/model to change", "% left", "shortcuts", seconds=30):
        world.notes.append("the terminal never got ready: " + " / ".join(terminal.screen().split("\n")[:4]))
    terminal.still(1.5)
    return terminal


def thread_ids(world):
    return [row["session"] for row in world.model.served if row["kind"] == "turn" and row.get("source") in (None, "user")]


def files(home):
    return sorted(glob.glob(f"{home}/.codex/sessions/**/*.jsonl", recursive=True))


def sessions_of(home):
    """Thread ids that have a file: what is not kept can't be told."""
    for path in files(home):
        with open(path) as file:
            yield json.loads(file.readline())["payload"].get("id")


# The scenarios.


def one_answer(world):
    exec_(world, "script=one")
    world.activity("waiting", "idle")


def tools(world):
    for script in ("run", "edit", "plan"):
        exec_(world, f"script={script}")
    child = world.background([program(world.client_folder), "exec", "--skip-git-repo-check", f"{PROMPT} script=slow-run"], env(world))
    world.activity("running")
    child.wait(60)
    child = world.background([program(world.client_folder), "exec", "--skip-git-repo-check", f"{PROMPT} script=read"], env(world))
    world.activity("reading", "running")
    child.wait(60)


def many_responses(world):
    exec_(world, "script=many")


def sub_agent(world):
    script = "agent-v1" if number(world.version) < [0, 150] else "agent"
    child = world.background([program(world.client_folder), "exec", "--skip-git-repo-check", f"{PROMPT} script={script}"], env(world))
    if world.until(lambda: any(row["script"] == "sub" for row in world.model.served), "", 15):
        world.activity("delegating", *(["running"] if script == "agent-v1" else []))
    else:
        world.notes.clear()
        world.cannot.append("it knows no such call")
    child.wait(60)


def resume(world):
    exec_(world, "script=one")
    exec_(world, "script=run", "resume", "--last")


def fork(world):
    exec_(world, "script=many")
    exec_(world, "script=one", "fork", thread_ids(world)[0])


def edited(world):
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=run first")
    world.served(2)
    world.prompt(terminal, f"{PROMPT} script=run second")
    world.served(4)
    world.settle()
    for key in ("Escape", "Escape", "Enter"):
        terminal.keys(key)
        terminal.still(1)
    terminal.text(" again")
    world.served(6)


def compaction(world):
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.settle()
    terminal.text("/compact")
    world.served(3)
    world.settle()
    world.prompt(terminal, f"{PROMPT} script=one")
    world.served(4)


def retry(world):
    exec_(world, "script=retry")


def failure(world):
    exec_(world, "script=failure")


def interrupted(world):
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=run")
    world.served(2)
    world.prompt(terminal, f"{PROMPT} script=slow")
    world.activity("thinking")
    terminal.wait_for("word word")
    terminal.keys("Escape")
    world.activity("waiting", "idle")


def killed(world):
    child = world.background([program(world.client_folder), "exec", "--skip-git-repo-check", f"{PROMPT} script=slow-run"], env(world))
    world.activity("running")
    world.kill(child)
    if number(world.version) < [0, 153]:
        # Without a record an answer's tokens are written when its tools are done.
        world.cannot.append("it writes an answer's tokens after its tools")
        row = world.model.served[0]
        row.update(status=0, cut=row["blended"])
    exec_(world, "script=one")


def permission(world):
    prepare(world, "read-only", "on-request")
    terminal = interactive(world)
    world.prompt(terminal, f"{PROMPT} script=ask")
    # Nothing in the session file tells a command that waits from one that runs.
    world.activity("running", "waiting")
    terminal.wait_for("Would you like", "Yes", "Allow")
    terminal.keys("y")
    terminal.keys("Enter")
    world.served(2)


def permission_heard(world):
    prepare(world, "read-only", "on-request")
    with open(world.settings) as file:
        text = file.read()
    with open(world.settings, "w") as file:
        file.write(text.replace("[sources]", "[sources]\ncodex_live = true"))
    world.restart_daemon()
    for script in ("ask", "agent-ask"):
        terminal = interactive(world)
        world.until(lambda: os.path.exists(f"{world.home}/.codex/app-server-control/app-server-control.sock"), "the app server's socket", 60)
        before = len(world.events)
        world.prompt(terminal, f"{PROMPT} script={script}")
        terminal.wait_for("Would you like", "Allow", seconds=30)
        shown = time.time()
        world.until(lambda: any(waits(event) for event in world.events[before:]), "an event of the waiting approval", 5)
        heard = min((event["heard"] for event in world.events[before:] if waits(event)), default=shown + 99)
        if heard > shown + 0.3:
            world.notes.append(f"the approval was told {heard - shown:.1f} s after it was on the screen")
        world.activity("waiting")
        terminal.keys("y")
        terminal.keys("Enter")
        world.settle()
        world.close_clients()
    agents = {row.get("user_agent") for row in world.model.served}
    if not any("(agent-presence; " in (agent or "") for agent in agents):
        world.notes.append(f"the user agent is not as docs/details.md says: {agents}")


def waits(event):
    return event["event"] == "activity" and event["activity"] == "waiting"


def limits(world):
    world.model.limits = Limits(40, 20)
    exec_(world, "script=one")
    world.until(lambda: told(world) == {"5h": 60, "weekly": 80}, "5h 60, weekly 80")
    world.model.limits = Limits(55, 22, world.model.limits.five_hours_reset, world.model.limits.weekly_reset)
    exec_(world, "script=one", "resume", "--last")
    world.until(lambda: told(world) == {"5h": 45, "weekly": 78}, "5h 45, weekly 78")
    # Another session; then the vendor resets the windows: its own next word is lower.
    world.model.limits = Limits(3, 2, world.model.limits.five_hours_reset, world.model.limits.weekly_reset)
    exec_(world, "script=one", "resume", "--last")
    world.until(lambda: told(world) == {"5h": 97, "weekly": 98}, "5h 97, weekly 98")


def limit_reached(world):
    world.model.limits = Limits(99, 20)
    exec_(world, "script=one")
    world.model.limits = Limits(100, 21, world.model.limits.five_hours_reset, world.model.limits.weekly_reset)
    exec_(world, "script=reached", "resume", "--last")
    world.until(lambda: told(world).get("5h") == 0, f"5h 0, is {told(world)}")


def told(world):
    """What `status` says of the main family: remaining percent by window."""
    rows = [row for row in world.status()["limits"] if row["agent"] == NAME]
    return {window["label"]: window["remaining_percent"] for row in rows[:1] for window in row["windows"]}


def tap(world):
    exec_(world, "script=many", tap=NAME)
    exec_(world, "script=one", "resume", "--last", tap=NAME)


def two_at_once(world):
    child = world.background([program(world.client_folder), "exec", "--skip-git-repo-check", f"{PROMPT} script=slow-run"], env(world))
    exec_(world, "script=many")
    child.wait(60)


SCENARIOS = {
    "one answer": one_answer, "tools": tools, "many responses": many_responses, "sub-agent": sub_agent, "resume": resume,
    "fork": fork, "edited message": edited, "compaction": compaction, "retry": retry, "failure": failure,
    "interrupted": interrupted, "killed": killed, "permission": permission, "permission heard": permission_heard, "limits fall": limits,
    "limit reached": limit_reached, "tap": tap, "two at once": two_at_once,
}
INTERACTIVE = {"edited message", "compaction", "interrupted", "permission", "permission heard"}
