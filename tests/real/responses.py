"""OpenAI's Responses API, as far as Codex uses it."""
import json
import time

from model import newest_script


def texts_of(item):
    content = item.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def is_answer(item):
    return item.get("type") in ("function_call", "custom_tool_call", "local_shell_call") or item.get("role") == "assistant"


def read(headers, body, path):
    """Whose request it is, and which answer it wants."""
    items = body.get("input")
    items = items if isinstance(items, list) else []
    # A sub-agent is told its task by an item of another type; the text is what counts.
    prompts = [texts_of(item) if item.get("role") != "assistant" else "" for item in items]
    script, place = newest_script(prompts)
    step = sum(1 for item in items[place + 1:] if is_answer(item)) if script else 0
    try:
        about = json.loads(headers.get("x-codex-turn-metadata") or "{}")
    except ValueError:
        about = {}
    thread = headers.get("thread-id") or headers.get("conversation_id") or headers.get("session_id")
    kind = about.get("request_kind") or "turn"
    if path.endswith("/compact") or "compact" in kind or any(item.get("type") == "compaction_trigger" for item in items[-1:]):
        kind = "compact"
    elif kind != "turn" or not body.get("tools") and not any(item.get("type") == "additional_tools" for item in items):
        kind = "turn" if kind == "turn" and script else "side"
    return {"session": thread, "helper": thread != (headers.get("session-id") or thread), "agent": about.get("agent_name"), "kind": kind, "script": script, "step": step, "user_agent": headers.get("user-agent"),
            "length": len(items), "request_kind": about.get("request_kind"), "source": about.get("thread_source"), "turn": about.get("turn_id")}


def limit_headers(limits):
    rows = (("primary", limits.five_hours, 300, limits.five_hours_reset),
            ("secondary", limits.weekly, 10080, limits.weekly_reset))
    for name, used, minutes, reset in rows:
        yield f"x-codex-{name}-used-percent", str(used)
        yield f"x-codex-{name}-window-minutes", str(minutes)
        yield f"x-codex-{name}-reset-at", str(reset)


def serve(handler, body):
    model = handler.model
    request = read(handler.headers, body, handler.path)
    if request["helper"] and request["script"] in model.helpers:
        # A sub-agent may begin with its parent's conversation, and its task need not stand in it as text.
        done = sum(1 for row in model.served if row["session"] == request["session"] and row["status"] == 200)
        request.update(script=model.helpers[request["script"]], step=done)
    answer = model.answer(request)
    headers = list(limit_headers(model.limits)) if model.limits else []
    if answer.error:
        model.note({**request, "status": answer.error})
        error = {"message": "try later", "type": "rate_limit_exceeded", "code": "rate_limit_exceeded"}
        if answer.reached:
            error = {"message": "The usage limit has been reached", "type": "usage_limit_reached", "plan_type": "plus",
                     "resets_at": model.limits.five_hours_reset}
        handler.plain(answer.error, {"error": error}, headers)
        return
    number = model.note({**request, "status": 0})
    usage = {"input": 1000 + 10 * number, "cached": 100 + number, "output": 50 + 3 * number, "reasoning": number % 7}
    model.served[number - 1]["cut"] = usage["input"] - usage["cached"] + 1
    identity = f"resp_{number:06d}"
    output = list(output_items(answer, number))
    handler.stream(headers)
    handler.event("response.created", response={"id": identity})
    for index, item in enumerate(output):
        if item["type"] == "message" and answer.slow:
            handler.event("response.output_item.added", output_index=index, item={**item, "content": [], "status": "in_progress"})
            words = item["content"][0]["text"].split(" ")
            for word in words:
                handler.event("response.output_text.delta", item_id=item["id"], output_index=index, content_index=0, delta=word + " ")
                time.sleep(answer.slow / len(words))
        else:
            handler.event("response.output_item.added", output_index=index, item=item)
        handler.event("response.output_item.done", output_index=index, item=item)
    handler.event("response.completed", response={"id": identity, "object": "response", "status": "completed", "output": output, "usage": {
        "input_tokens": usage["input"], "input_tokens_details": {"cached_tokens": usage["cached"]},
        "output_tokens": usage["output"], "output_tokens_details": {"reasoning_tokens": usage["reasoning"]},
        "total_tokens": usage["input"] + usage["output"]}})
    # Only what was said to the end is told by the agent.
    model.served[number - 1].update(status=200, usage=usage, blended=usage["input"] - usage["cached"] + usage["output"])


def output_items(answer, number):
    for index, block in enumerate(answer.blocks):
        name = f"{number:06d}_{index}"
        if block[0] == "text":
            yield {"type": "message", "id": f"msg_{name}", "role": "assistant", "status": "completed",
                   "content": [{"type": "output_text", "text": block[1], "annotations": []}]}
        elif block[0] == "call" and isinstance(block[2], str):
            yield {"type": "custom_tool_call", "id": f"ctc_{name}", "call_id": f"call_{name}", "name": block[1], "input": block[2], "status": "completed"}
        elif block[0] == "call":
            yield {"type": "function_call", "id": f"fc_{name}", "call_id": f"call_{name}", "name": block[1],
                   "arguments": json.dumps(block[2]), "status": "completed", **({"namespace": block[3]} if block[3] else {})}
        elif block[0] == "search":
            yield {"type": "web_search_call", "id": f"ws_{name}", "status": "completed", "action": {"type": "search", "query": block[1]}}
