import asyncio
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal

from tests.unit.data_collector.conftest import FakeClock

from common.wire import Venue
from data_collector.breaker import Breaker
from data_collector.errors import (
    AnswerError,
    BackOffError,
    RefusedForGoodError,
    RetryError,
    UnsupportedSymbolError,
    VenueError,
)
from data_collector.exchanges import Exchange
from data_collector.poller import Poller, Times
from data_collector.rest import Outcome
from data_collector.venues import Observation


class FakeVenue:
    """Answers with a price of its own, or with the failure that is set."""

    def __init__(self, name: Venue, price: int) -> None:
        self.name = name
        self.price = price
        self.failures: dict[str, VenueError] = {}
        self.failure: VenueError | None = None
        self.asked = 0
        self.questions: list[tuple[set[str], bool]] = []

    async def observe(
        self, symbols: Sequence[str], timeout_s: float, *, lean: bool = False
    ) -> Mapping[str, Outcome]:
        assert timeout_s > 0
        self.asked += 1
        self.questions.append((set(symbols), lean))
        good = Observation(price=Decimal(self.price))
        return {s: self.failure or self.failures.get(s) or good for s in symbols}

    async def warm(self, timeout_s: float) -> None:
        raise NotImplementedError


class Bench:
    def __init__(self, clock: FakeClock, symbols: Sequence[str] = ("BTC-USD",)) -> None:
        self.clock = clock
        self.symbols = symbols
        self.lingering: Sequence[str] = ()
        self.accepted: list[tuple[int, str, Venue]] = []
        self.rejected: list[tuple[str, Venue, str]] = []
        self.refuse_price: int | None = None
        self.first, self.second = FakeVenue("coinbase", 1), FakeVenue("kraken", 2)
        self.exchanges = [
            Exchange(venue, Breaker(venue.name, clock, random.Random(0)))
            for venue in (self.first, self.second)
        ]
        times = Times(request_s=1.0, deadline_s=2.0)
        self.poller = Poller(
            self.exchanges,
            lambda: self.symbols,
            lambda: self.lingering,
            times,
            clock,
            self.accept,
            self.reject,
            self.flush,
        )

    def accept(self, symbol: str, venue: Venue, seen: Observation, sequence: int) -> None:
        if seen.price == self.refuse_price:
            raise AnswerError("jump", "too far", b"payload")
        self.accepted.append((sequence, symbol, venue))

    def reject(self, symbol: str, venue: Venue, error: AnswerError) -> None:
        self.rejected.append((symbol, venue, error.reason))

    async def flush(self) -> None:
        self.flushed = len(self.accepted) + len(self.rejected)

    def poll(self, *sequences: int) -> list[Venue]:
        """Poll once for each sequence, a second apart; return which venue served each tick."""

        async def run() -> None:
            for sequence in sequences:
                await self.poller.poll(sequence)
                await asyncio.sleep(0)  # lets a probe beside the poll run
                self.clock.elapsed += 1.0
            await self.poller.close()

        before = len(self.accepted)
        asyncio.run(run())
        return [venue for _, _, venue in self.accepted[before:]]


def test_the_preferred_venue_serves_while_it_can(clock: FakeClock) -> None:
    bench = Bench(clock)
    assert bench.poll(1, 2, 3) == ["coinbase"] * 3
    assert bench.second.asked == 0


def test_fails_over_within_the_same_poll_and_returns(clock: FakeClock) -> None:
    bench = Bench(clock)
    bench.first.failure = RetryError("reset")
    assert bench.poll(1, 2, 3, 4) == ["kraken"] * 4
    assert bench.exchanges[0].breaker.state == "open"
    bench.first.failure = None
    served = bench.poll(5, 6, 7, 8)
    assert served[-1] == "coinbase"
    assert len(served) == 4


def test_retry_after_keeps_the_venue_alone_for_that_long(clock: FakeClock) -> None:
    bench = Bench(clock)
    bench.first.failure = BackOffError("429", 5)
    bench.poll(1)
    bench.first.failure = None
    asked = bench.first.asked
    assert bench.poll(2, 3, 4, 5) == ["kraken"] * 4
    assert bench.first.asked == asked


def test_a_region_refusal_is_never_asked_again(clock: FakeClock) -> None:
    bench = Bench(clock)
    bench.first.failure = RefusedForGoodError("451")
    assert bench.poll(1, 2) == ["kraken", "kraken"]
    clock.elapsed += 1e6
    assert bench.poll(3) == ["kraken"]
    assert bench.first.asked == 1


