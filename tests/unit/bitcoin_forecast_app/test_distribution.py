import numpy as np
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st

from bitcoin_forecast_app.distribution import (
    LEVEL_WEIGHTS,
    LEVELS,
    NORMAL_QUANTILES,
    PUBLISHED,
    T4_QUANTILES,
    pinball,
    quantile_crps,
    t4_quantile,
)
from common.wire import QUANTILE_LEVELS


def test_the_student_t_quantiles_are_those_of_unit_variance() -> None:
    # From tables of Student's t with 4 degrees of freedom, whose variance is 2.
    for level, expected in ((0.75, 0.740697), (0.9, 1.533206), (0.95, 2.131847), (0.995, 4.604095)):
        assert T4_QUANTILES[level == LEVELS][0] * np.sqrt(2) == pytest.approx(expected, abs=1e-6)
    assert NORMAL_QUANTILES[LEVELS == 0.975][0] == pytest.approx(1.959964, abs=1e-6)
    assert LEVELS[PUBLISHED].tolist() == list(QUANTILE_LEVELS)


@given(st.floats(0.001, 0.999))
def test_the_student_t_is_symmetric_and_increases(level: float) -> None:
    assert t4_quantile(level) == pytest.approx(-t4_quantile(1 - level), abs=1e-6)
    assert t4_quantile(level) < t4_quantile(level + 5e-4)


def test_the_pinball_loss_is_the_reference_library_s() -> None:
    rng = np.random.default_rng(1)
    quantiles, actual = np.sort(rng.normal(size=(50, len(LEVELS)))), rng.normal(size=50)
    for index, level in enumerate(LEVELS):
        expected = scoringrules.quantile_score(actual, quantiles[:, index], float(level))
        assert pinball(quantiles, LEVELS, actual)[:, index] == pytest.approx(expected)


def test_the_crps_is_near_the_exact_one_of_the_reference_library() -> None:
    actual = np.linspace(-3, 3, 61)
    ours = quantile_crps(np.tile(NORMAL_QUANTILES, (61, 1)), LEVELS, LEVEL_WEIGHTS, actual)
    exact = scoringrules.crps_normal(actual, 0.0, 1.0)
    assert ours == pytest.approx(exact, rel=0.03)
    ours = quantile_crps(np.tile(T4_QUANTILES, (61, 1)), LEVELS, LEVEL_WEIGHTS, actual)
    exact = scoringrules.crps_t(actual, 4, 0.0, 1 / np.sqrt(2))
    assert ours == pytest.approx(exact, rel=0.03)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_point_forecast_scores_its_absolute_error(point: float, actual: float) -> None:
    score = quantile_crps(np.full(len(LEVELS), point), LEVELS, LEVEL_WEIGHTS, actual)
    assert float(score) == pytest.approx(abs(actual - point), abs=1e-6)
