import numpy as np
import pytest
from tests.unit.bitcoin_forecast_app.synthetic import market

from bitcoin_forecast_app.dataset import Dataset, make_dataset
from bitcoin_forecast_app.distribution import T4_QUANTILES
from bitcoin_forecast_app.features import EVEN, ODD
from bitcoin_forecast_app.network import WEIGHT_SHAPES, Network
from common.wire import HORIZONS_S


def random_network(scale: float) -> Network:
    rng = np.random.default_rng(1)
    weights = {n: (scale * rng.normal(size=s)).astype(np.float32) for n, s in WEIGHT_SHAPES.items()}
    weights["even_scale"] = np.ones(len(EVEN), np.float32)
    weights["odd_scale"] = np.ones(len(ODD), np.float32)
    return Network(weights)


def test_without_corrections_the_quantiles_are_the_baseline_s() -> None:
    rng = np.random.default_rng(2)
    network = random_network(0.5).restrained(np.zeros(len(HORIZONS_S)))
    quantiles = network(rng.normal(size=len(EVEN)), rng.normal(size=len(ODD)))
    assert quantiles == pytest.approx(np.tile(T4_QUANTILES, (len(HORIZONS_S), 1)), abs=1e-12)


def test_quantiles_never_cross_and_a_mirrored_market_gets_the_mirrored_forecast() -> None:
    rng, network = np.random.default_rng(3), random_network(0.5)
    for _ in range(50):
        even, odd = rng.normal(size=len(EVEN)), rng.normal(size=len(ODD))
        quantiles = network(even, odd)
        assert (np.diff(quantiles, axis=1) >= 0).all()
        assert network(even, -odd) == pytest.approx(-quantiles[:, ::-1], rel=1e-4, abs=1e-4)


def test_numpy_computes_what_keras_computes() -> None:
    keras_model = pytest.importorskip("bitcoin_forecast_app.keras_model")
    network = random_network(0.3)
    model, layer = keras_model.build(1_000, 0.01)
    for name, weight in network.weights.items():
        if hasattr(layer, name):
            getattr(layer, name).assign(weight)
    rng = np.random.default_rng(4)
    even = rng.uniform(-2, 2, size=(20, len(EVEN))).astype(np.float32)
    odd = rng.uniform(-2, 2, size=(20, len(ODD))).astype(np.float32)
    w = network.weights
    inputs = [np.clip((even - w["even_mean"]) * w["even_scale"], -3, 3), np.clip(odd, -3, 3)]
    theirs = np.asarray(model.predict_on_batch(inputs))
    ours = np.array([network(e, o) for e, o in zip(even, odd, strict=True)])
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)


@pytest.fixture(scope="module")
def parts() -> tuple[Dataset, Dataset]:
    data = make_dataset(market(2_000))
    return data.part(slice(0, 1_600)), data.part(slice(1_600, None))


def test_training_learns_what_is_there_and_is_deterministic(parts: tuple[Dataset, Dataset]) -> None:
    learning = pytest.importorskip("bitcoin_forecast_app.learning")
    network, again = learning.fit(*parts, seed=1), learning.fit(*parts, seed=1)
    for name, weight in network.weights.items():
        assert np.array_equal(weight, again.weights[name]), name
    fresh = make_dataset(market(1_000, seed=9))
    known = np.isfinite(fresh.outcome[:, 0])
    losses = learning._losses(network, fresh)[0, known]
    baseline = learning._losses(network.restrained(np.zeros(len(HORIZONS_S))), fresh)[0, known]
    assert losses.mean() < 0.95 * baseline.mean()


def test_training_leaves_the_baseline_where_nothing_can_be_learned() -> None:
    learning = pytest.importorskip("bitcoin_forecast_app.learning")
    rng = np.random.default_rng(5)
    data = make_dataset(market(900))
    noise = Dataset(
        data.time_us,
        data.even,
        data.odd,
        data.sigma,
        rng.standard_t(4, data.outcome.shape) / 2**0.5,
    )
    network = learning.fit(noise.part(slice(0, 700)), noise.part(slice(700, None)), seed=1)
    quantiles = network(data.even[0], data.odd[0])
    assert quantiles == pytest.approx(np.tile(T4_QUANTILES, (len(HORIZONS_S), 1)), abs=0.6)


def test_outcomes_of_a_dataset_are_the_price_s_moves_after() -> None:
    series = market(400)
    data = make_dataset(series)
    moved = np.log(series[107].mid / series[102].mid)
    assert data.outcome[102, 1] == pytest.approx(moved / (data.sigma[102] * 5**0.5))
    assert np.isnan(data.outcome[-1]).all()
    assert np.isfinite(data.outcome[:99]).all()
