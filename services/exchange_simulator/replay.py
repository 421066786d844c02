"""A recording as a market: played from the start of the process, and again at its end.

A moment of the recording is mapped onto the present; what the recording says of its own clock's
distance from the exchange's is kept, so that a recorded clock skew is served as it was.
"""

from collections.abc import Sequence

import numpy as np

from common.log import get_logger
from exchange_simulator.market import DaySummary, Quote, Trade
from exchange_simulator.recording import Recording

__all__ = ["ReplayMarket"]

_log = get_logger(__name__)


class ReplayMarket:
    """Serves ``recording`` for one symbol at ``speed`` times real time from ``origin_us`` on."""

    def __init__(self, recording: Recording, symbol: str, speed: float, origin_us: int) -> None:
        self._recording = recording
        self._symbol = symbol
        self._speed = speed
        self._origin = origin_us
        seen = recording.quote_seen, recording.trade_seen
        # From when both book and trades are known, to the last of either.
        self._start = int(max(column[0] for column in seen))
        self._duration = int(max(column[-1] for column in seen)) - self._start + 1
        self._lap = 0

    @property
    def symbols(self) -> Sequence[str]:
        """Return the one market that is open."""
        return (self._symbol,)

    def quote(self, venue: str, symbol: str, now_us: int) -> Quote:  # noqa: ARG002 - one book
        """Return the book's best prices as of ``now_us``, exactly as recorded."""
        lap, moment = self._locate(now_us)
        row = int(np.searchsorted(self._recording.quote_seen, moment, side="right")) - 1
        seen, said = self._recording.quote_seen[row], self._recording.quote_time[row]
        bid, bid_size, ask, ask_size = (float(value) for value in self._recording.quotes[row])
        update = lap * len(self._recording.quote_seen) + row + 1
        return Quote(
            update, self._to_present(lap, int(seen), int(said)), bid, bid_size, ask, ask_size
        )

    def trades(self, venue: str, symbol: str, now_us: int, limit: int) -> Sequence[Trade]:  # noqa: ARG002
        """Return the last ``limit`` trades of this lap up to ``now_us``, oldest first."""
        lap, moment = self._locate(now_us)
        end = int(np.searchsorted(self._recording.trade_seen, moment, side="right"))
        return [self._trade(lap, row) for row in range(max(0, end - limit), end)]

    def day(self, venue: str, symbol: str, now_us: int) -> DaySummary:  # noqa: ARG002
        """Return the statistics of what the lap has shown so far."""
        _, moment = self._locate(now_us)
        end = int(np.searchsorted(self._recording.trade_seen, moment, side="right"))
        prices, sizes = self._recording.prices[:end], self._recording.sizes[:end]
        volume = float(sizes.sum())
        vwap = float((prices * sizes).sum()) / volume if volume else float(prices[-1])
        high, low = float(prices.max()), float(prices.min())
        return DaySummary(float(prices[0]), high, low, volume, vwap, end)

    def describe(self, now_us: int) -> dict[str, object]:
        """Return what people should know of the source."""
        lap, moment = self._locate(now_us)
        return {
            "source": "replay",
            "file": self._recording.path.name,
            "speed": self._speed,
            "symbols": [self._symbol],
            "duration_s": self._duration / 1e6,
            "lap": lap + 1,
            "position_s": (moment - self._start) / 1e6,
            "recorded_time_us": moment,
            "times": "shifted onto the present; the recording starts anew at its end",
            "book": "recorded" if self._recording.has_book else "one cent around the close",
        }

    def _trade(self, lap: int, row: int) -> Trade:
        recording = self._recording
        seen, said = int(recording.trade_seen[row]), int(recording.trade_time[row])
        return Trade(
            trade_id=lap * len(recording.trade_seen) + row + 1,
            time_us=self._to_present(lap, seen, said),
            price=float(recording.prices[row]),
            size=float(recording.sizes[row]),
            taker_buys=bool(recording.taker_buys[row]),
        )

    def _locate(self, now_us: int) -> tuple[int, int]:
        """Return the lap and the recording's moment that ``now_us`` stands for."""
        elapsed = max(0, int((now_us - self._origin) * self._speed))
        lap, offset = divmod(elapsed, self._duration)
        if lap > self._lap:
            self._lap = lap
            _log.info("replay starts anew at its end, times go on", lap=lap + 1)
        return lap, self._start + offset

    def _to_present(self, lap: int, seen_us: int, said_us: int) -> int:
        elapsed = lap * self._duration + seen_us - self._start
        return self._origin + int(elapsed / self._speed) + said_us - seen_us
