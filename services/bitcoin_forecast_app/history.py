"""Reads of the store: what a starting process needs to go on where the last one stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from sqlalchemy import Connection, Row, func, select

from bitcoin_forecast_app.distribution import Array
from bitcoin_forecast_app.engine import Key
from bitcoin_forecast_app.observation import SECOND_US, Observation, observation_time_us
from common.store.schema import predictions, ticks
from common.wire import HORIZONS_S, QUANTILE_LEVELS, Feed

__all__ = [
    "QUANTILE_COLUMNS",
    "StoredForecast",
    "count_ticks",
    "forecast_rows",
    "list_series",
    "read_ticks",
    "stored_forecasts",
    "tick_rows",
    "to_observation",
]

QUANTILE_COLUMNS = tuple(f"q{round(level * 1000):03d}" for level in QUANTILE_LEVELS)
_OBSERVED = (
    *("sequence", "event_time", "receive_time", "venue", "mid_price"),
    *("bid", "bid_size", "ask", "ask_size", "buy_volume", "sell_volume"),
)
_FETCHED = 1_000  # rows at a time: a day of them all at once would be the trainer's largest part
_CLOCK_SKEW_US = 10 * SECOND_US  # an issue may seem to precede its tick where clocks differ


@dataclass(frozen=True, slots=True)
class StoredForecast:
    """One tick's forecast as stored; arrays are by horizon, valid at the indexes ``horizons``."""

    issue_us: int
    model_version: str
    horizons: tuple[int, ...]
    mean: Array
    quantiles: Array


def list_series(connection: Connection) -> list[Key]:
    """Return every (feed, symbol) that has ticks, by a few index look-ups."""
    found: list[Key] = []
    for feed in get_args(Feed):
        symbol: str | None = ""
        while symbol is not None:
            symbol = connection.scalar(
                select(func.min(ticks.c.symbol)).where(
                    ticks.c.feed == feed, ticks.c.symbol > symbol
                )
            )
            if symbol is not None:
                found.append(Key(feed, symbol))
    return found


def count_ticks(connection: Connection, feed: str) -> int:
    """Return the number of ticks stored of ``feed``."""
    query = select(func.count()).select_from(ticks).where(ticks.c.feed == feed)
    return connection.scalar(query) or 0


def tick_rows(connection: Connection, key: Key, after: int, newest: int) -> list[Row[Any]]:
    """Return the ``newest`` rows above sequence ``after``, oldest first."""
    rows = connection.execute(
        select(ticks)
        .where(ticks.c.feed == key.feed, ticks.c.symbol == key.symbol, ticks.c.sequence > after)
        .order_by(ticks.c.sequence.desc())
        .limit(newest)
    ).all()
    return list(reversed(rows))


def read_ticks(
    connection: Connection, key: Key, after: int, newest: int
) -> list[tuple[int, Observation]]:
    """Return (sequence, observation) of the ``newest`` ticks above sequence ``after``, in order."""
    newest_first = connection.execution_options(yield_per=_FETCHED).execute(
        select(*(ticks.c[name] for name in _OBSERVED))
        .where(ticks.c.feed == key.feed, ticks.c.symbol == key.symbol, ticks.c.sequence > after)
        .order_by(ticks.c.sequence.desc())
        .limit(newest)
    )
    found = [(row.sequence, to_observation(row)) for row in newest_first]
    found.reverse()
    return found


def to_observation(row: Row[Any]) -> Observation:
    """Return the observation that a stored tick carries, equal to the one when it came."""

    def number(text: str | None) -> float:
        return float("nan") if text is None else float(text)

    return Observation(
        time_us=observation_time_us(row.sequence, row.event_time, row.receive_time),
        venue=row.venue,
        mid=row.mid_price,
        bid=number(row.bid),
        bid_size=number(row.bid_size),
        ask=number(row.ask),
        ask_size=number(row.ask_size),
        buy_volume=number(row.buy_volume),
        sell_volume=number(row.sell_volume),
    )


def forecast_rows(connection: Connection, key: Key, since_us: int) -> dict[int, list[Row[Any]]]:
    """Return sequence -> rows by horizon of the forecasts for ticks observed since ``since_us``."""
    rows = connection.execute(
        select(predictions)
        .where(
            predictions.c.feed == key.feed,
            predictions.c.symbol == key.symbol,
            predictions.c.horizon_s.in_(HORIZONS_S),
            predictions.c.issue_time >= since_us - _CLOCK_SKEW_US,
        )
        .order_by(predictions.c.horizon_s, predictions.c.issue_time)
    )
    found: dict[int, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.sequence, []).append(row)
    return found


def stored_forecasts(connection: Connection, key: Key, since_us: int) -> dict[int, StoredForecast]:
    """Return sequence -> forecast for ticks observed since ``since_us``."""
    found = forecast_rows(connection, key, since_us)
    return {sequence: _forecast(rows) for sequence, rows in found.items()}


def _forecast(rows: Sequence[Row[Any]]) -> StoredForecast:
    mean = np.full(len(HORIZONS_S), np.nan)
    quantiles = np.full((len(HORIZONS_S), len(QUANTILE_LEVELS)), np.nan)
    horizons = tuple(HORIZONS_S.index(row.horizon_s) for row in rows)
    for index, row in zip(horizons, rows, strict=True):
        mean[index] = row.mean
        quantiles[index] = [getattr(row, name) for name in QUANTILE_COLUMNS]
    return StoredForecast(rows[0].issue_time, rows[0].model_version, horizons, mean, quantiles)
