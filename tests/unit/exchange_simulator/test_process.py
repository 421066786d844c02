"""The price process: repeatable, continuous, with the features of recorded data."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from exchange_simulator.block import STEP_US, STEPS, make_block
from exchange_simulator.instruments import INSTRUMENTS, VENUES
from exchange_simulator.levels import BLOCK_S, Levels
from exchange_simulator.process import ProcessMarket

BTC = INSTRUMENTS["BTC-USD"]
NOW_US = 1_795_000_000_000_000
BLOCK_US = BLOCK_S * 1_000_000


def market(seed: int = 1, speed: float = 1.0, origin_us: int = 0) -> ProcessMarket:
    return ProcessMarket(seed, ["BTC-USD", "ETH-USD"], speed, origin_us)


def one_second_series(blocks: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the changes of the mid and the imbalance before each, at 1 s."""
    levels = Levels(1, BTC.symbol, BTC.price, BTC.volatility)
    changes, imbalances = [], []
    for index in blocks:
        block = make_block(1, BTC, levels, index)
        mid = np.floor(np.exp(block.log_price[::10]) / 0.01) * 0.01
        imbalance = (block.bid_size - block.ask_size) / (block.bid_size + block.ask_size)
        changes.append(np.diff(mid))
        imbalances.append(imbalance[::10][:-1])
    return np.concatenate(changes), np.concatenate(imbalances)


def test_the_same_seed_and_time_give_the_same_market() -> None:
    first, second = market(), market()
    first.quote("coinbase", "BTC-USD", NOW_US - 10 * BLOCK_US)  # another history
    assert first.quote("coinbase", "BTC-USD", NOW_US) == second.quote("coinbase", "BTC-USD", NOW_US)
    trades = first.trades("kraken", "BTC-USD", NOW_US, 50)
    assert list(trades) == list(second.trades("kraken", "BTC-USD", NOW_US, 50))
    assert first.quote("coinbase", "BTC-USD", NOW_US) != market(2).quote(
        "coinbase", "BTC-USD", NOW_US
    )


@given(index=st.integers(400_000, 500_000))
def test_blocks_join_without_a_step(index: int) -> None:
    levels = Levels(3, BTC.symbol, BTC.price, BTC.volatility)
    ends = levels.at(index), levels.at(index + 1)
    assert abs(ends[1] - ends[0]) < 8 * BTC.volatility * BLOCK_S**0.5


def test_levels_have_the_variance_of_a_random_walk() -> None:
    levels = Levels(5, BTC.symbol, BTC.price, BTC.volatility)
    values = np.array([levels.at(index) for index in range(430_000, 430_600)])
    for lag in (1, 4, 16):
        deviation = np.std(values[lag:] - values[:-lag]) / (BTC.volatility * (lag * BLOCK_S) ** 0.5)
        assert 0.7 < deviation < 1.4


def test_a_block_ends_where_the_next_begins() -> None:
    levels = Levels(1, BTC.symbol, BTC.price, BTC.volatility)
    block = make_block(1, BTC, levels, 438_000)
    assert block.log_price[-1] == pytest.approx(levels.at(438_001), abs=1e-9)


def test_features_of_recorded_data() -> None:
    changes, imbalance = one_second_series(range(438_000, 438_006))
    assert 0.47 <= np.mean(changes == 0) <= 0.94
    assert 0.03 <= np.corrcoef(imbalance, changes)[0, 1] ** 2 <= 0.09
    kurtosis = np.mean((changes / changes.std()) ** 4)
    assert kurtosis > 8  # heavy tails and jumps
    size = np.abs(changes)
    assert np.corrcoef(size[:-60], size[60:])[0, 1] > 0.005  # volatility clusters
    assert abs(np.corrcoef(changes[:-1], changes[1:])[0, 1]) < 0.05  # the past foretells nothing


@pytest.mark.parametrize("venue", VENUES)
def test_prices_lie_on_the_venues_grid_and_never_cross(venue: str) -> None:
    source = market()
    tick = BTC.ticks[venue]
    for step in range(200):
        quote = source.quote(venue, "BTC-USD", NOW_US + step * STEP_US)
        assert quote.bid < quote.ask
        assert quote.bid / tick == pytest.approx(round(quote.bid / tick), abs=1e-6)
        assert quote.bid_size > 0
        assert quote.ask_size > 0


def test_trades_are_ordered_and_at_the_touch_across_blocks() -> None:
    source = market()
    boundary = (NOW_US // BLOCK_US) * BLOCK_US
    trades = source.trades("coinbase", "BTC-USD", boundary + 500_000, 300)
    assert len(trades) == 300
    ids = [trade.trade_id for trade in trades]
    assert ids == sorted(set(ids))
    times = [trade.time_us for trade in trades]
    assert times == sorted(times)
    assert times[0] < boundary <= times[-1] <= boundary + 500_000
    for trade in trades[-20:]:
        quote = source.quote("coinbase", "BTC-USD", trade.time_us)
        assert trade.price == (quote.ask if trade.taker_buys else quote.bid)


def test_speed_stretches_the_path_but_stamps_the_present() -> None:
    slow = market()
    fast = market(speed=10.0, origin_us=NOW_US)
    later = NOW_US + 3_000_000
    wanted = slow.quote("coinbase", "BTC-USD", NOW_US + 30_000_000)
    found = fast.quote("coinbase", "BTC-USD", later)
    assert (found.bid, found.ask, found.bid_size) == (wanted.bid, wanted.ask, wanted.bid_size)
    assert later - 10_001 <= found.time_us <= later
    assert fast.trades("coinbase", "BTC-USD", later, 1)[-1].time_us <= later


def test_a_block_has_the_promised_length() -> None:
    assert STEPS * STEP_US == BLOCK_US
