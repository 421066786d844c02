"""Brownian levels at block boundaries, each computable by itself, so that a restart is cheap.

Lévy's midpoint construction: far anchors are drawn independently, then each midpoint is the mean of
its neighbours plus a normal draw of a quarter of the interval's variance. Every draw is a function
of (seed, symbol, position) alone, hence a level costs 13 draws and never depends on history.
"""

import math
import zlib

import numpy as np

__all__ = ["BLOCK_S", "Levels", "generator"]

BLOCK_S = 4096
_KEPT = 1_024  # of each symbol: a statistic of 24 hours asks for 22, again and again
_DEPTH = 13  # 2**13 blocks: anchors are 388 days apart


def generator(seed: int, symbol: str, *position: int) -> np.random.Generator:
    """Return the random generator that belongs to a position."""
    return np.random.default_rng([seed, zlib.crc32(symbol.encode()), *position])


class Levels:
    """Log price at the start of each block: ``log(start) + Brownian motion``."""

    def __init__(self, seed: int, symbol: str, start: float, volatility: float) -> None:
        self._seed = seed
        self._symbol = symbol
        self._start = float(np.log(start))
        self._deviation: float = volatility * BLOCK_S**0.5  # of one block's increment
        self._known: dict[int, float] = {}

    def at(self, block: int) -> float:
        """Return the log price at ``block * BLOCK_S`` seconds after the epoch."""
        if block not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[block] = self._compute(block)
        return self._known[block]

    def _compute(self, block: int) -> float:
        span = 1 << _DEPTH
        low = block - block % span
        # Two independent anchors differ by one span's variance when each has half of it.
        anchor = self._deviation * math.sqrt(span / 2)
        left, right = self._draw(low, span) * anchor, self._draw(low + span, span) * anchor
        while low != block:
            span //= 2
            middle = low + span
            noise = self._draw(middle, span) * self._deviation * math.sqrt(span / 2)
            value = (left + right) / 2 + noise
            if block < middle:
                right = value
            else:
                low, left = middle, value
        return self._start + left

    def _draw(self, block: int, span: int) -> float:
        return float(generator(self._seed, self._symbol, 0, block, span).standard_normal())
