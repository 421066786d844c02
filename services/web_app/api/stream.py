"""Server-sent events: ticks and predictions as they come, resumable by the id of an event."""

import socket
import struct
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import Annotated

import msgspec
from flask import Blueprint, Response, request

from common.clock import to_micros
from common.wire import Tick
from web_app import metrics
from web_app.api.health import describe_health
from web_app.api.params import SymbolQuery, read_query, require_symbol
from web_app.errors import ProblemError, TooManyStreamsError
from web_app.live import Subscription
from web_app.runtime import Runtime

__all__ = ["StreamQuery", "add_stream", "limit_sends"]

_HEARTBEAT_S = 5.0
_RETRY_MS = 1_000
_BUSY_RETRY_S = "10"
_SEND_TIMEOUT_S = 20  # a client that takes nothing for this long is gone
_US = 1_000_000


class StreamQuery(SymbolQuery):
    """Where to begin: after an event id, or with the last ``replay_s`` seconds."""

    last_event_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    replay_s: Annotated[int, msgspec.Meta(ge=0, le=900)] = 0


def add_stream(api: Blueprint, runtime: Runtime) -> None:
    """Add the route to ``api``."""

    @api.get("/stream")
    def stream() -> Response:
        query = read_query(StreamQuery)
        symbol = require_symbol(query.symbol, runtime.settings.symbols)
        last_id = request.headers.get("Last-Event-ID") or query.last_event_id
        after = to_micros(runtime.clock.now()) - query.replay_s * _US
        try:
            client = runtime.hub.subscribe(symbol, last_id, after)
        except TooManyStreamsError as error:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{error}; poll /api/v1/latest and try again later",
                Retry_After=_BUSY_RETRY_S,
            ) from error
        limit_sends()
        answer = Response(_Events(runtime, symbol, client), mimetype="text/event-stream")
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Accel-Buffering"] = "no"
        return answer


def limit_sends() -> None:
    """Make a send fail after a while, so that a client that stopped reading frees its thread."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        timeout = struct.pack("ll", _SEND_TIMEOUT_S, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)


class _Events:
    """The body; an object, because a generator that never began would not be closed."""

    def __init__(self, runtime: Runtime, symbol: str, client: Subscription) -> None:
        self._runtime = runtime
        self._symbol = symbol
        self._client = client
        self._frames = self._produce()

    def __iter__(self) -> Iterator[bytes]:
        return self._frames

    def close(self) -> None:
        """Give the place up; called by the server when the client is gone."""
        self._frames.close()
        self._runtime.hub.unsubscribe(self._symbol, self._client)

    def _produce(self) -> Generator[bytes]:
        yield f"retry: {_RETRY_MS}\n\n".encode() + self._health("health")
        while True:
            reset, events, closed = self._client.take(_HEARTBEAT_S)
            frames = [self._reset(reset)] if reset is not None else []
            for event in events:
                if not self._client.position.past(event):
                    self._client.position = self._client.position.after(event)
                    frames.append(
                        b"id: %s\n%s" % (str(self._client.position).encode(), event.frame)
                    )
                    if isinstance(event.message, Tick):
                        age = self._runtime.clock.now() - event.message.receive_time
                        metrics.delivery.observe(age.total_seconds())
            if closed:
                frames.append(b'event: end\ndata: {"reason":"the server restarts"}\n\n')
                yield b"".join(frames)
                return
            yield b"".join(frames) or self._health("heartbeat")

    def _reset(self, reason: str) -> bytes:
        metrics.resets.inc()
        data = msgspec.json.encode({"reason": reason})
        return b"id: %s\nevent: reset\ndata: %s\n\n" % (str(self._client.position).encode(), data)

    def _health(self, event: str) -> bytes:
        data = msgspec.json.encode(describe_health(self._runtime, self._symbol))
        return b"event: %s\ndata: %s\n\n" % (event.encode(), data)
