"""A Discord client's socket, as strict as the real one where that shows: the handshake first, every activity within its limits."""
import json
import os
import socket
import struct
import threading
import time


class Discord:
    """Listens at PATH. `cards` are the activities that it accepted, with their times; None is a clear."""

    def __init__(self, path):
        self.cards = []
        self.refused = []
        self.path = path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        ready = False
        try:
            while True:
                opcode, length = struct.unpack("<II", _exactly(connection, 8))
                body = json.loads(_exactly(connection, length))
                if opcode == 0:
                    ready = True
                    user = {"id": "1", "username": "real", "discriminator": "0"}
                    _send(connection, {"cmd": "DISPATCH", "evt": "READY", "data": {"v": 1, "config": {}, "user": user}, "nonce": None})
                elif opcode == 3:
                    _send(connection, body, 4)
                elif opcode == 1 and ready and body.get("cmd") == "SET_ACTIVITY":
                    activity = body["args"].get("activity")
                    faults = list(faults_of(activity))
                    if faults:
                        self.refused.append((activity, faults))
                        _send(connection, {"cmd": "SET_ACTIVITY", "evt": "ERROR", "nonce": body.get("nonce"), "data": {"code": 4000, "message": "; ".join(faults)}})
                    else:
                        self.cards.append((time.time(), activity))
                        _send(connection, {"cmd": "SET_ACTIVITY", "evt": None, "nonce": body.get("nonce"), "data": activity})
        except (OSError, EOFError, ValueError):
            connection.close()


def faults_of(activity):
    """What Discord would refuse."""
    if activity is None:
        return
    texts = {"name": activity.get("name"), "details": activity.get("details"), "state": activity.get("state")}
    texts.update({name: (activity.get("assets") or {}).get(name) for name in ("large_text", "small_text")})
    for name, text in texts.items():
        if text is not None and not 2 <= len(text.encode("utf-16-le")) // 2 <= 128:
            yield f'child "{name}" fails because its length is out of range'
    start = (activity.get("timestamps") or {}).get("start")
    if start is not None and not 0 < start <= (time.time() + 1) * 1000:
        yield 'child "timestamps" fails because it starts in the future'


def _exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _send(connection, body, opcode=1):
    data = json.dumps(body).encode()
    connection.sendall(struct.pack("<II", opcode, len(data)) + data)
