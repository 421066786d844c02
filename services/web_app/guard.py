"""Who may ask, and how often: an optional token, and a bucket of requests for each client."""

import hmac
import threading
from http import HTTPStatus

from flask import Flask, request

from common.clock import Clock
from web_app.errors import ProblemError

__all__ = ["Buckets", "add_guard"]

_BURST_S = 5.0  # a page that loads asks for many things at once
_MAX_CLIENTS = 10_000
_OPEN = ("/api/health", "/api/v1/health", "/static/", "/favicon.ico")


class Buckets:
    """A token bucket for each client; the emptiest clients are remembered longest."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._capacity = rate * _BURST_S
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}  # client: (tokens, when)
        self._lock = threading.Lock()

    def take(self, client: str) -> float:
        """Take one request; return 0, or the seconds until the next is allowed."""
        now = self._clock.monotonic()
        with self._lock:
            tokens, when = self._levels.pop(client, (self._capacity, now))
            tokens = min(self._capacity, tokens + (now - when) * self._rate)
            allowed = tokens >= 1
            self._levels[client] = (tokens - 1 if allowed else tokens, now)
            if len(self._levels) > _MAX_CLIENTS:
                del self._levels[next(iter(self._levels))]  # the longest silent
        return 0.0 if allowed else (1 - tokens) / self._rate


def add_guard(app: Flask, token: str | None, rate: float, clock: Clock) -> None:
    """Check every request to ``app``.

    The token comes as ``Authorization: Bearer``; a browser asks its user for it as the password of
    basic authentication, so that page and stream need no code and no cookie.
    """
    if rate:
        _add_limit(app, Buckets(rate, clock), rate)
    if token:
        _add_token(app, token)


def _add_limit(app: Flask, buckets: Buckets, rate: float) -> None:
    @app.before_request
    def _limit() -> None:
        wait = buckets.take(request.remote_addr or "")
        if wait:
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {rate:g} requests a second; slow down, or follow /api/v1/stream",
                Retry_After=str(max(1, round(wait))),
            )


def _add_token(app: Flask, token: str) -> None:
    @app.before_request
    def _authenticate() -> None:
        if request.path.startswith(_OPEN):
            return
        given = request.authorization
        sent = (given.token or given.password or "") if given else ""
        if not hmac.compare_digest(sent.encode(), token.encode()):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "send the token: Authorization: Bearer TOKEN",
                WWW_Authenticate='Basic realm="Bitcoin forecast", charset="UTF-8"',
            )
