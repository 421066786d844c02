"""Old ticks, predictions and scores are deleted, a little at a time; bars stay for good."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from common.clock import Clock, to_micros
from common.log import get_logger
from common.store.schema import BARS, predictions, scores, ticks
from common.store.series import distinct_prefixes

__all__ = ["Retention", "RetentionPolicy", "delete_expired"]

_DAY_US = 86_400_000_000
_BATCH_ROWS = 500  # a few milliseconds of the writer's time
_PAUSE_S = 1.0  # between batches: 43 million rows a day, far above what a day brings
_IDLE_S = 600.0  # when nothing has expired
_FREE_PAGES_KEPT = 1_024  # 4 MB that new rows fill again; SQLite need not grow for them
_PAGES_PER_BATCH = 256

_log = get_logger(__name__)


@dataclass(frozen=True)
class RetentionPolicy:
    """Days to keep; 0 keeps for good. ``predictions_days`` is for their scores too."""

    ticks_days: float = 30.0
    predictions_days: float = 7.0

    def __post_init__(self) -> None:
        if self.ticks_days < 0 or self.predictions_days < 0:
            raise ValueError("days to keep must not be negative; 0 keeps for good")


def _expiring(policy: RetentionPolicy) -> Iterator[tuple[Table, list[Column[Any]], float]]:
    """Yield table, its primary key up to the time, and days to keep."""
    for table, time, days in (
        (ticks, ticks.c.sequence, policy.ticks_days),
        (predictions, predictions.c.issue_time, policy.predictions_days),
        (scores, scores.c.target_time, policy.predictions_days),
    ):
        if days > 0:
            key = list(table.primary_key.columns)
            yield table, key[: key.index(time) + 1], days


def delete_expired(
    connection: Connection, policy: RetentionPolicy, now_us: int, limit: int = _BATCH_ROWS
) -> int:
    """Delete about ``limit`` expired rows at most, the oldest of a series first; return how many.

    Age counts from ``now_us`` or from the newest row of the series, whichever is earlier: a clock
    that is wrong, or a recording of last year, empties nothing. The limit falls on a whole hour, so
    that the ticks of an hour's bars are all there or on their way out together.
    """
    deleted = 0
    for table, key, days in _expiring(policy):
        *prefix, time = key
        for values in distinct_prefixes(connection, prefix):
            own = [column == value for column, value in zip(prefix, values, strict=True)]
            newest = connection.scalar(select(func.max(time)).where(*own)) or 0
            expiry = min(now_us, newest) - int(days * _DAY_US)
            expiry -= expiry % max(BARS)
            oldest = (
                select(time)
                .where(*own, time < expiry)
                .order_by(time)
                .limit(limit - deleted)
                .subquery()
            )
            last = connection.scalar(select(func.max(oldest.c[0])))
            if last is not None:
                deleted += connection.execute(delete(table).where(*own, time <= last)).rowcount
            if deleted >= limit:
                return deleted
    return deleted


def _give_back(connection: Connection) -> None:
    """Return free pages of SQLite's file to the file system; PostgreSQL's autovacuum needs none."""
    if connection.dialect.name == "sqlite":
        free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        count = min(_PAGES_PER_BATCH, free - _FREE_PAGES_KEPT)
        if count > 0:
            driver: Any = connection.connection.driver_connection
            # A page for each step of the statement: only a script is stepped to its end.
            driver.executescript(f"PRAGMA incremental_vacuum({count})")


class Retention:
    """Housekeeping to be called often by the thread that writes; mostly it returns at once.

    A call deletes one batch at most, in a transaction of its own. A store that refuses is logged
    and tried again later: nothing depends on it.
    """

    def __init__(
        self,
        database: Engine,
        policy: RetentionPolicy,
        clock: Clock,
        batch_rows: int = _BATCH_ROWS,
    ) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._batch_rows = batch_rows
        self._due = clock.monotonic()
        self.deleted = 0

    def __call__(self) -> int:
        """Delete a batch if it is time; return the number of rows deleted."""
        if self._clock.monotonic() < self._due:
            return 0
        count = 0
        try:
            count = self._sweep()
        except SQLAlchemyError as error:
            _log.warning("old rows not deleted, trying again later", error=str(error))
        self._due = self._clock.monotonic() + (_PAUSE_S if count else _IDLE_S)
        self.deleted += count
        return count

    def _sweep(self) -> int:
        now_us = to_micros(self._clock.now())
        with self._database.begin() as connection:
            count = delete_expired(connection, self._policy, now_us, self._batch_rows)
        with self._database.connect() as connection:
            _give_back(connection)
        return count
