"""Schemathesis's hooks: what a schema cannot say of a valid query."""

from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext

from common.clock import SystemClock

__all__: list[str] = []

_EARLIEST = datetime(2009, 1, 4, tzinfo=UTC)
_SPAN = timedelta(minutes=7)  # allowed everywhere


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Move the range of a query that is to be valid into what the market has seen."""
    query = case.query
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or not query:
        return
    given = {name: _moment(query[name]) for name in ("start", "end", "since") if query.get(name)}
    if not given:
        return
    for name, moment in given.items():
        query[name] = _within(moment).isoformat().replace("+00:00", "Z")
    if {"start", "end"} <= set(given):
        start = _within(given["start"])
        query["end"] = (start + _SPAN).isoformat().replace("+00:00", "Z")
    elif "end" not in given and "start" in given and "interval" not in query:
        query["end"] = (_within(given["start"]) + _SPAN).isoformat().replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError:  # a leap second, a year before the first
        return _EARLIEST


def _within(moment: datetime) -> datetime:
    span = (SystemClock().now() - _EARLIEST - 2 * _SPAN) // timedelta(microseconds=1)
    past = (moment - _EARLIEST) // timedelta(microseconds=1)
    return _EARLIEST + timedelta(microseconds=past % span)
