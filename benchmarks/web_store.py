"""A store as it is after a month, made by the database itself: ticks, bars, forecasts, scores."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Table

from common.store.queries import QUANTILE_COLUMNS
from common.store.schema import BARS, predictions, scores, ticks
from common.wire import HORIZONS_S

__all__ = ["fill_month"]

DAY_S = 86_400
_MONTH_S = 30 * DAY_S
_WEEK_S = 7 * DAY_S
_US = 1_000_000
# A price that wanders without a random generator; s is the second.
_PRICE = "60000.0 + 400.0 * ((s / 3) % 1999) / 1999 - 300.0 * ((s / 7) % 977) / 977 + (s % 13)"


def fill_month(path: Path, end_us: int, feed: str, symbol: str) -> int:
    """Write a month of ticks and bars up to ``end_us``, a week of forecasts and scores of a minute
    ahead, and a day of those of the other horizons; return the number of ticks.

    The schema must be there and be empty.
    """
    first = end_us // _US - _MONTH_S
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-400000;")
        with connection:
            _fill(connection, ticks, _tick(feed, symbol), first, _MONTH_S)
            for width, table in BARS.items():
                step = width // _US
                _fill(connection, table, _bar(feed, symbol, step), first, _MONTH_S, step)
            for horizon in HORIZONS_S:
                span = _WEEK_S if horizon == 60 else DAY_S
                start = end_us // _US - span
                _fill(connection, predictions, _prediction(feed, symbol, horizon), start, span)
                _fill(connection, scores, _score(feed, symbol, horizon), start, span - horizon)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return _MONTH_S


def _fill(
    connection: sqlite3.Connection,
    table: Table,
    values: dict[str, str],
    first: int,
    seconds: int,
    step: int = 1,
) -> None:
    """Insert a row for each ``step`` seconds; ``values`` are expressions over the second ``s``."""
    assert set(values) <= set(table.columns.keys())
    names, expressions = ", ".join(values), ", ".join(values.values())
    connection.execute(
        "WITH RECURSIVE seconds(s) AS (SELECT :first UNION ALL SELECT s + :step FROM seconds "
        f"WHERE s + :step < :last) INSERT INTO {table.name} ({names}) "
        f"SELECT {expressions} FROM (SELECT s, {_PRICE} AS p FROM seconds)",
        {"first": first - first % step, "step": step, "last": first + seconds},
    )


def _of(feed: str, symbol: str) -> dict[str, str]:
    return {"feed": f"'{feed}'", "symbol": f"'{symbol}'"}


def _tick(feed: str, symbol: str) -> dict[str, str]:
    return _of(feed, symbol) | {
        "sequence": "s * 1000000",
        "venue": "'coinbase'",
        "event_time": "s * 1000000",
        "receive_time": "s * 1000000 + 20000",
        "price": "printf('%.2f', p)",
        "size": "'0.01'",
        "bid": "printf('%.2f', p - 0.05)",
        "bid_size": "'0.8'",
        "ask": "printf('%.2f', p + 0.05)",
        "ask_size": "'0.4'",
        "buy_volume": "'0.5'",
        "sell_volume": "'0.25'",
        "trade_id": "s",
        "event_time_estimated": "0",
        "last_price": "p",
        "mid_price": "p",
    }


def _bar(feed: str, symbol: str, step: int) -> dict[str, str]:
    prices = {f"{mid}{name}": "p" for mid in ("", "mid_") for name in ("open", "close")}
    prices |= {f"{mid}high": "p + 5" for mid in ("", "mid_")}
    prices |= {f"{mid}low": "p - 5" for mid in ("", "mid_")}
    return (
        _of(feed, symbol)
        | prices
        | {
            "start": "s * 1000000",
            "first_us": "0",
            "last_us": str((step - 1) * _US),
            "buy_volume": "'0.5'",
            "sell_volume": "'0.25'",
            "volume": f"0.75 * {step}",
            "ticks": str(step),
            "news": str(step),
        }
    )


def _prediction(feed: str, symbol: str, horizon: int) -> dict[str, str]:
    levels = (-1.96, -1.28, -0.67, 0.0, 0.67, 1.28, 1.96)
    spreads = zip(QUANTILE_COLUMNS, levels, strict=True)
    quantiles = {name: f"p + {z * 3 * horizon**0.5:.3f}" for name, z in spreads}
    return (
        _of(feed, symbol)
        | quantiles
        | {
            "horizon_s": str(horizon),
            "issue_time": "s * 1000000 + 25000",
            "target_time": f"(s + {horizon}) * 1000000",
            "venue": "'coinbase'",
            "sequence": "s * 1000000",
            "model_version": "'baseline'",
            "reference_price": "p",
            "mean": "p",
        }
    )


def _score(feed: str, symbol: str, horizon: int) -> dict[str, str]:
    return _of(feed, symbol) | {
        "horizon_s": str(horizon),
        "target_time": f"(s + {horizon}) * 1000000",
        "issue_time": "s * 1000000 + 25000",
        "model_version": "'baseline'",
        "reference_price": "p",
        "predicted": "p",
        "actual": "p + (s % 7) - 3",
        "crps": "1.0",
        "crps_last_value": "1.1",
        "crps_baseline": "1.0",
        "inside_50": "s % 2",
        "inside_80": "s % 5 > 0",
        "inside_95": "s % 20 > 0",
        "width_95": f"{11.76 * horizon**0.5:.3f}",
    }
