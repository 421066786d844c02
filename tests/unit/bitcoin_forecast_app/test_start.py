"""What training gives the online learners to begin with, and how a distribution is tilted."""

from statistics import NormalDist

import numpy as np
import pytest
from tests.unit.bitcoin_forecast_app.synthetic import market

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.dataset import make_dataset
from bitcoin_forecast_app.distribution import (
    LEVELS,
    NORMAL_QUANTILES,
    T4_QUANTILES,
    normal_scores,
    tilted_levels,
)
from bitcoin_forecast_app.empirical import EmpiricalShape
from bitcoin_forecast_app.evaluation import crps_ratio
from bitcoin_forecast_app.features import ODD
from bitcoin_forecast_app.forecaster import Forecaster
from bitcoin_forecast_app.mean import OnlineMean
from bitcoin_forecast_app.model import NO_MODEL, Model
from bitcoin_forecast_app.network import WEIGHT_SHAPES, Network
from bitcoin_forecast_app.start import KINDS, Start, book_kind, prepare
from common.wire import HORIZONS_S

EACH = np.tile(LEVELS, (len(HORIZONS), 1))


def only(start: Start) -> Model:
    """Return a model whose network corrects nothing."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in WEIGHT_SHAPES.items()}
    return Model("start", Network(weights), start)


def test_a_tilt_shifts_a_normal_distribution_and_keeps_a_mass_on_a_point() -> None:
    levels = tilted_levels(np.full(len(HORIZONS), 0.5))
    shifted = [NormalDist().inv_cdf(float(level)) for level in levels[0, 2:-2]]
    assert shifted == pytest.approx(NORMAL_QUANTILES[2:-2] + 0.5, abs=1e-3)
    assert tilted_levels(np.zeros(1))[0] == pytest.approx(LEVELS, abs=1e-4)
    shape, rng = EmpiricalShape(), np.random.default_rng(1)
    for _ in range(1_500):
        shape.learn(0, 0, 0.0 if rng.random() < 0.6 else rng.normal())
    plain, tilted = shape.quantiles(0, EACH)[0], shape.quantiles(0, levels)[0]
    assert (tilted >= plain).all()
    assert tilted[-3] > plain[-3]
    near = np.abs(tilted) < 0.02
    assert 0.3 < near.mean() < 0.9  # still mostly no move
    assert (tilted < -0.02).sum() < (plain < -0.02).sum()


def test_normal_scores_are_those_of_a_normal_distribution_and_nought_in_the_middle() -> None:
    outcomes = np.array([-1.2, 0.0, 0.7, 99.0])
    scores = normal_scores(np.tile(NORMAL_QUANTILES, (4, 1)), outcomes)
    assert scores[:3] == pytest.approx(outcomes[:3], abs=0.15)
    assert 2 < scores[3] < 4
    massive = np.where(np.abs(NORMAL_QUANTILES) < 1, 0.0, NORMAL_QUANTILES)
    assert normal_scores(massive[None], np.zeros(1))[0] == pytest.approx(0.0, abs=0.02)


def test_nothing_seen_starts_at_the_baseline() -> None:
    series = market(2)
    forecaster, untold = Forecaster(), Forecaster()
    forecaster.use(only(Start.empty()))
    for each in (forecaster, untold):
        each.observe(series[0])
    told = forecaster.forecast(series[0].time_us).context.experts
    assert told[:, 0] == pytest.approx(np.tile(T4_QUANTILES, (len(told), 1)), abs=1e-3)


def test_training_finds_the_slopes_the_windows_and_the_shapes() -> None:
    start = prepare(make_dataset(market(3_000)))
    leaning = np.zeros(len(ODD))
    leaning[ODD.index("imbalance")] = leaning[ODD.index("mean_imbalance")] = 1.0
    for sums in ((start.mean_normal, start.mean_moment), (start.tilt_normal, start.tilt_moment)):
        slopes = OnlineMean(sums).predict(leaning)
        assert slopes[0] > 0.2
    middle = start.shape[0, 0, start.shape.shape[2] // 2 - 5 : start.shape.shape[2] // 2 + 5]
    assert np.abs(middle).max() < 0.05  # most moves are zero
    assert (np.diff(start.book_shape, axis=2) >= 0).all()
    one_sided = start.book_shape[0, KINDS - 1]
    assert one_sided[-15] > -one_sided[14]  # up is where the book leans


def test_what_was_learned_from_other_data_helps_from_the_first_second() -> None:
    start = prepare(make_dataset(market(3_000, seed=3)))
    fresh = market(700, seed=4)
    with_it = crps_ratio(only(start), fresh[:2], fresh[2:])["by_horizon"]
    without = crps_ratio(None, fresh[:2], fresh[2:])["by_horizon"]
    assert with_it["1"] < without["1"] - 0.005
    assert with_it["5"] < without["5"]


def test_books_are_told_apart_by_how_far_they_lean() -> None:
    assert book_kind(np.array([0.0, 0.3, -0.5, 0.9, -1.0])).tolist() == [0, 0, 1, 2, 2]


def test_a_new_model_inherits_the_weight_of_the_one_before() -> None:
    forecaster = Forecaster()
    forecaster.use(only(Start.empty()))
    for observation in market(400):
        forecaster.observe(observation)
        forecaster.await_outcomes(forecaster.forecast(observation.time_us))
    learned = forecaster.weights
    forecaster.use(only(prepare(make_dataset(market(900)))))
    assert forecaster.weights == learned
    forecaster.use(None)
    issue = forecaster.forecast(market(400)[-1].time_us)
    assert issue.model_version == NO_MODEL
    assert len(issue.quantiles) == len(HORIZONS_S)
    assert forecaster.weights != learned
