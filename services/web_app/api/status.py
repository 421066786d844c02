"""``/api/v1/status``: the pipeline from the exchange to the screen, for the page's health panel."""

from typing import Any

from flask import Blueprint, Response
from kafka import TopicPartition
from sqlalchemy.exc import SQLAlchemyError

from common.store import queries
from common.store.writer import load_offsets
from web_app.api.answers import json_answer
from web_app.api.health import describe_health
from web_app.api.params import SymbolQuery, read_query, require_symbol
from web_app.runtime import Runtime

__all__ = ["add_status"]

_FORECASTER_GROUP = "bitcoin-forecast-app"


def add_status(api: Blueprint, runtime: Runtime) -> None:
    """Add the route to ``api``."""

    @api.get("/status")
    def status() -> Response:
        symbol = require_symbol(read_query(SymbolQuery).symbol, runtime.settings.symbols)
        tick = runtime.hub.latest_tick(symbol)
        ticks, size = _kept(runtime)
        body = describe_health(runtime, symbol) | {
            "exchange": tick.venue if tick else None,
            "forecaster_lag": _forecaster_lag(runtime),
            "web_lag": runtime.reader.lag(),
            "max_streams": runtime.settings.web_max_streams,
            "symbols": list(runtime.settings.symbols),
            "ticks_kept": ticks,
            "store_bytes": size,
        }
        return json_answer(body)


def _kept(runtime: Runtime) -> tuple[int | None, int | None]:
    """Return (ticks of all symbols, bytes of the store); None where it does not answer."""
    try:
        with runtime.engine.connect() as connection:
            symbols = runtime.settings.symbols
            ticks = sum(queries.count_ticks(connection, runtime.series(name)) for name in symbols)
            return ticks, queries.store_bytes(connection)
    except SQLAlchemyError:
        return None, None


def _forecaster_lag(runtime: Runtime) -> int | None:
    """Return how many prices the forecaster has not stored yet; None where that is unknown."""
    topic = runtime.settings.topic_prices
    ends: dict[Any, int] = {p: end for p, end in runtime.reader.ends.items() if p.topic == topic}
    if not ends or not runtime.reader.connected:
        return None
    try:
        with runtime.engine.connect() as connection:
            offsets = load_offsets(connection, _FORECASTER_GROUP, topic)
    except SQLAlchemyError:
        return None
    known = {TopicPartition(topic, number): offset for number, offset in offsets.items()}
    return sum(max(0, end - known.get(partition, 0)) for partition, end in ends.items())
