"""Anthropic's Messages API, as far as Claude Code uses it."""
import json
import re
import time

from model import newest_script


def texts_of(content):
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if isinstance(part, dict) and part.get("type") == "text")


def read(headers, body):
    """Whose request it is, and which answer it wants."""
    turns = body.get("messages") or []
    prompts = [texts_of(turn.get("content")) if turn.get("role") == "user" else "" for turn in turns]
    script, place = newest_script(prompts)
    step = sum(1 for turn in turns[place + 1:] if turn.get("role") == "assistant") if script else 0
    session = headers.get("x-claude-code-session-id")
    if not session:
        user = str((body.get("metadata") or {}).get("user_id")).replace("\\", "")
        found = re.search(r'session_([0-9a-f-]{36})|"session_id": ?"([0-9a-f-]{36})', user)
        session = found and (found.group(1) or found.group(2))
    kind = "turn"
    if any(len(text) > 1500 and re.search(r"(detailed summary|summary of (the|this|our)) ", text) for text in prompts[-2:]):
        kind = "compact"
    elif not body.get("tools"):
        kind = "side"
    return {"session": session, "agent": headers.get("x-claude-code-agent-id"), "kind": kind, "script": script, "step": step,
            "length": len(turns), "model": body.get("model")}


def limit_headers(limits, status):
    prefix = "anthropic-ratelimit-unified-"
    rows = (("5h", limits.five_hours, limits.five_hours_reset, status), ("7d", limits.weekly, limits.weekly_reset, "allowed"))
    for name, used, reset, state in rows:
        yield f"{prefix}{name}-utilization", f"{used / 100:.4f}"
        yield f"{prefix}{name}-reset", str(reset)
        yield f"{prefix}{name}-status", state
    yield f"{prefix}status", status
    yield f"{prefix}representative-claim", "five_hour"
    yield f"{prefix}reset", str(limits.five_hours_reset)
    yield f"{prefix}overage-status", "rejected"


def serve(handler, body, raw):
    model = handler.model
    request = read(handler.headers, body)
    answer = model.answer(request)
    headers = list(limit_headers(model.limits, "rejected" if answer.reached else "allowed")) if model.limits else []
    if answer.error:
        model.note({**request, "status": answer.error})
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(answer.error, "invalid_request_error")
        again = [("retry-after", "1")] if answer.once else []
        handler.plain(answer.error, {"type": "error", "error": {"type": kind, "message": "trouble"}}, headers + again)
        return
    number = model.note({**request, "status": 0})
    written = {"ephemeral_5m_input_tokens": 100 + number, "ephemeral_1h_input_tokens": 0}
    if number % 2 == 0:
        written = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 200 + number}
    usage = {"input_tokens": 10 + number, "cache_creation_input_tokens": sum(written.values()), "cache_read_input_tokens": 1000 * number,
             "cache_creation": written, "output_tokens": 50 + 3 * number, "service_tier": "standard"}
    where = re.search(r'[Ww]orking directory: ?([^\\\n"]+)', raw.decode("utf-8", "replace"))
    blocks = list(content_blocks(answer, number, where.group(1).strip() if where else "/tmp"))
    called = any(block["type"] == "tool_use" for block in blocks)
    stop = answer.stop or ("tool_use" if called else "end_turn")
    identity = f"msg_real{number:06d}{int(model.started) % 100000}"
    message = {"id": identity, "type": "message", "role": "assistant", "model": body.get("model"), "content": blocks,
               "stop_reason": stop, "stop_sequence": None, "usage": usage}
    headers.append(("request-id", f"req_real{number:06d}"))
    done = {"status": 200, "usage": usage, "message": identity,
            "blended": usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["output_tokens"]}
    if not body.get("stream"):
        handler.plain(200, message, headers)
        model.served[number - 1].update(done)
        return
    model.served[number - 1]["cut"] = usage["input_tokens"] + usage["cache_creation_input_tokens"] + 1
    handler.stream(headers)
    handler.event("message_start", message={**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}})
    for index, block in enumerate(blocks):
        send_block(handler, index, block, answer.slow)
    handler.event("message_delta", delta={"stop_reason": stop, "stop_sequence": None},
                  usage={name: value for name, value in usage.items() if name != "service_tier"})
    handler.event("message_stop")
    model.served[number - 1].update(done)


def content_blocks(answer, number, folder):
    for index, block in enumerate(answer.blocks):
        if block[0] == "text":
            yield {"type": "text", "text": block[1]}
        elif block[0] == "think":
            yield {"type": "thinking", "thinking": block[1]}
        elif block[0] == "call":
            arguments = json.loads(json.dumps(block[2]).replace("@FOLDER@", folder))
            yield {"type": "tool_use", "id": f"toolu_real{number:05d}{index}", "name": block[1], "input": arguments}


def send_block(handler, index, block, slow):
    if block["type"] == "text":
        handler.event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        parts = re.findall(r".{1,25}", block["text"], re.S)
        for part in parts:
            handler.event("content_block_delta", index=index, delta={"type": "text_delta", "text": part})
            time.sleep(slow / len(parts))
    elif block["type"] == "thinking":
        handler.event("content_block_start", index=index, content_block={"type": "thinking", "thinking": "", "signature": ""})
        handler.event("content_block_delta", index=index, delta={"type": "thinking_delta", "thinking": block["thinking"]})
        handler.event("content_block_delta", index=index, delta={"type": "signature_delta", "signature": "ZmFrZQ=="})
    else:
        handler.event("content_block_start", index=index, content_block={**block, "input": {}})
        handler.event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
    handler.event("content_block_stop", index=index)
