"""A venue's stream against the simulator: subscription, gaps, silence, refusals."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from common.clock import SystemClock, to_micros
from common.wire import Venue
from data_collector.assembly import Stamp, assemble
from data_collector.errors import (
    AnswerError,
    RefusedForGoodError,
    RetryError,
    UnsupportedSymbolError,
    VenueError,
)
from data_collector.rest import Outcome
from data_collector.stream import StreamVenue
from data_collector.venues import Observation, Totals
from data_collector.venues.streams import STREAMS
from exchange_simulator.faults import ActiveFaults, Fault
from exchange_simulator.limits import RateLimits
from exchange_simulator.process import ProcessMarket
from exchange_simulator.server import Exchange
from exchange_simulator.streams import add_streams

VENUES: tuple[Venue, ...] = ("coinbase", "binance", "kraken")
PATHS = {"coinbase": "/coinbase/ws", "binance": "/binance", "kraken": "/kraken/ws"}


class Bench:
    def __init__(self, exchange: Exchange, stream: StreamVenue) -> None:
        self.exchange = exchange
        self.stream = stream

    def fault(self, **values: object) -> None:
        self.exchange.faults.add([Fault.model_validate(values)], self.exchange.now_us)

    async def one(self, symbol: str = "BTC-USD", timeout_s: float = 5.0) -> Outcome:
        return (await self.stream.observe([symbol], timeout_s))[symbol]

    async def until(self, kind: type[Observation | VenueError], seconds: float = 10.0) -> Outcome:
        async with asyncio.timeout(seconds):
            while not isinstance(outcome := await self.one(timeout_s=0.01), kind):
                await asyncio.sleep(0.02)
        return outcome

    async def traded(self, since: Totals, seconds: float = 30.0) -> Observation:
        """Return what is seen once more was traded than ``since``; the market decides when."""
        async with asyncio.timeout(seconds):
            while True:
                seen = await self.one()
                totals = seen.totals if isinstance(seen, Observation) else None
                if totals and totals.bought + totals.sold > since.bought + since.sold:
                    assert isinstance(seen, Observation)
                    return seen
                await asyncio.sleep(0.1)


def run(
    venue: Venue,
    use: Callable[[Bench], Awaitable[None]],
    symbols: tuple[str, ...] = ("BTC-USD", "ETH-USD"),
    silence_s: float = 3.0,
) -> None:
    async def main() -> None:
        clock = SystemClock()
        exchange = Exchange(
            market=ProcessMarket(1, ["BTC-USD", "ETH-USD"]),
            faults=ActiveFaults((), to_micros(clock.now()), 1),
            limits=RateLimits(0),
            clock=clock,
        )
        app = web.Application()
        add_streams(app, exchange)
        async with TestServer(app) as server:
            url = str(server.make_url(PATHS[venue])).replace("http", "ws")
            stream = StreamVenue(STREAMS[venue], url, symbols, silence_s, clock)
            task = asyncio.create_task(stream.run())
            try:
                await use(Bench(exchange, stream))
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize("venue", VENUES)
def test_shows_the_markets_as_they_are(venue: Venue) -> None:
    async def use(bench: Bench) -> None:
        first = await bench.one()
        assert isinstance(first, Observation)
        assert first.totals is not None
        later = await bench.traded(first.totals)
        assert later.totals is not None
        assert later.totals.connection == first.totals.connection
        now = datetime.now(UTC)  # noqa: TID251
        for symbol in ("BTC-USD", "ETH-USD"):
            seen = await bench.one(symbol)
            assert isinstance(seen, Observation)
            tick = assemble(symbol, seen, Stamp(venue, "simulated", 1, now))
            quote = bench.exchange.market.quote(venue, symbol, bench.exchange.now_us)
            assert tick.mid == pytest.approx((quote.bid + quote.ask) / 2, rel=1e-3)
            assert tick.bid_size is not None

    run(venue, use)


@pytest.mark.parametrize("venue", VENUES)
def test_a_reset_is_a_failure_and_then_it_is_there_again(venue: Venue) -> None:
    async def use(bench: Bench) -> None:
        assert isinstance(await bench.one(), Observation)
        bench.fault(kind="reset", for_s=0.3)
        await bench.until(RetryError)
        seen = await bench.until(Observation)
        assert isinstance(seen, Observation)
        assert seen.totals is not None
        assert seen.totals.connection >= 2

    run(venue, use)


@pytest.mark.parametrize("venue", ["coinbase", "binance"])
def test_missing_trades_end_the_connection(venue: Venue) -> None:
    async def use(bench: Bench) -> None:
        assert isinstance(await bench.one(), Observation)
        await asyncio.sleep(0.5)
        bench.fault(kind="gap", for_s=2.5)
        failure = await bench.until(RetryError)
        assert "are missing" in str(failure)

    run(venue, use)


def test_a_silent_feed_is_given_up() -> None:
    async def use(bench: Bench) -> None:
        assert isinstance(await bench.one(), Observation)
        bench.fault(kind="stale", for_s=30)
        failure = await bench.until(RetryError)
        assert "nothing came" in str(failure)

    run("kraken", use, silence_s=0.5)


def test_a_cut_message_is_dead_lettered_once() -> None:
    async def use(bench: Bench) -> None:
        assert isinstance(await bench.one(), Observation)
        bench.fault(kind="malformed", for_s=0.5)
        failure = await bench.until(AnswerError)
        assert isinstance(failure, AnswerError)
        assert failure.payload
        assert isinstance(await bench.one(timeout_s=0.01), RetryError)

    run("binance", use)


def test_a_region_refusal_is_for_good() -> None:
    async def use(bench: Bench) -> None:
        assert isinstance(await bench.one(), Observation)
        bench.fault(kind="region", for_s=60)
        bench.fault(kind="reset", for_s=0.2)
        failure = await bench.until(RefusedForGoodError)
        assert "HTTP 451" in str(failure)

    run("kraken", use)


def test_an_unknown_market_is_told_of_and_the_others_go_on() -> None:
    async def use(bench: Bench) -> None:
        seen = await bench.stream.observe(["BTC-USD", "FOO-USD"], 5)
        assert isinstance(seen["BTC-USD"], Observation)
        assert isinstance(seen["FOO-USD"], UnsupportedSymbolError)

    run("kraken", use, symbols=("BTC-USD", "FOO-USD"))
