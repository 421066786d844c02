"""Scores of the last day by the minute, kept in memory: a day's summary costs no day's scan."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from common.clock import Clock, to_micros
from common.log import get_logger
from common.store.queries import Page, Series, latest_score_time, sum_scores
from common.wire import HORIZONS_S
from web_app.scoreboard import REPORT_HORIZON_S, Sums, log_error_statistics, summarise

__all__ = ["DAY_US", "MINUTE_US", "ScoreBook"]

_log = get_logger(__name__)

MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
_CHUNK_US = 60 * MINUTE_US  # one reading transaction
_SETTLE_US = 2 * MINUTE_US  # the newest minutes are read again: they still grow
_REFRESH_S = 5.0
_REPORT_S = 60.0
_HOUR = timedelta(hours=1)


class _Key(NamedTuple):
    symbol: str
    horizon_s: int


@dataclass
class _Minutes:
    sums: dict[int, Sums] = field(default_factory=dict)  # by the minute's start, oldest first
    final_until: int | None = None  # what is before needs no more reading


class ScoreBook:
    """A thread that reads what was scored since it last looked, and logs it each minute.

    A minute is final two minutes behind the newest score: scores come in the order of their
    target times, also after an outage.
    """

    def __init__(self, engine: Engine, feed: str, symbols: Iterable[str], clock: Clock) -> None:
        self._engine = engine
        self._feed = feed
        self._clock = clock
        self._minutes = {_Key(s, h): _Minutes() for s in symbols for h in HORIZONS_S}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="score-book", daemon=True)
        self._reported: dict[str, int] = {}

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join(timeout_s)

    def sums(self, symbol: str, horizon_s: int, start: int, end: int) -> list[Sums]:
        """Return the sums of the minutes within a range that the last day covers."""
        with self._lock:
            minutes = self._minutes[_Key(symbol, horizon_s)].sums
            return [each for minute, each in minutes.items() if start <= minute < end]

    def _run(self) -> None:
        report_due = self._clock.monotonic() + _REPORT_S
        while not self._stop.is_set():
            try:
                self.refresh()
                if self._clock.monotonic() >= report_due:
                    report_due = self._clock.monotonic() + _REPORT_S
                    self.report()
            except SQLAlchemyError as error:
                _log.warning("no scores", error=str(error).partition("\n")[0])
            self._stop.wait(_REFRESH_S)

    def refresh(self) -> None:
        """Read what is new of each series."""
        for key, minutes in self._minutes.items():
            if not self._stop.is_set():
                self._refresh(key, minutes)

    def _refresh(self, key: _Key, minutes: _Minutes) -> None:
        series = Series(self._feed, key.symbol)
        with self._engine.connect() as connection:
            newest = latest_score_time(connection, series, key.horizon_s)
        if newest is None:
            return
        oldest = newest - DAY_US - newest % MINUTE_US
        start = max(oldest, minutes.final_until or 0)
        while start <= newest and not self._stop.is_set():
            page = Page(start, min(start + _CHUNK_US, newest + 1), limit=_CHUNK_US // MINUTE_US + 1)
            with self._engine.connect() as connection:
                rows = sum_scores(connection, series, key.horizon_s, page, MINUTE_US)
            with self._lock:
                minutes.sums.update((row.bucket, Sums.of(row)) for row in rows)
            start += _CHUNK_US
        with self._lock:
            minutes.final_until = newest - newest % MINUTE_US - _SETTLE_US
            for minute in [each for each in minutes.sums if each < oldest]:
                del minutes.sums[minute]

    def report(self) -> None:
        """Log the last hour's errors of each symbol that was scored since the last report."""
        end = to_micros(self._clock.now()) + MINUTE_US
        start = end - _HOUR // timedelta(microseconds=1)
        for symbol in {key.symbol for key in self._minutes}:
            sums = self.sums(symbol, REPORT_HORIZON_S, start, end)
            if not sums or self._reported.get(symbol) == (last := sums[-1].bucket + sums[-1].n):
                continue
            self._reported[symbol] = last
            log_error_statistics(symbol, summarise(sums))
