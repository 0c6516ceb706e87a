"""Gemini's API, as far as Gemini CLI uses it: `generateContent`, streamed or not."""
import time

from model import newest_script
from tags import newest_tag


def read(model, path, body):
    """Whose request it is, and which answer it wants."""
    contents = body.get("contents") or []

    def text(content):
        parts = content.get("parts") or []
        return "\n".join(part.get("text", "") for part in parts) if content.get("role") == "user" else ""

    prompts = [text(content) for content in contents]
    script, place = newest_script(prompts)
    step = sum(1 for content in contents[place + 1:] if content.get("role") == "model") if script else 0
    # What is asked without tools is beside the conversation.
    kind = "turn" if body.get("tools") else "side"
    return {"session": newest_tag(prompts), "agent": None, "kind": kind, "script": script, "step": step, "length": len(contents),
            "model": path.split("/models/")[-1].split(":")[0]}


def serve(handler, path, body):
    model = handler.model
    request = read(model, path, body)
    answer = model.answer(request)
    if answer.error:
        model.note({**request, "status": answer.error})
        handler.plain(answer.error, {"error": {"message": "made up", "code": answer.error, "status": "INVALID_ARGUMENT"}})
        return
    number = model.note({**request, "status": 0})
    usage = {"input": 900 + 10 * number, "cached": 100 + number, "written": 0, "output": 50 + 3 * number, "reasoning": 1 + number % 7}
    prompt = usage["input"] + usage["cached"]

    def chunk(parts, finish=None, **rest):
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, **({"finishReason": finish} if finish else {})}
        return {"candidates": [candidate], "modelVersion": request["model"], "responseId": f"r{number:06d}", **rest}

    told = {"usageMetadata": {"promptTokenCount": prompt, "cachedContentTokenCount": usage["cached"],
                              "candidatesTokenCount": usage["output"] - usage["reasoning"], "thoughtsTokenCount": usage["reasoning"],
                              "totalTokenCount": prompt + usage["output"]}}
    parts = []
    for block in answer.blocks:
        if block[0] == "call":
            parts.append({"functionCall": {"name": block[1], "args": block[2]}})
        elif block[0] == "text":
            parts += [{"text": f"{word} "} for word in block[1].split(" ")]
    if "streamGenerateContent" not in path:
        handler.plain(200, chunk(parts, "STOP", **told))
    else:
        handler.stream()
        for part in parts:
            handler.data(chunk([part]))
            time.sleep(answer.slow / len(parts))
        handler.data(chunk([{"text": ""}], "STOP", **told))
    # The usage comes last: of an answer that was broken off nothing is known.
    model.served[number - 1].update(status=200, usage=usage, blended=usage["input"] + usage["output"])
