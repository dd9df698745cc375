"""Many open event streams in one process: `python benchmarks/events_client.py HOST PORT`.

Reads one JSON list of access tokens, a token a stream, opens all, says `open`, and listens until
all have ended; then says when each job's event came to whom, in seconds of CLOCK_MONOTONIC.
"""

import json
import re
import selectors
import socket
import sys
import time
from collections import defaultdict

AN_EVENT = re.compile(rb'event: job\ndata: \{"id":"([0-9a-f-]{36})"[^\n]*\n\n')
ENDING = b"\r\n0\r\n\r\n"


def open_stream(host: str, port: int, token: str) -> socket.socket:
    stream = socket.create_connection((host, port), 30)
    stream.sendall(
        f"GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
        "Accept: text/event-stream\r\nAccept-Language: en-GB,en;q=0.5\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nCache-Control: no-cache\r\n\r\n".encode()
    )
    began = b""
    while b"retry: " not in began:
        part = stream.recv(65_536)
        if not part:
            raise ConnectionError(began.decode())
        began += part
    stream.setblocking(False)
    return stream


def main() -> None:
    host, port = sys.argv[1], int(sys.argv[2])
    tokens: list[str] = json.loads(sys.stdin.readline())
    waiting = selectors.DefaultSelector()
    kept: dict[int, bytes] = {}
    for token in tokens:
        stream = open_stream(host, port, token)
        waiting.register(stream, selectors.EVENT_READ)
        kept[stream.fileno()] = b""
    print("open", flush=True)
    came: dict[str, list[float]] = defaultdict(list)
    told_to_return = ended_well = 0
    while waiting.get_map():
        for key, _ in waiting.select(timeout=5):
            stream = key.fileobj
            if not isinstance(stream, socket.socket):
                continue
            part = stream.recv(65_536)
            now = time.monotonic()
            text = kept[key.fd] + part
            for found in AN_EVENT.finditer(text):
                came[found[1].decode()].append(now)
            if not part or text.endswith(ENDING):
                told_to_return += b"retry: " in text
                ended_well += text.endswith(ENDING)
                waiting.unregister(stream)
                stream.close()
            kept[key.fd] = text.rpartition(b"\n\n")[2] if b"retry: " not in text else text
    print(json.dumps({"came": came, "retry": told_to_return, "ended": ended_well}), flush=True)


if __name__ == "__main__":
    main()
