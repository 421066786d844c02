import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitcoin_forecast_app.baseline import HORIZONS, EwmaVolatility
from bitcoin_forecast_app.combine import Combination
from bitcoin_forecast_app.conformal import Calibration
from bitcoin_forecast_app.distribution import (
    LEVEL_WEIGHTS,
    LEVELS,
    MEDIAN_LEVEL,
    NORMAL_QUANTILES,
    T4_QUANTILES,
    quantile_crps,
)
from bitcoin_forecast_app.empirical import EmpiricalShape, SortedWindow
from bitcoin_forecast_app.features import ODD
from bitcoin_forecast_app.har import HarVolatility
from bitcoin_forecast_app.mean import OnlineMean
from bitcoin_forecast_app.median import MedianGuard

FIRST = np.array([0])
ALL = np.arange(len(HORIZONS))


def test_the_ewma_finds_the_volatility_and_does_not_care_for_spacing() -> None:
    rng = np.random.default_rng(1)
    dense, sparse = EwmaVolatility(), EwmaVolatility()
    for _ in range(2_000):
        a, b = rng.normal(scale=1e-4, size=2)
        dense.update(a, 1.0)
        dense.update(b, 1.0)
        sparse.update(a + b, 2.0)
    assert dense.per_second == pytest.approx(1e-4, rel=0.2)
    assert sparse.per_second == pytest.approx(1e-4, rel=0.3)


@settings(deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=80))
def test_the_sorted_window_is_the_newest_values_in_order(values: list[int]) -> None:
    window = SortedWindow(size=16)
    for value in values:
        window.add(float(value))
    expected = np.sort(values[-16:])
    levels = (np.arange(len(expected)) + 1) / len(expected)
    assert window.quantiles(levels).tolist() == expected.tolist()


def test_the_shape_starts_at_the_student_t_and_learns_zero_moves() -> None:
    shape, rng = EmpiricalShape(), np.random.default_rng(1)
    levels = np.tile(LEVELS, (len(HORIZONS), 1))
    assert shape.quantiles(0, levels) == pytest.approx(np.tile(T4_QUANTILES, (len(HORIZONS), 1)))
    for _ in range(2_000):
        shape.learn(0, 0, 0.0 if rng.random() < 0.8 else rng.normal())
    learned = shape.quantiles(0, levels)[0]
    assert abs(learned[LEVELS == 0.2][0]) < 0.02
    assert shape.quantiles(0, levels)[1] == pytest.approx(T4_QUANTILES)


def test_har_starts_at_the_ewma_and_learns_which_window_counts() -> None:
    har, rng = HarVolatility(2), np.random.default_rng(2)
    ratios = np.array([2.0, 0.5])
    assert har.scale(ratios).tolist() == [1.0] * len(HORIZONS)
    for _ in range(3_000):
        now = rng.uniform(0.3, 3.0, size=2)
        har.learn(FIRST, now[None], np.array([now[0] * rng.normal() ** 2]))
    assert har.scale(ratios)[0] == pytest.approx(np.sqrt(2.0), rel=0.15)
    assert har.scale(ratios)[1] == 1.0


def test_the_mean_learns_the_imbalance_s_slope_online_and_in_batch() -> None:
    rng = np.random.default_rng(3)
    odd = np.zeros((3_000, len(ODD)))
    odd[:, ODD.index("imbalance")] = rng.uniform(-1, 1, 3_000)
    outcomes = 0.5 * odd[:, ODD.index("imbalance")] + rng.normal(size=3_000)
    online, batch = OnlineMean(), OnlineMean()
    for x, y in zip(odd, outcomes, strict=True):
        online.learn(FIRST, x[None], np.array([y]))
    table = np.full((3_000, len(HORIZONS)), np.nan)
    table[:, 0] = outcomes
    batch.learn_all(odd, table)
    leaning = np.zeros(len(ODD))
    leaning[ODD.index("imbalance")] = 1.0
    assert online.predict(leaning)[0] == pytest.approx(0.5, abs=0.1)
    assert batch.predict(leaning)[0] == pytest.approx(0.5, abs=0.1)
    assert OnlineMean().predict(leaning).tolist() == [0.0] * len(HORIZONS)


def test_the_combination_goes_to_the_expert_that_is_right() -> None:
    combination, rng = Combination(np.ones(2)), np.random.default_rng(4)
    good, bad = NORMAL_QUANTILES, 4 * NORMAL_QUANTILES
    experts = np.stack([good, bad])
    everywhere = np.tile(experts[:, None], (1, len(HORIZONS), 1))
    assert combination.combine(everywhere)[0] == pytest.approx((good + bad) / 2)
    own, best = 0.0, 0.0
    for _ in range(2_000):
        y = rng.normal()
        combined = combination.combine(everywhere)[0]
        own += float(quantile_crps(combined, LEVELS, LEVEL_WEIGHTS, y))
        best += float(quantile_crps(good, LEVELS, LEVEL_WEIGHTS, y))
        combination.learn(FIRST, experts[:, None], np.array([y]))
    tails = [0, -1]
    assert combination.weights[0, 0, tails].min() > 0.9
    assert own < 1.03 * best  # never much worse than the best


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.8])
def test_calibration_brings_coverage_back_whatever_the_scale(scale: float) -> None:
    calibration, rng = Calibration(), np.random.default_rng(5)
    hits = np.zeros((2, 20_000))
    quantiles = np.tile(NORMAL_QUANTILES, (len(HORIZONS), 1))
    for turn in range(20_000):
        now = calibration.apply(quantiles)[0]
        y = scale * rng.normal()
        hits[0, turn] = now[LEVELS == 0.1][0] <= y <= now[LEVELS == 0.9][0]
        hits[1, turn] = now[LEVELS == 0.025][0] <= y <= now[LEVELS == 0.975][0]
        calibration.learn(FIRST, now[None], np.array([y]))
    assert hits[0].mean() == pytest.approx(0.80, abs=0.02)
    assert hits[1].mean() == pytest.approx(0.95, abs=0.01)


def test_calibration_keeps_quantiles_in_order() -> None:
    calibration, rng = Calibration(), np.random.default_rng(6)
    quantiles = np.tile(NORMAL_QUANTILES, (len(HORIZONS), 1))
    for _ in range(500):
        now = calibration.apply(quantiles)
        assert (np.diff(now, axis=1) >= 0).all()
        calibration.learn(ALL, now, rng.standard_t(2, size=len(HORIZONS)))


def test_the_median_leaves_the_last_price_only_where_that_was_better() -> None:
    guard = MedianGuard()
    shifted = np.tile(NORMAL_QUANTILES + 0.3, (len(HORIZONS), 1))
    held = guard.apply(shifted)
    assert held[:, MEDIAN_LEVEL].tolist() == [0.0] * len(HORIZONS)
    assert (np.diff(held, axis=1) >= 0).all()
    rng = np.random.default_rng(7)
    for _ in range(500):
        guard.learn(FIRST, np.array([0.3]), np.array([0.5 + 0.2 * rng.normal()]))
    freed = guard.apply(shifted)
    assert freed[0, MEDIAN_LEVEL] == pytest.approx(0.3)
    assert freed[1, MEDIAN_LEVEL] == 0.0
