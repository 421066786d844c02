from dataclasses import replace

import numpy as np
import pytest
from tests.unit.bitcoin_forecast_app.synthetic import market

from bitcoin_forecast_app.features import EVEN, ODD, FeatureTracker
from bitcoin_forecast_app.observation import Observation


def features(series: list[Observation]) -> list[np.ndarray]:
    tracker, found = FeatureTracker(), []
    for index, observation in enumerate(series):
        tracker.update(observation, continues=index > 0)
        found.append(np.concatenate([tracker.even, tracker.odd]))
    return found


def test_no_feature_sees_past_its_time() -> None:
    series, other = market(300, seed=1), market(300, seed=2)
    changed = series[:200] + other[200:]
    same, different = features(series), features(changed)
    assert np.array_equal(same[:200], different[:200])
    assert not np.array_equal(same[200:], different[200:])


def test_features_are_finite_and_named() -> None:
    rows = np.array(features(market(400)))
    assert rows.shape[1] == len(EVEN) + len(ODD)
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() < 20


def test_a_mirrored_market_has_mirrored_features() -> None:
    series = market(200)
    centre = series[0].mid
    mirrored = [
        replace(
            o,
            mid=centre**2 / o.mid,  # the log return changes its sign
            bid=centre**2 / o.mid - 0.05,
            ask=centre**2 / o.mid + 0.05,
            bid_size=o.ask_size,
            ask_size=o.bid_size,
            buy_volume=o.sell_volume,
            sell_volume=o.buy_volume,
        )
        for o in series
    ]
    even, odd = slice(0, len(EVEN)), slice(len(EVEN), None)
    for one, other in zip(features(series), features(mirrored), strict=True):
        assert one[even] == pytest.approx(other[even], abs=0.02)
        assert one[odd] == pytest.approx(-other[odd], abs=0.02)


def test_unknown_books_and_flows_are_nought_and_say_so() -> None:
    bare = [Observation(o.time_us, o.venue, o.mid) for o in market(50)]
    tracker = FeatureTracker()
    for index, observation in enumerate(bare):
        tracker.update(observation, continues=index > 0)
    named = dict(zip(EVEN, tracker.even, strict=True))
    assert named["book_known"] == named["flow_known"] == 0.0
    assert dict(zip(ODD, tracker.odd, strict=True))["imbalance"] == 0.0


def test_a_gap_is_no_move() -> None:
    series = market(100)
    jumped = replace(series[-1], time_us=series[-1].time_us + 10**9, mid=series[-1].mid * 2)
    tracker = FeatureTracker()
    for index, observation in enumerate(series):
        tracker.update(observation, continues=index > 0)
    before = tracker.sigma.per_second
    tracker.update(jumped, continues=False)
    assert tracker.sigma.per_second == before
    assert dict(zip(ODD, tracker.odd, strict=True))["last_move"] == 0.0
