from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bitcoin_forecast_app.engine import Engine, Key
from common.clock import to_micros
from common.wire import HORIZONS_S, QUANTILE_LEVELS, Prediction, Tick, decode, encode

START = datetime(2026, 1, 1, tzinfo=UTC)


def tick(second: float, price: str = "60000.1", **changes: object) -> Tick:
    moment = START + timedelta(seconds=second)
    fields: dict[str, object] = {
        "symbol": "BTC-USD",
        "venue": "coinbase",
        "feed": "simulated",
        "sequence": to_micros(moment),
        "event_time": moment + timedelta(milliseconds=3),
        "receive_time": moment + timedelta(milliseconds=40),
        "price": Decimal(price),
    }
    return Tick(**{**fields, **changes})  # type: ignore[arg-type]


def now(second: float) -> datetime:
    return START + timedelta(seconds=second + 0.05)


def test_the_first_tick_has_a_forecast_for_every_horizon() -> None:
    prediction = Engine().on_tick(tick(0), now(0))
    assert prediction is not None
    assert [f.horizon_s for f in prediction.horizons] == list(HORIZONS_S)
    assert prediction.outcomes == ()
    assert prediction.reference_price == 60000.1
    for forecast in prediction.horizons:
        assert forecast.target_time == START + timedelta(seconds=forecast.horizon_s)
        assert forecast.target_time > prediction.issue_time
        assert len(forecast.quantiles) == len(QUANTILE_LEVELS)
        assert forecast.quantiles[0] < 60000.1 < forecast.quantiles[-1]
    assert decode(encode(prediction), Prediction) == prediction


def test_outcomes_come_with_the_tick_at_their_target() -> None:
    engine = Engine()
    engine.on_tick(tick(0, "100"), now(0))
    prediction = engine.on_tick(tick(1, "101"), now(1))
    assert prediction is not None
    (outcome,) = prediction.outcomes
    assert outcome.horizon_s == 1
    assert outcome.actual == 101.0
    assert outcome.error == pytest.approx(1.0)
    assert outcome.crps_last_value == pytest.approx(1.0)
    assert outcome.crps > 0


def test_a_repeat_and_a_straggler_change_nothing() -> None:
    engine = Engine()
    engine.on_tick(tick(5), now(5))
    assert engine.on_tick(tick(5), now(5)) is None
    assert engine.on_tick(tick(4), now(5)) is None
    assert engine.ignored == {"repeated": 1, "reordered": 1}
    assert engine.on_tick(tick(6), now(6)) is not None


def test_late_ticks_get_only_forecasts_whose_outcome_is_still_open() -> None:
    engine = Engine()
    late = engine.on_tick(tick(0), now(20))
    assert late is not None
    assert [f.horizon_s for f in late.horizons] == [30, 60, 300]
    assert all(f.target_time > late.issue_time for f in late.horizons)
    assert Engine().on_tick(tick(0), now(400)) is None


def test_issue_times_are_unique_even_where_the_clock_stands() -> None:
    engine = Engine()
    issued = [engine.on_tick(tick(0, symbol=f"AA{i}-USD"), now(0)) for i in range(5)]
    times = [prediction.issue_time for prediction in issued if prediction is not None]
    assert len(set(times)) == 5


def test_feeds_never_mix() -> None:
    engine = Engine()
    engine.on_tick(tick(0, "100"), now(0))
    engine.on_tick(tick(0, "90000", feed="live"), now(0))
    assert set(engine.forecasters) == {Key("simulated", "BTC-USD"), Key("live", "BTC-USD")}
    prediction = engine.on_tick(tick(1, "100"), now(1))
    assert prediction is not None
    assert prediction.outcomes[0].actual == 100.0
