"""A venue over REST: sends its adapter's requests and says what a failure means."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from common.clock import Clock
from data_collector import metrics
from data_collector.errors import (
    AnswerError,
    BackOffError,
    RefusedForGoodError,
    RetryError,
    UnsupportedSymbolError,
    VenueError,
)
from data_collector.venues import Adapter, Observation, Request

__all__ = ["Outcome", "RestVenue", "check_status", "error_of_status", "make_client"]

Outcome = Observation | VenueError

_KEEP_ALIVE_S = 60.0
_OUTCOMES: tuple[tuple[type[VenueError], str], ...] = (
    (RetryError, "retry"),
    (BackOffError, "back_off"),
    (RefusedForGoodError, "refused"),
    (UnsupportedSymbolError, "unsupported"),
    (AnswerError, "answer"),
)


def make_client(url: str, timeout_s: float, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
    """Return a pooled client for ``url``; a proxy from the environment is not used on loopback."""
    local = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    return httpx.AsyncClient(
        base_url=url,
        timeout=timeout_s,
        auth=auth,
        limits=httpx.Limits(max_connections=32, keepalive_expiry=_KEEP_ALIVE_S),
        headers={"User-Agent": "bitcoin-prediction", "Accept": "application/json"},
        trust_env=not local,
    )


class RestVenue:
    """Observes markets by polling; requests of one observation run side by side."""

    def __init__(
        self, adapter: Adapter, client: httpx.AsyncClient, plan: Sequence[Request], clock: Clock
    ) -> None:
        self.name = adapter.venue
        self._adapter = adapter
        self._client = client
        self._plan = tuple(plan)
        self._clock = clock

    async def observe(
        self, symbols: Iterable[str], timeout_s: float, *, lean: bool = False
    ) -> dict[str, Outcome]:
        """Return for each of ``symbols`` what the venue says, or why it says nothing.

        ``lean`` leaves the optional requests out.
        """
        wanted = set(symbols)
        requests = [
            request
            for request in self._plan
            if wanted.intersection(request.symbols) and (request.required or not lean)
        ]
        bodies = await asyncio.gather(*(self._fetch(request, timeout_s) for request in requests))
        answers = dict(zip(requests, bodies, strict=True))
        return {symbol: self._read(symbol, answers) for symbol in wanted}

    async def warm(self, timeout_s: float) -> None:
        """Open a connection and ask for the time; raises `VenueError`."""
        await self._get(self._adapter.time_path, {}, timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _read(self, symbol: str, answers: Mapping[Request, bytes | VenueError]) -> Outcome:
        bodies: dict[str, bytes] = {}
        for request, body in answers.items():
            if symbol in request.symbols:
                if isinstance(body, bytes):
                    bodies[request.name] = body
                elif request.required or not isinstance(body, RetryError):
                    return body
        try:
            return self._adapter.parse(symbol, bodies)
        except VenueError as error:
            return error

    async def _fetch(self, request: Request, timeout_s: float) -> bytes | VenueError:
        outcome = "ok"
        try:
            return await self._get(request.path, request.params, timeout_s)
        except VenueError as error:
            outcome = next(name for kind, name in _OUTCOMES if isinstance(error, kind))
            return error
        finally:
            metrics.REQUESTS.labels(self.name, outcome).inc()

    async def _get(self, path: str, params: Mapping[str, str], timeout_s: float) -> bytes:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._client.get(path, params=dict(params))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RetryError(f"no answer within {timeout_s:.2f} s") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise RetryError(f"{type(error).__name__}: {error}") from error
        metrics.REQUEST_DURATION.labels(self.name).observe(self._clock.monotonic() - started)
        check_status(response, self._clock.now())
        return response.content


def check_status(response: httpx.Response, now: datetime) -> None:
    """Return if the answer may be read; else raise the `VenueError` that its status means."""
    if response.status_code != HTTPStatus.OK:
        retry_after = response.headers.get("Retry-After", "")
        raise error_of_status(response.status_code, response.text, retry_after, now)


def error_of_status(status: int, text: str, retry_after: str, now: datetime) -> VenueError:
    """Return what a status other than 200 means for the caller."""
    said = f"HTTP {status}: {text[:200]}"
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT):
        return BackOffError(said, _retry_after(retry_after, now))
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS):
        return RefusedForGoodError(said)
    if status == HTTPStatus.NOT_FOUND or (status == HTTPStatus.BAD_REQUEST and "-1121" in said):
        return UnsupportedSymbolError(said)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or 300 <= status < 400:
        return RetryError(said)
    return AnswerError("unexpected_status", said, text.encode())


def _retry_after(text: str, now: datetime) -> float | None:
    """Return the seconds that the header asks for, in either of its forms."""
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError):
        return None
