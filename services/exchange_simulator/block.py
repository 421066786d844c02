"""One block of the price process, generated as a whole from its own seed.

Features of recorded 1 s data that are reproduced (Binance windows of 2023 and 2024): the mid stands
still in 47 to 94 % of seconds and moves in bursts of heavy-tailed size; bursts cluster as
volatility does; rare jumps; the imbalance of the best sizes leans towards the next move and
explains about 6 % of its variance.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from exchange_simulator.instruments import Instrument
from exchange_simulator.levels import BLOCK_S, Levels, generator

__all__ = ["STEPS", "STEP_US", "Block", "make_block"]

Floats: TypeAlias = NDArray[np.float64]

STEP_US = 100_000
STEPS = BLOCK_S * 10
_KNOTS = 64  # of the volatility, one for each 64 s
_EXCITATION = np.array([1.0, 0.55, 0.4, 0.3, 0.2, 0.15, 0.1, 0.1])  # a burst lasts under a second
_JUMP_RATE = 1 / 900  # per second
_JUMP_SIZE = 10.0  # standard deviations of an ordinary move
_LEAN = 0.5  # how much of the imbalance knows the next move
_HORIZON = np.exp(-np.arange(25) / 8.0)  # steps over which the imbalance looks ahead


@dataclass(frozen=True)
class Block:
    """State at each of `STEPS` steps, and the trades between, times in microseconds from start."""

    log_price: Floats
    bid_size: Floats
    ask_size: Floats
    wide: NDArray[np.bool_]  # the spread is three ticks for a moment after some moves
    trade_time: NDArray[np.int64]
    trade_size: Floats
    trade_buys: NDArray[np.bool_]


def make_block(seed: int, instrument: Instrument, levels: Levels, index: int) -> Block:
    """Return block ``index``, which starts ``index * BLOCK_S`` seconds after the epoch."""
    rng = generator(seed, instrument.symbol, 1, index)
    log_volatility = _log_volatility(seed, instrument.symbol, index)
    moves = _moves(rng, instrument, log_volatility)
    weights, path = _increments(rng, moves, log_volatility)
    start, end = levels.at(index), levels.at(index + 1)
    log_price = _bridge(path, weights, instrument.volatility * BLOCK_S**0.5, start, end)
    lean = _imbalance(rng, np.diff(log_price, append=log_price[-1]) / instrument.volatility)
    depth = instrument.depth * np.exp(0.6 * _persistent(rng, 0.97))
    floor = instrument.depth * 1e-4
    times, sizes, buys = _trades(rng, instrument, log_volatility, moves, lean)
    return Block(
        log_price=log_price,
        bid_size=np.maximum(depth * (1 + lean), floor),
        ask_size=np.maximum(depth * (1 - lean), floor),
        wide=moves & (rng.random(STEPS) < 0.3),
        trade_time=times,
        trade_size=sizes,
        trade_buys=buys,
    )


def _log_volatility(seed: int, symbol: str, index: int) -> Floats:
    """Return a stationary path that joins on to the neighbours' (sd 0.6, memory 10 minutes)."""
    noise = np.concatenate(
        [generator(seed, symbol, 2, k).standard_normal(_KNOTS) for k in range(index - 1, index + 2)]
    )
    kernel = np.exp(-np.arange(_KNOTS) / 10.0)
    smooth = 0.6 * np.convolve(noise, kernel / np.linalg.norm(kernel))
    knots = smooth[_KNOTS : 2 * _KNOTS + 1]
    steps = np.arange(STEPS) * (_KNOTS / STEPS)
    return np.asarray(np.interp(steps, np.arange(_KNOTS + 1), knots), dtype=np.float64)


def _moves(
    rng: np.random.Generator, instrument: Instrument, log_volatility: Floats
) -> NDArray[np.bool_]:
    """Return at which steps the price moves: bursts whose rate follows the volatility."""
    rate = instrument.moves_per_s * STEP_US / 1e6 * np.exp(log_volatility - 0.18)
    starts = rng.random(STEPS) < rate
    chance = np.convolve(starts, _EXCITATION)[:STEPS]
    return rng.random(STEPS) < chance


def _increments(
    rng: np.random.Generator, moves: NDArray[np.bool_], log_volatility: Floats
) -> tuple[Floats, Floats]:
    """Return the variance of each step's increment and the increments' sum, in units to scale."""
    scale = np.where(moves, np.exp(0.7 * log_volatility), 0.0)
    jumps = rng.random(STEPS) < _JUMP_RATE * STEP_US / 1e6
    scale = np.where(jumps, _JUMP_SIZE * np.exp(0.7 * log_volatility), scale)
    tails = rng.standard_t(4, STEPS) / 2**0.5  # unit variance
    return scale**2, np.cumsum(scale * tails)


def _bridge(path: Floats, weights: Floats, deviation: float, start: float, end: float) -> Floats:
    """Return ``path`` scaled to ``deviation`` and tied to both ends; flat where weights are 0."""
    elapsed = np.cumsum(weights)
    share = elapsed / elapsed[-1]
    scaled = path * deviation / elapsed[-1] ** 0.5
    free = scaled - share * scaled[-1]
    return np.asarray(start + (end - start) * share + free, dtype=np.float64)


def _imbalance(rng: np.random.Generator, returns: Floats) -> Floats:
    """Return (bid size - ask size) / (bid size + ask size), leaning towards the next second."""
    ahead = np.convolve(returns[::-1], _HORIZON)[:STEPS][::-1]
    knowledge = np.tanh(0.7 * np.append(ahead[1:], 0.0))
    return np.asarray(np.tanh(_LEAN * 2.2 * knowledge + 0.75 * _persistent(rng, 0.96)))


def _persistent(rng: np.random.Generator, memory: float) -> Floats:
    """Return a stationary first-order autoregression of unit variance."""
    kernel = memory ** np.arange(160)
    noise = rng.standard_normal(STEPS + 159)
    return np.convolve(noise, kernel / np.linalg.norm(kernel), mode="valid")


def _trades(
    rng: np.random.Generator,
    instrument: Instrument,
    log_volatility: Floats,
    moves: NDArray[np.bool_],
    lean: Floats,
) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]:
    activity = np.exp(log_volatility - 0.18) * (0.7 + 3.0 * moves)
    counts = rng.poisson(instrument.trades_per_s * STEP_US / 1e6 * activity)
    counts[0] = max(counts[0], 1)  # so that each moment has a last trade
    step = np.repeat(np.arange(STEPS), counts)
    times = np.sort(step * STEP_US + rng.integers(0, STEP_US, step.size))
    times[0] = 0
    sizes = instrument.trade_size * rng.lognormal(0.0, 1.9, step.size)
    buys = rng.random(step.size) < 0.5 + 0.35 * lean[step]
    return times, sizes, buys
