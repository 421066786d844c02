"""``/api/health``: one look at everything, for people and for monitors."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError

from common.clock import from_micros
from common.health import Check
from common.store import queries
from web_app.api.answers import json_answer
from web_app.api.params import NoQuery, read_query
from web_app.runtime import Runtime

__all__ = ["NOTICES", "STALE_S", "add_health", "describe_health"]

STALE_S = 5.0
NOTICES = {
    "live": None,
    "simulated": "Simulated market: these prices are made up, no exchange was reached.",
    "replay": "Replay: a recording of the past, shown as if it were now.",
}


def add_health(api: Blueprint, runtime: Runtime) -> None:
    """Add the route to ``api``."""

    @api.get("/health")
    def health() -> Response:
        read_query(NoQuery)
        body = describe_health(runtime)
        answer = json_answer(body)
        if body["status"] == "failing":
            answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        answer.headers["Cache-Control"] = "no-store"
        return answer


def describe_health(runtime: Runtime, symbol: str | None = None) -> dict[str, Any]:
    """Return the document; the ages are those of ``symbol``, by default the first.

    ``status``: ok, degraded (what is shown may be old), failing.
    """
    now = runtime.clock.now()
    store = runtime.store_ready()
    kafka = Check(runtime.reader.connected, runtime.reader.fault or runtime.reader.ready().detail)
    tick_time, issue_time, model = _newest(runtime, symbol, store.ok)
    tick_age = None if tick_time is None else max(0.0, (now - tick_time).total_seconds())
    issue_age = None if issue_time is None else max(0.0, (now - issue_time).total_seconds())
    fresh = tick_age is not None and tick_age <= STALE_S
    feed_check = Check(fresh, "no tick yet" if tick_age is None else f"{tick_age:.1f} s old")
    predicted = issue_age is not None and issue_age <= STALE_S
    forecast_check = Check(
        predicted, "no prediction yet" if issue_age is None else f"{issue_age:.1f} s old"
    )
    components = {
        "store": store,
        "kafka": kafka,
        "ticks": feed_check,
        "predictions": forecast_check,
    }
    healthy = all(check.ok for check in components.values())
    feed = runtime.settings.feed
    return {
        "status": "ok" if healthy else "degraded" if store.ok or kafka.ok else "failing",
        "time": now,
        "instance": runtime.settings.instance,
        "feed": feed,
        "notice": NOTICES[feed],
        "last_tick_age_s": None if tick_age is None else round(tick_age, 3),
        "last_prediction_age_s": None if issue_age is None else round(issue_age, 3),
        "model_version": model,
        "streams": runtime.hub.streams,
        "components": {
            name: {"ready": check.ok, "detail": check.detail} for name, check in components.items()
        },
    }


def _newest(
    runtime: Runtime, symbol: str | None, store_answers: bool
) -> tuple[datetime | None, datetime | None, str | None]:
    """Return (newest tick's receive time, newest issue time, its model version)."""
    own = runtime.series(symbol)
    tick = runtime.hub.latest_tick(own.symbol)
    prediction = runtime.hub.latest_prediction(own.symbol)
    tick_time = tick.receive_time if tick else None
    issue_time = prediction.issue_time if prediction else None
    model = prediction.model_version if prediction else None
    if store_answers and (tick is None or prediction is None):
        try:
            with runtime.engine.connect() as connection:
                row = queries.latest_tick(connection, own)
                rows = queries.latest_prediction(connection, own)
        except SQLAlchemyError:
            return tick_time, issue_time, model
        if tick is None and row is not None:
            tick_time = from_micros(row.receive_time)
        if prediction is None and rows:
            issue_time, model = from_micros(rows[0].issue_time), rows[0].model_version
    return tick_time, issue_time, model
