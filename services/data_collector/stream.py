"""A venue over its WebSocket: keeps a connection, and shows the markets as they are now."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from common.clock import Clock
from common.log import get_logger
from data_collector import metrics
from data_collector.errors import (
    AnswerError,
    BackOffError,
    RefusedForGoodError,
    RetryError,
    UnsupportedSymbolError,
    VenueError,
)
from data_collector.rest import Outcome, error_of_status
from data_collector.venues.streams import MarketState, Message, StreamAdapter

__all__ = ["StreamVenue"]

_OPEN_S = 5.0
_START_S = 3.0  # how long after connecting the first news of each market may be waited for
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STEADY_S = 60.0  # a connection that lasted this long starts the pauses anew
_LARGEST_MESSAGE = 1 << 20

_log = get_logger(__name__)


class StreamVenue:
    """Connects for as long as `run` runs; pauses between attempts grow, with jitter.

    A feed from which nothing came for ``silence_s`` (heartbeats count), or in which trades are
    missing, is dropped and subscribed anew; until it has spoken again the venue is no answer.
    """

    def __init__(
        self,
        adapter: StreamAdapter,
        url: str,
        symbols: Sequence[str],
        silence_s: float,
        clock: Clock,
    ) -> None:
        self.name = adapter.venue
        self._adapter = adapter
        self._url = url + adapter.path(symbols)
        self._symbols = tuple(symbols)
        self._silence_s = silence_s
        self._clock = clock
        self._rng = random.Random()  # noqa: S311 - jitter
        self._connections = 0
        self._starting_until = clock.monotonic() + _START_S
        self._markets: dict[str, MarketState] = {}
        self._unsupported: dict[str, str] = {}
        self._failure: VenueError = RetryError("not yet connected")
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keep the connection until cancelled or refused for good."""
        pause = _FIRST_PAUSE_S
        while not isinstance(self._failure, RefusedForGoodError):
            started = self._clock.monotonic()
            failure = await self._connect_once()
            self._failure = failure
            self._markets = {}
            self._starting_until = 0.0
            metrics.STREAM_DROPS.labels(self.name).inc()
            if self._clock.monotonic() - started > _STEADY_S:
                pause = _FIRST_PAUSE_S
            wait = pause * self._rng.uniform(0.5, 1.0)
            if isinstance(failure, BackOffError):
                wait = max(wait, failure.retry_after_s or 0.0)
            _log.warning("stream lost", venue=self.name, why=str(failure), again_in=round(wait, 2))
            await asyncio.sleep(wait)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def observe(
        self,
        symbols: Iterable[str],
        timeout_s: float,
        *,
        lean: bool = False,  # noqa: ARG002 - looking costs nothing
    ) -> dict[str, Outcome]:
        """Return the markets as they are now; waits only for what is not known yet."""
        wanted = list(symbols)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._is_starting and not all(self._is_known(symbol) for symbol in wanted):
                    self._changed.clear()
                    await self._changed.wait()
        return {symbol: self._outcome(symbol) for symbol in wanted}

    async def warm(self, timeout_s: float) -> None:
        """Return once something is known; raises `VenueError`."""
        outcomes = (await self.observe(self._symbols, timeout_s)).values()
        errors = [outcome for outcome in outcomes if isinstance(outcome, VenueError)]
        if len(errors) == len(self._symbols):
            raise errors[0]

    @property
    def _is_starting(self) -> bool:
        """Return whether it is worth while to wait for the first news."""
        return self._clock.monotonic() < self._starting_until

    def _is_known(self, symbol: str) -> bool:
        state = self._markets.get(symbol)
        return symbol in self._unsupported or bool(state and state.observe())

    def _outcome(self, symbol: str) -> Outcome:
        if symbol in self._unsupported:
            return UnsupportedSymbolError(self._unsupported[symbol])
        state = self._markets.get(symbol)
        if state is None:
            failure = self._failure
            if isinstance(failure, AnswerError):  # is dead-lettered once
                self._failure = RetryError(str(failure))
            return failure
        return state.observe() or RetryError("nothing was told of this market yet")

    async def _connect_once(self) -> VenueError:
        """Live through one connection; return why it ended."""
        local = urlsplit(self._url).hostname in ("127.0.0.1", "::1", "localhost")
        try:
            async with connect(
                self._url,
                open_timeout=_OPEN_S,
                close_timeout=1.0,
                max_size=_LARGEST_MESSAGE,
                proxy=None if local else True,
            ) as connection:
                await self._listen(connection)
        except VenueError as error:
            return error
        except TimeoutError:
            return RetryError(f"nothing came for {self._silence_s:.0f} s")
        except InvalidStatus as error:
            response = error.response
            headers = response.headers
            text = (response.body or b"").decode(errors="replace")
            retry_after = headers.get("Retry-After", "")
            status = response.status_code
            return error_of_status(status, text, retry_after, self._clock.now())
        except (OSError, WebSocketException) as error:
            return RetryError(f"{type(error).__name__}: {error}")
        return RetryError("the connection was closed")

    async def _listen(self, connection: ClientConnection) -> None:
        for message in self._adapter.subscriptions(self._symbols):
            await connection.send(message)
        self._connections += 1
        self._starting_until = self._clock.monotonic() + _START_S
        self._markets = {s: MarketState(self._connections) for s in self._symbols}
        self._unsupported = {}
        while True:
            async with asyncio.timeout(self._silence_s):
                body = await connection.recv(decode=False)
            self._take(self._adapter.parse(body, self._symbols))

    def _take(self, message: Message) -> None:
        metrics.STREAM_MESSAGES.labels(self.name, message.kind).inc()
        if message.kind == "refused":
            if message.symbol is None:
                raise RetryError(message.detail)
            self._unsupported[message.symbol] = message.detail
        for update in message.updates:
            state = self._markets.get(update.symbol)
            if state is None:
                raise RetryError(f"told of {update.symbol}, which was not asked for")
            state.apply(update)
            if state.gap:
                metrics.STREAM_GAPS.labels(self.name).inc()
                raise RetryError(f"trades of {update.symbol} are missing")
        self._changed.set()
