from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.wire import Tick
from data_collector.validation import Limits, Validator

START = datetime(2026, 1, 1, tzinfo=UTC)


def tick(second: float, price: str = "100", **changes: Any) -> Tick:
    moment = START + timedelta(seconds=second)
    values: dict[str, Any] = {
        "symbol": "BTC-USD",
        "venue": "coinbase",
        "feed": "live",
        "sequence": round(second * 1e6),
        "event_time": moment,
        "receive_time": moment,
        "price": Decimal(price),
    }
    return Tick(**{**values, **changes})


def reason(validator: Validator, each: Tick) -> str:
    refusal = validator.check(each)
    return refusal.reason if refusal else "accepted"


def test_order_and_repeats() -> None:
    validator = Validator(Limits())
    found = [reason(validator, tick(second)) for second in (5, 6, 6, 5, 7)]
    assert found == ["accepted", "accepted", "duplicate", "duplicate", "accepted"]


def test_an_answer_that_was_overtaken_has_its_own_second_once_and_not_too_late() -> None:
    validator = Validator(Limits(late_s=3))
    found = [reason(validator, tick(second)) for second in (5, 7, 6, 6, 9, 6, 8, 5)]
    accepted, repeated = "accepted", "duplicate"
    expected = [accepted, accepted, accepted, repeated, accepted, repeated, accepted]
    assert found == [*expected, "out_of_order"]


def test_an_overtaken_answer_is_known_after_a_restart() -> None:
    validator = Validator(Limits())
    for second in (5, 7, 6):
        validator.resume(tick(second))
    assert validator.last_sequence("BTC-USD") == 7_000_000
    assert reason(validator, tick(6)) == "duplicate"
    assert reason(validator, tick(8)) == "accepted"


def test_an_overtaken_answer_neither_moves_the_price_nor_confirms_a_jump() -> None:
    validator = Validator(Limits(jump_confirmations=1))
    assert [reason(validator, tick(second)) for second in (1, 4)] == ["accepted"] * 2
    assert reason(validator, tick(2, "101.9")) == "accepted"
    assert reason(validator, tick(3, "150")) == "jump"
    assert reason(validator, tick(5, "150")) == "jump"
    assert reason(validator, tick(6, "98.5")) == "accepted"  # beside 100, not 101.9


def test_symbols_are_judged_apart() -> None:
    validator = Validator(Limits())
    assert reason(validator, tick(5)) == "accepted"
    assert reason(validator, tick(5, "3", symbol="ETH-USD")) == "accepted"


def test_a_restart_knows_what_was_accepted_before() -> None:
    validator = Validator(Limits())
    validator.resume(tick(5))
    assert reason(validator, tick(5)) == "duplicate"
    assert reason(validator, tick(6, "103")) == "jump"
    assert reason(validator, tick(7, "101")) == "accepted"


def test_a_restart_knows_the_volatility_and_nothing_older_than_what_it_knows() -> None:
    first, second = Validator(Limits()), Validator(Limits())
    prices = [str(100 + 3 * (number % 2)) for number in range(60)]
    accepted = [each for at, price in enumerate(prices) if not first.check(each := tick(at, price))]
    assert len(accepted) < len(prices)
    for each in (*accepted, *accepted[:10]):
        second.resume(each)
    for at, price in enumerate(("103", "100", "110", "80"), start=60):
        assert first.check(tick(at, price)) == second.check(tick(at, price))


def test_what_was_believed_as_a_new_level_does_not_count_as_volatility_after_a_restart() -> None:
    validator = Validator(Limits())
    for second, price in enumerate(("100", "100", "150", "150")):
        validator.resume(tick(second, price))
    assert reason(validator, tick(4, "154")) == "jump"
    assert reason(validator, tick(4, "152")) == "accepted"


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(59, "accepted"), (61, "stale"), (-9, "accepted"), (-11, "clock_skew")],
)
def test_event_times(age_s: float, expected: str) -> None:
    event = START + timedelta(seconds=100 - age_s)
    assert reason(Validator(Limits()), tick(100, event_time=event)) == expected


@pytest.mark.parametrize(
    "values", [{"price": "1e13"}, {"bid": "1e-13", "ask": "100"}, {"bid": "100", "ask": "1e13"}]
)
def test_values_out_of_any_market(values: dict[str, str]) -> None:
    changes = {name: Decimal(value) for name, value in values.items()}
    assert reason(Validator(Limits()), tick(1, **changes)) == "out_of_range"  # type: ignore[arg-type]


