"""Writes of the store, each to be called inside the caller's transaction.

Rows are keyed by nature, so writing one again changes nothing.
"""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Table, Update, select

from common.clock import to_micros
from common.errors import StaleOffsetError
from common.store.bars import add_parts, lock_series, new_parts
from common.store.insert import insert_into, write_rows
from common.store.schema import consumer_offsets, predictions, scores, ticks
from common.store.tick_row import TickRow, to_row
from common.wire import Prediction, Tick

__all__ = ["load_offsets", "save_offset", "save_predictions", "save_ticks"]


def _insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        ordered = itemgetter(*(column.name for column in table.columns))
        write_rows(connection, table, [ordered(row) for row in rows])


def save_ticks(connection: Connection, batch: Iterable[Tick]) -> None:
    """Insert ticks, and count them in their bars.

    Those already stored (same feed, symbol, sequence) are left as they are and count no more.
    """
    rows: dict[tuple[str, str, int], TickRow] = {}
    for tick in batch:
        rows.setdefault((tick.feed, tick.symbol, tick.sequence), to_row(tick))
    if rows:
        lock_series(connection, {(feed, symbol) for feed, symbol, _ in rows})
        new, parts = new_parts(connection, [rows[key] for key in sorted(rows)])
        write_rows(connection, ticks, new)
        add_parts(connection, parts)


def save_predictions(connection: Connection, batch: Iterable[Prediction]) -> None:
    """Insert the forecasts of each prediction, and the scores of those that came due with it."""
    items = list(batch)
    _insert_new(connection, predictions, [row for item in items for row in _forecast_rows(item)])
    _insert_new(connection, scores, [row for item in items for row in _score_rows(item)])


_QUANTILE_COLUMNS = ("q025", "q100", "q250", "q500", "q750", "q900", "q975")


def _forecast_rows(item: Prediction) -> Iterable[dict[str, Any]]:
    for forecast in item.horizons:
        yield {
            "feed": item.feed,
            "symbol": item.symbol,
            "horizon_s": forecast.horizon_s,
            "issue_time": to_micros(item.issue_time),
            "target_time": to_micros(forecast.target_time),
            "venue": item.venue,
            "sequence": item.sequence,
            "model_version": item.model_version,
            "reference_price": item.reference_price,
            "mean": forecast.mean,
        } | dict(zip(_QUANTILE_COLUMNS, forecast.quantiles, strict=True))


def _score_rows(item: Prediction) -> Iterable[dict[str, Any]]:
    for outcome in item.outcomes:
        yield {
            "feed": item.feed,
            "symbol": item.symbol,
            "horizon_s": outcome.horizon_s,
            "target_time": to_micros(outcome.target_time),
            "issue_time": to_micros(outcome.issue_time),
            "model_version": outcome.model_version,
            "reference_price": outcome.reference_price,
            "predicted": outcome.predicted,
            "actual": outcome.actual,
            "crps": outcome.crps,
            "crps_last_value": outcome.crps_last_value,
            "crps_baseline": outcome.crps_baseline,
            "inside_50": outcome.inside_50,
            "inside_80": outcome.inside_80,
            "inside_95": outcome.inside_95,
            "width_95": outcome.width_95,
        }


def save_offset(
    connection: Connection,
    group: str,
    topic: str,
    partition: int,
    next_offset: int,
    expected: int | None = None,
) -> None:
    """Record that ``group`` goes on at ``next_offset``, in the same transaction as its rows.

    With ``expected`` the offset stored so far (0 where there is none) must be just that, else
    `StaleOffsetError`: another process has taken over, or the store was restored from a backup.
    """
    table = consumer_offsets
    key: Mapping[str, Any] = {"consumer_group": group, "topic": topic, "partition": partition}
    if expected:
        statement: Insert | Update = (
            table.update()
            .where(*(table.c[name] == value for name, value in key.items()))
            .where(table.c.next_offset == expected)
            .values(next_offset=next_offset)
        )
    else:
        statement = (
            insert_into(table, connection.dialect.name)
            .values(**key, next_offset=next_offset)
            .on_conflict_do_update(
                index_elements=list(key),
                set_={"next_offset": next_offset},
                where=None if expected is None else table.c.next_offset == expected,
            )
        )
    if connection.execute(statement.returning(table.c.next_offset)).first() is None:
        raise StaleOffsetError(
            f"{topic}/{partition}: the store does not hold offset {expected} for {group}"
        )


def load_offsets(connection: Connection, group: str, topic: str) -> dict[int, int]:
    """Return the next offset for each partition that ``group`` has read."""
    rows = connection.execute(
        select(consumer_offsets.c.partition, consumer_offsets.c.next_offset).where(
            consumer_offsets.c.consumer_group == group, consumer_offsets.c.topic == topic
        )
    )
    return {row.partition: row.next_offset for row in rows}
