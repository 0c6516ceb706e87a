"""OpenAI's Chat Completions API, as far as pi, OpenCode, Copilot CLI and Qwen Code use it."""
import json
import re
import time

from model import newest_script
from tags import newest_tag


def texts_of(content):
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def read(model, headers, body):
    """Whose request it is, and which answer it wants."""
    messages = body.get("messages") or []
    prompts = [texts_of(message.get("content")) if message.get("role") == "user" else "" for message in messages]
    script, place = newest_script(prompts)
    step = sum(1 for message in messages[place + 1:] if message.get("role") == "assistant") if script else 0
    session = headers.get("x-session-affinity") or folder_of(messages[:1])
    if session is None and model.served and not newest_tag(prompts):
        # A summary is asked for without its session: it is that of the newest answer.
        session = model.served[-1]["session"]
    # Tools are offered with everything but the request for a summary. A title is asked of a small model.
    kind = "turn" if body.get("tools") else "side" if "small" in str(body.get("model")) else "compact"
    asked = [text for text in prompts if text]
    if newest_tag(prompts) or session is None:
        # Of Qwen Code, whose requests name no session: the end of an agent in the background begins a turn by itself, and
        # a turn without a prompt is beside the conversation.
        session = newest_tag(prompts) or (model.served[-1]["session"] if model.served else None)
        if "<task-notification>" in asked[-1]:
            place = max(place for place, text in enumerate(prompts) if text)
            script, step = "notified", sum(1 for message in messages[place + 1:] if message.get("role") == "assistant")
        elif "script=" not in asked[-1] or "script=beside" in asked[-1]:
            kind = "aside"
    return {"session": session, "agent": None, "kind": kind, "script": script, "step": step, "length": len(messages),
            "model": body.get("model"), "inside": "subagent" in headers.get("x-interaction-type", "")}


def folder_of(messages):
    """Copilot CLI's session, whose folder is named in its instructions."""
    found = re.search(r"session-state[/\\\\]+([0-9a-f-]{36})", json.dumps(messages))
    return found and found[1]


def serve(handler, body):
    model = handler.model
    request = read(model, handler.headers, body)
    answer = model.answer(request)
    if answer.error:
        model.note({**request, "status": answer.error})
        handler.plain(answer.error, {"error": {"message": "try later", "type": "made_up", "code": str(answer.error)}})
        return
    number = model.note({**request, "status": 0})
    usage = {"input": 900 + 10 * number, "cached": 100 + number, "written": number % 3 * 11, "output": 50 + 3 * number, "reasoning": number % 7}
    prompt = usage["input"] + usage["cached"] + usage["written"]

    def chunk(choices, **rest):
        handler.data({"id": f"chatcmpl-{number:06d}", "object": "chat.completion.chunk", "created": int(time.time()),
                      "model": request["model"], "choices": choices, **rest})

    def delta(finish=None, **part):
        chunk([{"index": 0, "delta": part, "finish_reason": finish}])

    handler.stream()
    delta(role="assistant", content="")
    calls = [block for block in answer.blocks if block[0] == "call"]
    for block in answer.blocks:
        if block[0] == "think":
            delta(reasoning_content=block[1])
        elif block[0] == "text":
            words = block[1].split(" ")
            for word in words:
                delta(content=word + " ")
                time.sleep(answer.slow / len(words))
    for index, block in enumerate(calls):
        function = {"name": block[1], "arguments": json.dumps(block[2])}
        delta(tool_calls=[{"index": index, "id": f"call_{number:06d}_{index}", "type": "function", "function": function}])
    delta(answer.stop or ("tool_calls" if calls else "stop"))
    chunk([], usage={"prompt_tokens": prompt, "completion_tokens": usage["output"], "total_tokens": prompt + usage["output"],
                     "prompt_tokens_details": {"cached_tokens": usage["cached"], "cache_write_tokens": usage["written"]},
                     "completion_tokens_details": {"reasoning_tokens": usage["reasoning"]}})
    handler.data("[DONE]")
    # The usage comes last: of an answer that was broken off nothing is known.
    model.served[number - 1].update(status=200, usage=usage, blended=usage["input"] + usage["written"] + usage["output"])
