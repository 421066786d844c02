from collections.abc import Sequence

import pytest

from bitcoin_forecast_app.forecaster import Forecaster
from bitcoin_forecast_app.observation import SECOND_US, Observation, observation_time_us
from bitcoin_forecast_app.settlement import Settled
from common.wire import HORIZONS_S

SECOND = HORIZONS_S.index(1)


def at(seconds: float, mid: float, venue: str = "coinbase") -> Observation:
    return Observation(int(seconds * SECOND_US) + 10**15, venue, mid)


def run(observations: Sequence[Observation]) -> tuple[list[Settled], Forecaster]:
    forecaster, settled = Forecaster(), []
    for observation in observations:
        settled += forecaster.observe(observation)
        forecaster.await_outcomes(forecaster.forecast(observation.time_us))
    return settled, forecaster


def test_a_forecast_is_scored_by_the_price_in_force_at_its_target() -> None:
    settled, _ = run([at(0, 100), at(0.4, 101), at(0.9, 102), at(1.3, 103)])
    assert [(s.index, s.actual) for s in settled] == [(SECOND, 102)]


def test_an_observation_at_the_target_itself_counts() -> None:
    settled, _ = run([at(0, 100), at(1, 101), at(2, 102)])
    assert [s.actual for s in settled if s.index == SECOND] == [101, 102]


def test_a_poll_that_is_a_little_late_stands_for_the_target() -> None:
    settled, _ = run([at(0, 100), at(1.1, 101)])
    assert [s.actual for s in settled] == [101]


def test_what_nobody_saw_is_not_scored_but_counted() -> None:
    settled, forecaster = run([at(0, 100), at(2, 101)])
    assert settled == []
    assert forecaster.settlement.unscored == {"unseen": 1}


def test_nothing_is_scored_across_a_gap() -> None:
    settled, forecaster = run([at(0, 100), at(1, 100), at(30, 110), at(31, 110)])
    assert all(s.issue.observation.time_us >= at(30, 0).time_us for s in settled[1:])
    assert len(settled) == 2
    assert forecaster.settlement.unscored["gap"] == 2 * len(HORIZONS_S) - 1


def test_nothing_is_scored_across_a_change_of_venue() -> None:
    settled, forecaster = run([at(0, 100), at(1, 120, "kraken"), at(2, 121, "kraken")])
    assert [s.actual for s in settled] == [121]
    assert forecaster.settlement.unscored["venue"] == len(HORIZONS_S)
    assert forecaster.tracker.sigma.per_second < 0.01  # the difference of venues is no move


@pytest.mark.parametrize(
    ("sequence", "event", "receipt", "expected"),
    [
        (1_000_000, 900_000, 1_150_000, 1_000_000),  # polled: as of its schedule
        (1_000_000, 1_000_000, 2_300_000, 2_300_000),  # streamed by a venue whose clock is behind
        (7, 900_000, 1_150_000_000, 1_150_000_000),  # no schedule at all
    ],
)
def test_when_a_tick_was_observed(sequence: int, event: int, receipt: int, expected: int) -> None:
    assert observation_time_us(sequence, event, receipt) == expected
