"""Markets made by the tests: what is in them is known, so what is learned can be judged."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitcoin_forecast_app.observation import SECOND_US, Observation

START_US = 1_700_000_000 * SECOND_US
REAL_DATA = Path(__file__).parents[4] / "shared" / "data" / "binance_btcusdt"


def market(seconds: int, seed: int = 1, edge: float = 0.8) -> list[Observation]:
    """Return a price with many zero moves, volatility clusters, and a book that foretells.

    ``edge`` is how far the imbalance shifts the next second's move, in standard deviations.
    """
    rng = np.random.default_rng(seed)
    price, lean, level = 60_000.0, 0.0, 0.0
    found = []
    for second in range(seconds):
        lean = 0.8 * lean + 0.6 * rng.normal()
        level = 0.99 * level + 0.1 * rng.normal()
        imbalance = float(np.tanh(lean))
        found.append(
            Observation(
                time_us=START_US + second * SECOND_US,
                venue="coinbase",
                mid=round(price, 2),
                bid=round(price - 0.05, 2),
                ask=round(price + 0.05, 2),
                bid_size=1 + imbalance,
                ask_size=1 - imbalance,
                buy_volume=float(rng.exponential()),
                sell_volume=float(rng.exponential()),
            )
        )
        if rng.random() < 0.4:
            shock = rng.standard_t(4) * 0.7 + edge * imbalance
            price += 0.1 * round(15 * float(np.exp(level)) * shock)
    return found


def with_moves(series: Sequence[Observation], moves: NDArray[np.float64]) -> list[Observation]:
    """Return the series with other moves of the price between the same books."""
    mids = series[0].mid + np.concatenate([[0.0], np.cumsum(moves)])
    return [
        replace(o, mid=float(mid), bid=float(mid) - 0.05, ask=float(mid) + 0.05)
        for o, mid in zip(series, mids, strict=True)
    ]
