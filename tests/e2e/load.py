"""Bounded load on the web application: constant requests, and stream clients that reconnect."""

import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

__all__ = ["RequestLoad", "StreamClients"]


class _Threads:
    """Threads that run ``self.work`` until the block ends."""

    def __init__(self, count: int) -> None:
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(count)]

    def work(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=15)


class RequestLoad(_Threads):
    """``rate`` requests a second in all, each on a fresh or kept connection of its thread."""

    WORKERS = 5

    def __init__(self, url: str, rate: float = 50.0) -> None:
        self.url, self.pause = url, self.WORKERS / rate
        self.answered = 0
        self.failures: list[str] = []
        self._lock = threading.Lock()
        super().__init__(self.WORKERS)

    def work(self) -> None:
        """Ask on schedule; anything but 200 is a failure."""
        due = time.monotonic()
        with httpx.Client(timeout=10) as client:
            while not self.stopping.wait(max(0.0, due - time.monotonic())):
                due += self.pause
                self._ask(client)

    def _ask(self, client: httpx.Client) -> None:
        try:
            status = client.get(self.url).status_code
            failure = None if status == httpx.codes.OK else f"status {status}"
        except httpx.HTTPError as error:
            failure = repr(error)
        with self._lock:
            self.answered += failure is None
            if failure:
                self.failures.append(failure)


class StreamClients(_Threads):
    """Clients of the event stream that resume with ``Last-Event-ID`` as browsers do."""

    def __init__(self, url: str, count: int = 20) -> None:
        self.url = url
        self.sequences: list[list[int]] = []
        self.resets: list[str] = []  # their reasons
        self.reconnects = 0
        super().__init__(count)

    def work(self) -> None:
        """Collect the sequence of each tick; reconnect at once when the stream ends."""
        seen: list[int] = []
        self.sequences.append(seen)
        last_id = ""
        connections = 0
        while not self.stopping.is_set():
            connections += 1
            self.reconnects += connections > 1
            try:
                last_id = self._follow(last_id, seen.append)
            except httpx.HTTPError:
                time.sleep(0.1)

    def _follow(self, last_id: str, found: Callable[[int], None]) -> str:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        kind = ""
        with httpx.stream("GET", self.url, headers=headers, timeout=10) as answer:
            answer.raise_for_status()
            try:
                for line in answer.iter_lines():
                    if self.stopping.is_set():
                        break
                    name, _, value = line.partition(": ")
                    if name == "id":
                        last_id = value
                    elif name == "event":
                        kind = value
                    elif name == "data" and kind == "tick":
                        found(int(json.loads(value)["sequence"]))
                    elif name == "data" and kind == "reset":
                        self.resets.append(json.loads(value)["reason"])
            except httpx.HTTPError:
                pass  # a cut connection is resumed from the last id, like an ended one
        return last_id