def test_a_refused_tick_is_dead_lettered_and_the_next_venue_asked(clock: FakeClock) -> None:
    bench = Bench(clock)
    bench.refuse_price = 1
    assert bench.poll(1) == ["kraken"]
    assert bench.rejected == [("BTC-USD", "coinbase", "jump")]


def test_only_the_symbol_that_failed_is_asked_elsewhere(clock: FakeClock) -> None:
    bench = Bench(clock, ("BTC-USD", "ETH-USD"))
    bench.first.failures["ETH-USD"] = UnsupportedSymbolError("404")
    assert bench.poll(1, 2) == ["coinbase", "kraken"] * 2
    assert bench.exchanges[0].breaker.state == "closed"
    assert bench.exchanges[0].unsupported == ["ETH-USD"]


def test_a_market_that_a_venue_denied_is_asked_for_again_after_a_while(clock: FakeClock) -> None:
    bench = Bench(clock)
    bench.first.failure = bench.second.failure = UnsupportedSymbolError("404")
    assert bench.poll(1) == []
    bench.first.failure = bench.second.failure = None
    assert bench.poll(2) == []
    clock.elapsed += 30
    assert bench.poll(3, 4) == ["coinbase"] * 2
    assert bench.exchanges[0].unsupported == []


def test_one_symbol_that_fails_does_not_take_the_venue_from_the_others(clock: FakeClock) -> None:
    bench = Bench(clock, ("BTC-USD", "ETH-USD"))
    bench.first.failures["ETH-USD"] = RetryError("no answer")
    assert bench.poll(*range(1, 7)) == ["coinbase", "kraken"] * 6
    assert bench.exchanges[0].breaker.state == "closed"
    bench.first.failures["ETH-USD"] = BackOffError("429", 100)
    bench.poll(7)
    assert bench.poll(8) == ["kraken", "kraken"]


def test_with_all_open_the_ones_that_are_due_are_asked_and_recover(clock: FakeClock) -> None:
    bench = Bench(clock)
    bench.first.failure = bench.second.failure = RetryError("no network")
    assert bench.poll(*range(1, 11)) == []
    assert bench.first.asked < 10
    bench.first.failure = bench.second.failure = None
    clock.elapsed += 60
    assert bench.poll(20, 21, 22) == ["coinbase"] * 3
    # The other one was not needed on the way: it is probed beside, and is there again.
    assert bench.exchanges[1].breaker.state == "closed"


def test_a_short_failure_of_all_is_retried_within_the_second(clock: FakeClock) -> None:
    bench = Bench(clock)
    bench.exchanges = bench.exchanges[:1]
    times = Times(request_s=1.0, deadline_s=2.0, retry_until_s=0.7)
    poller = Poller(
        bench.exchanges,
        lambda: ["BTC-USD"],
        tuple,
        times,
        clock,
        bench.accept,
        bench.reject,
        bench.flush,
    )
    bench.first.failure = RetryError("reset")

    async def run() -> None:
        poll = asyncio.create_task(poller.poll(1))
        await asyncio.sleep(0.01)
        bench.first.failure = None
        await poll

    asyncio.run(run())
    assert bench.accepted == [(1, "BTC-USD", "coinbase")]
    assert bench.first.asked == 2


def test_what_is_handed_over_is_asked_for_later_and_lean(clock: FakeClock) -> None:
    bench = Bench(clock)
    bench.lingering = ("ETH-USD",)
    bench.poll(1)
    assert bench.first.questions == [({"BTC-USD"}, False), ({"ETH-USD"}, True)]
    assert [symbol for _, symbol, _ in bench.accepted] == ["BTC-USD", "ETH-USD"]


def test_catching_up_asks_lean_for_what_was_not_asked_for_yet(clock: FakeClock) -> None:
    bench = Bench(clock, ("BTC-USD", "ETH-USD"))
    bench.poller.note({"BTC-USD": 5})
    asyncio.run(bench.poller.catch_up(5))
    asyncio.run(bench.poller.catch_up(5))
    assert bench.first.questions == [({"ETH-USD"}, True)]
    assert bench.accepted == [(5, "ETH-USD", "coinbase")]


def test_one_that_comes_back_while_it_waits_to_be_asked_for_is_not_forgotten(
    clock: FakeClock,
) -> None:
    bench = Bench(clock)
    bench.lingering = ("ETH-USD",)

    async def run() -> None:
        poll = asyncio.create_task(bench.poller.poll(1))
        await asyncio.sleep(0.1)
        bench.symbols, bench.lingering = ("BTC-USD", "ETH-USD"), ()
        await poll

    asyncio.run(run())
    assert [symbol for _, symbol, _ in bench.accepted] == ["BTC-USD", "ETH-USD"]
