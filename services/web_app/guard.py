"""Who may ask, and how often: an optional token, and a bucket of requests for each client."""

import hmac
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from flask import Flask, request

from common.clock import Clock
from web_app.errors import ProblemError

__all__ = ["OPEN", "TOKEN_LENGTH", "Buckets", "TokenFile", "add_guard"]

_BURST_S = 5.0  # a page that loads asks for many things at once
_MAX_CLIENTS = 10_000
TOKEN_LENGTH = 16  # characters at least
_LOOK_S = 1.0
# The page without data, which asks for the token itself, and what monitors look at.
OPEN = ("/", "/favicon.ico", "/api/docs", "/api/health", "/api/v1/health")
_STATIC = "/static/"


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


class TokenFile:
    """The token in a file that may come, change and go while we run; looked at once a second.

    Without the file nobody is asked. One that cannot be read, or is too short to be a secret, lets
    nobody in: a mistake must not open the door.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._looked = float("-inf")
        self._token: str | None = None

    def __call__(self) -> str | None:
        """Return the token, None where none is asked; raises `ProblemError` 503."""
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK_S:
            self._token, self._looked = self._read(), now
        if self._token is not None and len(self._token) < TOKEN_LENGTH:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the token file is unreadable, or shorter than {TOKEN_LENGTH} characters: "
                "nobody is let in until it is mended",
            )
        return self._token

    def _read(self) -> str | None:
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            return ""


def add_guard(app: Flask, token: Callable[[], str | None], rate: float, clock: Clock) -> None:
    """Check every request to ``app``; ``token`` returns what must be sent, or None.

    The token comes as ``Authorization: Bearer``, or as the password of basic authentication for
    tools that know nothing else. It is never in an address, where logs would keep it.
    """
    if rate:
        _add_limit(app, Buckets(rate, clock), rate)
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


def _add_token(app: Flask, token: Callable[[], str | None]) -> None:
    @app.before_request
    def _authenticate() -> None:
        if request.path in OPEN or request.path.startswith(_STATIC):
            return
        wanted = token()
        if wanted is None:
            return
        given = request.authorization
        sent = (given.token or given.password or "") if given else ""
        if not hmac.compare_digest(sent.encode(), wanted.encode()):
            # Not "Basic": a browser would ask for it over the page, which asks itself.
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "send the token: Authorization: Bearer TOKEN",
                WWW_Authenticate='Bearer realm="Bitcoin forecast"',
            )
