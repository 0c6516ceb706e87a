"""Compares what was told with what the model handed out: live, after, and between every command that tells it."""
import itertools
import json
import os
import re

def owner(row, client):
    """The session of an answer: a helper has an id of its own in Claude Code, a thread of its own in Codex."""
    return row["agent"] if client.NAME == "claude" and row.get("agent") else row["session"]


class Truth:
    """What one session was served: what must be counted, and what may be, because the agent does not always write it down."""

    def __init__(self):
        self.must = []
        self.may = []
        # Of the newest answer.
        self.kind = None

    def accepts(self, total):
        sums = {sum(picked) for size in range(len(self.may) + 1) for picked in itertools.combinations(self.may, size)}
        return total is not None and total - sum(self.must) in sums


def truths(world, client):
    told = {}
    for row in world.model.served:
        if row.get("source") not in (None, "user", "subagent") or row["kind"] == "side" and client.NAME != "claude":
            continue
        truth = told.setdefault(owner(row, client), Truth())
        if row["status"] == 200:
            # Claude Code writes no line for titles and compactions; its account of the session may tell them later.
            kept = truth.may if row["kind"] != "turn" and client.NAME == "claude" else truth.must
            if row["kind"] == "compact" and truth.kind == "compact" and kept:
                # A turn that is cut in two takes two summaries, and is told as one.
                kept[-1] += row["blended"]
            else:
                kept.append(row["blended"])
            truth.kind = row["kind"]
        elif row["status"] == 0 and "cut" in row:
            # Broken off: what was known when it began may stand in the file, with one token of output.
            truth.may.append(row["cut"])
    return told


def last_totals(events):
    """The newest total of each session, by usage events."""
    return {event["session"]: event["tokens"]["total"] for event in events if event["event"] == "usage"}


def differences(world, client):
    """Every difference, as one line each."""
    told = truths(world, client)
    kept = set(told) if world.without_files else set(client.sessions_of(world.home))
    live = last_totals(world.events)
    replayed = last_totals(world.replay(*client.files(world.home)))
    recorded = last_totals(world.record())
    status = {row["id"]: row["tokens"]["total"] for row in world.status()["sessions"]}
    for session, truth in told.items():
        if session not in kept:
            continue
        places = {"live": live, "record": recorded, "status": status} | ({} if world.without_files else {"replay": replayed})
        for where, totals in places.items():
            total = totals.get(session)
            if not truth.accepts(total) and not (total is None and not truth.must):
                yield f"{where}: total of …{session[-8:]} is {total}, handed out {sum(truth.must)}"
    for session in set(live) - set(told):
        yield f"live: …{session[-8:]} has {live[session]} tokens, and nothing was handed out to it"
    for session, truth in told.items():
        news = [event for event in world.events if event["event"] == "usage" and event["session"] == session and not event.get("restored")]
        totals = [event["tokens"]["total"] for event in news]
        if totals != sorted(totals):
            yield f"live: the total of …{session[-8:]} falls: {totals}"
        added = [event["tokens"]["delta"] for event in news]
        if session in kept and not truth.may and not world.streams and added != truth.must:
            yield f"live: …{session[-8:]} rose by {added}, handed out {truth.must}"
    if world.same_turns:
        yield from turn_differences(world, client, {session for session in kept if session in told and not told[session].may})
    yield from stream_differences(world, client)
    yield from card_differences(world, client)
    yield from leaks(world)
    yield from world.notes


def turn_differences(world, client, kept):
    """`last` is what was handed out since the newest prompt."""
    status = {row["id"]: row["tokens"]["last"] for row in world.status()["sessions"]}
    turns = {}
    for row in world.model.served:
        # A summary of pi's is told in the turn that it follows. The calls of Copilot CLI's helpers are of its own session.
        if (row["kind"] == "turn" or row["kind"] == "compact" and client.NAME == "pi") and row.get("source") in (None, "user", "subagent"):
            turn = turns.setdefault(owner(row, client), [])
            if row["step"] == 0 and row["kind"] == "turn" and not row.get("inside"):
                turn.clear()
            if row["status"] == 200:
                turn.append(row["blended"])
    for session, turn in turns.items():
        if session in kept and (status.get(session) or 0) != sum(turn):
            yield f"status: last of …{session[-8:]} is {status.get(session)}, handed out {sum(turn)}"


def stream_differences(world, client):
    """What `tap` said at its end: Claude Code's run, Codex's thread so far."""
    for said, begun, ended in world.streams:
        rows = [row for row in world.model.served[:ended] if row["status"] == 200]
        if client.NAME == "codex":
            rows = [row for row in rows if row["session"] == rows[-1]["session"]]
        else:
            rows = rows[sum(1 for row in world.model.served[:begun] if row["status"] == 200):]
        wanted = sum(row["blended"] for row in rows)
        if f"total={wanted:,} " not in said + " ":
            yield f"tap: {said or 'nothing'}, handed out {wanted:,}"


def card_differences(world, client):
    for activity, faults in world.discord.refused:
        yield f"Discord refused a card: {faults[0]} ({json.dumps(activity)[:80]})"

    def same():
        card, shown = world.status()["card"], world.discord.cards[-1][1] if world.discord.cards else None
        if card is None or shown is None:
            return card is None and shown is None
        return all(card[name] == shown.get(name) for name in ("details", "state"))

    world.until(same, "the card in Discord is the card of `status`", 25)
    if not client.HAS_LIMITS:
        yield from tokens_alone(world.status())


def tokens_alone(status):
    """The card of an agent that tells no limits has the tokens of its session, and looks meant so."""
    if status["limits"]:
        yield f"status: limits of an agent without them: {json.dumps(status['limits'])[:80]}"
    card = status["card"]
    for row in status["sessions"] if card else []:
        if row["id"] == card["session"]:
            shown = re.fullmatch(r"\+(\S+) \| (\S+) \| (\S+) tokens", card["state"] or "")
            told = [row["tokens"][name] for name in ("delta", "last", "total")]
            if shown is None and told[2] or shown and not all(map(is_short_for, shown.groups(), told)):
                yield f"the card says {card['state']!r}, its session has {told}"


def is_short_for(text, number):
    """Whether a figure of three digits stands for a number."""
    value = float(text.removesuffix("K")) * (1000 if text.endswith("K") else 1)
    return abs(value - number) <= number / 100


def leaks(world):
    """Texts of prompts, answers, commands and outputs, anywhere but in the agents' own files."""
    places = {"status": world.ask("status"), "status --json": world.ask("status", "--json"), "preview": world.ask("preview"),
              "watch": json.dumps(world.events), "Discord": json.dumps(world.discord.cards), "tap": "\n".join(said for said, _, _ in world.streams)}
    for folder, _, names in os.walk(world.state):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    places[os.path.relpath(path, world.state)] = file.read().decode("utf-8", "replace")
    for where, text in places.items():
        if "PRIVATE" in text:
            place = text.index("PRIVATE")
            yield f"private text in {where}: …{text[max(0, place - 40):place + 30]}…"
