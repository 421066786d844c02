"""The seeded price process as a market: a pure function of seed, symbol and time."""

import math
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from exchange_simulator.block import STEP_US, STEPS, Block, make_block
from exchange_simulator.instruments import INSTRUMENTS
from exchange_simulator.levels import BLOCK_S, Levels
from exchange_simulator.market import DaySummary, Quote, Trade

__all__ = ["ProcessMarket"]

_BLOCK_US = BLOCK_S * 1_000_000
_KEPT_BLOCKS = 3  # per symbol; one takes about 1.5 MB
_TRADE_IDS_PER_BLOCK = 1 << 18
_BASIS = {"coinbase": 0.0, "binance": 1.5e-4, "kraken": -0.5e-4}  # venues differ a little
_DAY_BLOCKS = 21


class ProcessMarket:
    """Runs at ``speed`` times real time from ``origin_us`` on; stamped with the present.

    At speed 1 the path depends on nothing but the seed and the time of day, so that a simulator
    that was restarted continues as if it had never been away.
    """

    def __init__(
        self, seed: int, symbols: Sequence[str], speed: float = 1.0, origin_us: int = 0
    ) -> None:
        self._seed = seed
        self._symbols = tuple(symbols)
        self._speed = speed
        self._origin = origin_us
        self._levels = {
            s: Levels(seed, s, INSTRUMENTS[s].price, INSTRUMENTS[s].volatility) for s in symbols
        }
        self._blocks: OrderedDict[tuple[str, int], Block] = OrderedDict()

    @property
    def symbols(self) -> Sequence[str]:
        """Return the markets that are open."""
        return self._symbols

    def quote(self, venue: str, symbol: str, now_us: int) -> Quote:
        """Return the book's best prices as of ``now_us``."""
        moment = self._to_path(now_us)
        index, step = divmod(moment // STEP_US, STEPS)
        block = self._block(symbol, index)
        bid, ask = self._touch(block, venue, symbol, step)
        time_us = self._to_present((moment // STEP_US) * STEP_US)
        sizes = float(block.bid_size[step]), float(block.ask_size[step])
        return Quote(moment // STEP_US, time_us, bid, sizes[0], ask, sizes[1])

    def trades(self, venue: str, symbol: str, now_us: int, limit: int) -> Sequence[Trade]:
        """Return the last ``limit`` trades up to ``now_us``, oldest first; at least one."""
        index, offset = divmod(self._to_path(now_us), _BLOCK_US)
        block = self._block(symbol, index)
        end = int(np.searchsorted(block.trade_time, offset, side="right"))
        found = [self._trade(venue, symbol, index, i) for i in range(max(0, end - limit), end)]
        if len(found) < limit:
            count = self._block(symbol, index - 1).trade_time.size
            first = max(0, count - (limit - len(found)))
            before = [self._trade(venue, symbol, index - 1, i) for i in range(first, count)]
            found = before + found
        return found

    def day(self, venue: str, symbol: str, now_us: int) -> DaySummary:
        """Return the statistics of the 24 h before, from the levels at block boundaries."""
        index = self._to_path(now_us) // _BLOCK_US
        now = math.log(self.quote(venue, symbol, now_us).bid)
        logs = [self._levels[symbol].at(k) for k in range(index - _DAY_BLOCKS, index + 1)]
        instrument = INSTRUMENTS[symbol]
        return DaySummary(
            open=math.exp(logs[0]),
            high=math.exp(max(*logs, now)),
            low=math.exp(min(*logs, now)),
            volume=instrument.daily_volume,
            vwap=math.exp(sum(logs) / len(logs)),
            trades=int(instrument.trades_per_s * 86_400),
        )

    def describe(self, now_us: int) -> dict[str, object]:
        """Return what people should know of the source."""
        return {
            "source": "price process",
            "seed": self._seed,
            "speed": self._speed,
            "symbols": list(self._symbols),
            "path_time_us": self._to_path(now_us),
        }

    def _to_path(self, now_us: int) -> int:
        return self._origin + int((now_us - self._origin) * self._speed)

    def _to_present(self, path_us: int) -> int:
        return self._origin + math.ceil((path_us - self._origin) / self._speed)

    def _touch(self, block: Block, venue: str, symbol: str, step: int) -> tuple[float, float]:
        tick = INSTRUMENTS[symbol].ticks[venue]
        price = math.exp(float(block.log_price[step])) * (1 + _BASIS[venue])
        bid = max(1, math.floor(price / tick))
        return bid * tick, (bid + (3 if block.wide[step] else 1)) * tick

    def _trade(self, venue: str, symbol: str, index: int, position: int) -> Trade:
        block = self._block(symbol, index)
        offset = int(block.trade_time[position])
        buys = bool(block.trade_buys[position])
        bid, ask = self._touch(block, venue, symbol, offset // STEP_US)
        return Trade(
            trade_id=index * _TRADE_IDS_PER_BLOCK + position,
            time_us=self._to_present(index * _BLOCK_US + offset),
            price=ask if buys else bid,
            size=float(block.trade_size[position]),
            taker_buys=buys,
        )

    def _block(self, symbol: str, index: int) -> Block:
        key = (symbol, index)
        block = self._blocks.get(key)
        if block is None:
            block = make_block(self._seed, INSTRUMENTS[symbol], self._levels[symbol], index)
            self._blocks[key] = block
            while len(self._blocks) > _KEPT_BLOCKS * len(self._symbols):
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        return block
