"""A model server on loopback that the real agents talk to, and the log of every usage it handed out: the truth.

It speaks OpenAI's Responses API (Codex) and Chat Completions API (pi, Qwen Code), Anthropic's Messages API (Claude Code) and
Gemini's (Gemini CLI), all as server-sent events. An answer is chosen by the newest `script=NAME` in the user's texts of the request; the step is the
number of answers that follow it there. So the server keeps no state of a conversation, and several can run at once. Each answer has numbers of its own:
one that is missing or counted twice shows in a sum.
"""
import dataclasses
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Stands in every text that the server hands out. It must be nowhere but in the agents' own files.
PRIVATE = "PRIVATE-ANSWER"


@dataclasses.dataclass
class Answer:
    """What the server says to one request."""

    blocks: list  # ("text", str) | ("think", str) | ("call", name, arguments, namespace or None)
    error: int = 0  # a status instead of an answer
    once: bool = False  # the error comes the first time only
    reached: bool = False  # the error says that the limits are used up
    slow: float = 0  # seconds that the text takes
    stop: str = ""  # a reason to stop other than the usual ones


def say(text="done", **rest):
    """A last answer: the turn ends with it."""
    return Answer([("text", f"{PRIVATE} {text}")], **rest)


def call(name, arguments, namespace=None, before=None):
    """A tool call: the turn goes on."""
    blocks = [("text", f"{PRIVATE} {before}")] if before else []
    return Answer(blocks + [("call", name, arguments, namespace)])


def calls(*several):
    """Several tool calls in one answer."""
    return Answer([block for one in several for block in one.blocks])


def fail(status, **rest):
    """An error instead of an answer."""
    return Answer([], error=status, **rest)


@dataclasses.dataclass
class Limits:
    """The remaining limits that the server's headers tell: percent used, and when each window resets (epoch seconds)."""

    five_hours: float
    weekly: float
    five_hours_reset: int = 0
    weekly_reset: int = 0

    def __post_init__(self):
        now = int(time.time())
        self.five_hours_reset = self.five_hours_reset or now + 2 * 3600
        self.weekly_reset = self.weekly_reset or now + 3 * 86400


class Model:
    """The server. `served` has one entry for each request: session, agent, kind, usage, status."""

    def __init__(self, scripts, helpers):
        self.scripts = scripts
        # By a script that starts sub-agents: theirs.
        self.helpers = helpers
        self.limits = None
        self.served = []
        self.lock = threading.Lock()
        self.failed = set()
        self.started = time.time()
        model = self

        class Handler(_Handler):
            pass

        Handler.model = model
        self.server = _Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def note(self, entry):
        with self.lock:
            entry = {"n": len(self.served) + 1, "at": time.time(), **entry}
            self.served.append(entry)
            return entry["n"]

    def answer(self, request):
        """The answer to a request, by its script and step."""
        steps = self.scripts.get(request["script"])
        if request["kind"] == "side":
            return Answer([("text", '{"title": "A title"}')])
        if request["kind"] == "compact":
            return Answer([("text", f"<analysis>{PRIVATE}</analysis><summary>{PRIVATE} so far</summary>")])
        if not steps:
            return say()
        answer = steps[min(request["step"], len(steps) - 1)]
        if answer.error and answer.once:
            key = (request["session"], request["agent"], request["script"], request["length"])
            with self.lock:
                if key in self.failed:
                    return steps[-1]
                self.failed.add(key)
        return answer


def newest_script(texts):
    """The last `script=NAME` of texts, newest last, and the place of its text; None where there is none."""
    for place in range(len(texts) - 1, -1, -1):
        names = re.findall(r"script=([\w-]+)", texts[place])
        if names:
            return names[-1], place
    return None, -1


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that went away is a scenario, not an error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = None

    def log_message(self, *_):
        pass

    def plain(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.plain(200 if "models" in self.path else 404, {"object": "list", "data": [], "models": [], "has_more": False})

    do_HEAD = do_GET

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding"):
            self.plain(415, {"error": {"message": "compressed requests are not read"}})
            return
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        path = self.path.split("?")[0].rstrip("/")
        try:
            if path.endswith(("/responses", "/responses/compact")):
                import responses

                responses.serve(self, body)
            elif path.endswith("/chat/completions"):
                import completions

                completions.serve(self, body)
            elif path.endswith("/messages"):
                import messages

                messages.serve(self, body, raw)
            elif path.endswith("enerateContent"):
                import generate

                generate.serve(self, path, body)
            elif path.endswith("/count_tokens"):
                self.plain(200, {"input_tokens": len(raw) // 4})
            else:
                self.plain(404, {"error": {"message": "not here", "type": "not_found_error"}, "type": "error"})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def stream(self, headers=()):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def event(self, kind, **data):
        self.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode())
        self.wfile.flush()

    def data(self, value):
        """An event without a name; a text goes as it is."""
        self.wfile.write(f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode())
        self.wfile.flush()
