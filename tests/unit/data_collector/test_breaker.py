import random

import pytest
from tests.unit.data_collector.conftest import FakeClock

from data_collector.breaker import Breaker
from data_collector.errors import BackOffError, RefusedForGoodError, RetryError


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker("coinbase", clock, random.Random(1))


def state(breaker: Breaker) -> str:
    return breaker.state


def due(breaker: Breaker) -> bool:
    return breaker.probe_is_due


def trip(breaker: Breaker) -> None:
    for _ in range(3):
        breaker.failed(RetryError("reset"))


def test_opens_after_three_failures_in_a_row(breaker: Breaker) -> None:
    breaker.failed(RetryError("a"))
    breaker.failed(RetryError("b"))
    breaker.succeeded()
    breaker.failed(RetryError("c"))
    breaker.failed(RetryError("d"))
    assert state(breaker) == "closed"
    breaker.failed(RetryError("e"))
    assert state(breaker) == "open"
    assert breaker.describe()["reason"] == "e"


def test_one_probe_closes_it_again(breaker: Breaker, clock: FakeClock) -> None:
    trip(breaker)
    assert not due(breaker)
    clock.elapsed += 1.01
    assert due(breaker)
    breaker.begin_probe()
    assert not due(breaker)
    breaker.succeeded()
    assert state(breaker) == "closed"


def test_pauses_grow_and_are_bounded(breaker: Breaker, clock: FakeClock) -> None:
    trip(breaker)
    pauses = []
    for _ in range(12):
        start = clock.elapsed
        while not breaker.probe_is_due:
            clock.elapsed += 0.05
        pauses.append(clock.elapsed - start)
        breaker.begin_probe()
        breaker.failed(RetryError("still"))
    for number, pause in enumerate(pauses):
        longest = min(60.0, 2.0**number)
        assert longest / 2 <= pause <= longest + 0.1


def test_retry_after_is_honoured_at_once(breaker: Breaker, clock: FakeClock) -> None:
    breaker.failed(BackOffError("429", 30))
    assert state(breaker) == "open"
    clock.elapsed = 29.9
    assert not due(breaker)
    clock.elapsed = 30.1
    assert due(breaker)


def test_a_longer_ban_while_open_counts(breaker: Breaker, clock: FakeClock) -> None:
    breaker.failed(BackOffError("429", 5))
    breaker.failed(BackOffError("418", 100))
    clock.elapsed = 99
    assert not due(breaker)


def test_a_region_refusal_is_for_good(breaker: Breaker, clock: FakeClock) -> None:
    breaker.failed(RefusedForGoodError("451"))
    breaker.succeeded()
    breaker.failed(BackOffError("429", 1))
    clock.elapsed = 1e6
    assert state(breaker) == "refused"
    assert not due(breaker)