def test_a_jump_is_refused_until_it_is_confirmed() -> None:
    validator = Validator(Limits(jump_confirmations=3))
    assert reason(validator, tick(1)) == "accepted"
    found = [reason(validator, tick(second, "150")) for second in (2, 3, 4, 5, 6)]
    assert found == ["jump", "jump", "jump", "accepted", "accepted"]


def test_what_doubles_at_once_is_believed_after_a_minute_only() -> None:
    validator = Validator(Limits(jump_confirmations=3))
    assert reason(validator, tick(0)) == "accepted"
    found = [reason(validator, tick(second, f"{10**14 + second}")) for second in range(1, 3)]
    assert found == ["out_of_range"] * 2
    found = [reason(validator, tick(second, "100000000")) for second in range(3, 70)]
    assert found == ["jump"] * 60 + ["accepted"] * 7
    assert reason(validator, tick(70, "100")) == "jump"


def test_a_crash_that_two_venues_show_is_believed_at_once() -> None:
    validator = Validator(Limits())
    assert reason(validator, tick(0)) == "accepted"
    assert reason(validator, tick(1, "40")) == "jump"
    assert reason(validator, tick(1, "40.2", venue="binance")) == "accepted"
    assert reason(validator, tick(2, "40.1")) == "accepted"


@pytest.mark.parametrize(
    ("second", "price"), [(1, "45"), (2, "40")], ids=["another price", "another second"]
)
def test_two_venues_must_say_the_same_at_the_same_second(second: int, price: str) -> None:
    validator = Validator(Limits())
    assert reason(validator, tick(0)) == "accepted"
    assert reason(validator, tick(1, "40")) == "jump"
    assert reason(validator, tick(second, price, venue="binance")) == "jump"


def test_a_venue_asked_again_within_the_second_does_not_confirm_itself() -> None:
    validator = Validator(Limits(jump_confirmations=3))
    assert reason(validator, tick(0)) == "accepted"
    found = [reason(validator, tick(1, "150")) for _ in range(5)]
    assert found == ["jump"] * 5
    found = [reason(validator, tick(second, "150")) for second in (2, 3, 4)]
    assert found == ["jump", "jump", "accepted"]


def test_a_crash_that_builds_up_is_followed_down() -> None:
    validator = Validator(Limits())
    price, fall, found = 100.0, 0.005, []
    for second in range(12):
        found.append(reason(validator, tick(second, f"{price:.4f}")))
        price, fall = price * (1 - fall), min(0.08, fall * 1.5)
    assert price < 70
    assert set(found) == {"accepted"}


@pytest.mark.parametrize(("price", "expected"), [("30", "off_book"), ("60", "accepted")])
def test_a_last_price_belongs_to_its_book(price: str, expected: str) -> None:
    book = {"bid": Decimal(99), "ask": Decimal(101)}
    assert reason(Validator(Limits()), tick(0, price, **book)) == expected


def test_single_outliers_never_become_a_level() -> None:
    validator = Validator(Limits(jump_confirmations=2))
    prices = ["100", "150", "100", "151", "100", "152", "100", "153", "400", "20", "900"]
    found = [reason(validator, tick(second, price)) for second, price in enumerate(prices)]
    assert [each == "accepted" for each in found] == [price == "100" for price in prices]


@pytest.mark.parametrize(("step", "expected"), [(0.01, "jump"), (1.5, "accepted")])
def test_what_is_a_jump_depends_on_the_recent_volatility(step: float, expected: str) -> None:
    validator = Validator(Limits(jump_floor=0.05, jump_sigmas=10))
    for second in range(300):
        price = 100 + step * (1 if second % 2 else -1)
        assert reason(validator, tick(second, str(price))) == "accepted"
    assert reason(validator, tick(300, "110")) == expected


@dataclass(frozen=True)
class Arrival:
    sequence: int
    age_s: float


arrivals = st.lists(st.builds(Arrival, st.integers(0, 30), st.floats(-100, 100)), max_size=40)


@given(arrivals=arrivals)
def test_what_is_accepted_is_timely_and_never_repeated(arrivals: list[Arrival]) -> None:
    limits = Limits()
    validator = Validator(limits)
    accepted: list[int] = []
    for each in arrivals:
        newest = validator.last_sequence("BTC-USD") / 1e6
        event = START + timedelta(seconds=each.sequence - each.age_s)
        found = reason(validator, tick(each.sequence, event_time=event))
        timely = -limits.max_ahead_s <= each.age_s <= limits.stale_after_s
        is_late = bool(accepted) and each.sequence < newest - limits.late_s
        assert (found == "accepted") == (timely and not is_late and each.sequence not in accepted)
        if found == "accepted":
            accepted.append(each.sequence)
    # An arrival that was accepted is refused when it comes again.
    for sequence in accepted:
        assert validator.check(tick(sequence)) is not None
