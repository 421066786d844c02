import numpy as np
import pytest

from bitcoin_forecast_app.scores import (
    coverage,
    diebold_mariano,
    direction,
    mean_absolute_scaled_error,
    r_squared,
)


def test_scaled_error_and_r_squared_compare_with_the_last_value() -> None:
    actual, still = np.array([1.0, -1.0, 2.0, 0.0]), np.zeros(4)
    assert mean_absolute_scaled_error(actual, still, still) == 1.0
    assert mean_absolute_scaled_error(actual, actual / 2, still) == 0.5
    assert r_squared(actual, actual, still) == 1.0
    assert r_squared(actual, -actual, still) == -3.0
    assert mean_absolute_scaled_error(still, actual, still) == np.inf


def test_direction_looks_only_where_the_price_moved() -> None:
    actual = np.array([1.0, -1.0, 0.0, 2.0])
    assert direction(actual, np.array([1.0, 1.0, 5.0, 0.0]), np.zeros(4)) == pytest.approx(0.5)
    assert np.isnan(direction(np.zeros(3), np.ones(3), np.zeros(3)))


def test_coverage_counts_the_bounds_in() -> None:
    inside = coverage(np.array([1.0, 2.0, 3.1]), np.ones(3), np.full(3, 3.0))
    assert inside.tolist() == [True, True, False]


def test_equal_forecasts_are_told_apart_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(5)
    p = [diebold_mariano(rng.normal(size=400), rng.normal(size=400), 1).p for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_overlap_does_not_make_noise_significant() -> None:
    rng = np.random.default_rng(6)
    ones = np.ones(10)
    rejected = sum(
        diebold_mariano(np.convolve(rng.normal(size=1_009), ones, "valid"), np.zeros(1_000), 20).p
        < 0.05
        for _ in range(200)
    )
    assert rejected / 200 < 0.12  # without the correction it would be about a half


def test_a_better_forecast_is_found() -> None:
    rng = np.random.default_rng(7)
    test = diebold_mariano(rng.normal(size=500) ** 2, rng.normal(size=500) ** 2 + 0.5, 1)
    assert test.statistic < -3
    assert test.p < 0.01
    assert diebold_mariano(np.ones(10), np.ones(10), 1) == (0.0, 1.0)
