"""Clients that cost little beside what they measure.

``python -m benchmarks.web_clients HOST PORT PATH COUNT SECONDS`` follows COUNT event streams and
prints, as JSON, when each tick came to each: ``{sequence: [seconds since the epoch, ...]}``.
"""

import http.client
import json
import re
import selectors
import socket
import sys
import time
from collections import defaultdict

__all__ = ["ask", "request_rate"]

_CONNECTIONS = 4
_TICK = re.compile(rb'event: tick\ndata: [^\n]*?"sequence":(\d+)')
_KEPT = 400  # bytes of the end of a chunk: the begin of an event that is not whole yet


def request_rate(port: int, path: str, seconds: float) -> float:
    """Return requests a second over a few kept connections, one request in flight on each."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    chosen = selectors.DefaultSelector()
    for _ in range(_CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chosen.register(connection, selectors.EVENT_READ)
        connection.sendall(request)
    answered, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for key, _ in chosen.select(1.0):
            connection = key.fileobj  # type: ignore[assignment]
            _read_answer(connection)
            answered += 1
            connection.sendall(request)
    for key in list(chosen.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return answered / elapsed


def _read_answer(connection: socket.socket) -> None:
    answer = connection.recv(65_536)
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    length = re.search(rb"(?i)content-length: (\d+)", answer)
    assert length, answer[:500]
    missing = end + 4 + int(length[1]) - len(answer)
    while missing > 0:
        missing -= len(connection.recv(65_536))


def ask(port: int, path: str, times: int) -> tuple[list[float], int]:
    """Return (milliseconds of each of ``times`` requests, bytes of the compressed answer)."""
    spent, size = [], 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(times):
        start = time.perf_counter()
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        size = len(answer.read())
        spent.append(1000 * (time.perf_counter() - start))
        assert answer.status == http.client.OK, (path, answer.status)
    connection.close()
    return spent, size


def follow(host: str, port: int, path: str, count: int, seconds: float) -> dict[int, list[float]]:
    """Return when each tick came, over ``count`` streams."""
    chosen = selectors.DefaultSelector()
    for _ in range(count):
        connection = socket.create_connection((host, port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        connection.setblocking(False)
        chosen.register(connection, selectors.EVENT_READ)
    arrivals: dict[int, list[float]] = defaultdict(list)
    rests: dict[int, bytes] = defaultdict(bytes)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in chosen.select(0.5):
            received = key.fileobj.recv(65_536)  # type: ignore[union-attr]
            now = time.time()  # noqa: TID251 - compared with the publisher's clock
            text = rests[key.fd] + received
            last = 0
            for found in _TICK.finditer(text):
                arrivals[int(found[1])].append(now)
                last = found.end()
            rests[key.fd] = text[max(last, len(text) - _KEPT) :]
    return arrivals


if __name__ == "__main__":
    where, port, path, count, seconds = sys.argv[1:]
    print(json.dumps(follow(where, int(port), path, int(count), float(seconds))))
