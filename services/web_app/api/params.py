"""Query parameters as typed structures: unknown, malformed or unbounded ones are refused."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from flask import request

from common.clock import to_micros
from common.wire import HORIZONS_S
from web_app.errors import ProblemError

__all__ = [
    "DEFAULT_HORIZON_S",
    "Moment",
    "NoQuery",
    "Query",
    "RangeQuery",
    "SymbolQuery",
    "bounds",
    "read_query",
    "require_horizon",
    "require_symbol",
]

DEFAULT_HORIZON_S = 60

Moment = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339 with a zone")]
_EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)  # the first block: nothing had a price before


class Query(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of the query structures."""


class NoQuery(Query):
    """No parameters."""


class SymbolQuery(Query):
    """Which symbol; without it the first of the configured ones."""

    symbol: Annotated[str, msgspec.Meta(description="for example BTC-USD")] | None = None


class RangeQuery(SymbolQuery):
    """A range of time ``start <= t < end`` and how to walk through it."""

    start: Moment | None = None
    end: Moment | None = None
    order: Literal["asc", "desc"] = "asc"
    cursor: Annotated[str, msgspec.Meta(max_length=64)] | None = None


QueryType = TypeVar("QueryType", bound=Query)


def read_query(kind: type[QueryType]) -> QueryType:
    """Return the request's query; raises `ProblemError` 400 that says what to type."""
    if not request.args:
        return kind()
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    unknown = sorted(set(request.args) - known)
    if unknown:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"unknown parameter {_quoted(unknown)}; known: {', '.join(sorted(known)) or 'none'}",
        )
    repeated = sorted(name for name, values in request.args.lists() if len(values) > 1)
    if repeated:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"give {_quoted(repeated)} once only")
    try:
        values: dict[str, Any] = dict(request.args)
        return msgspec.convert(values, kind, strict=False)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, _advice(str(error))) from error


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:5])


def _advice(message: str) -> str:
    where = message.rpartition(" - at `$.")[2].rstrip("`") if " - at `$." in message else ""
    what = message.partition(" - at ")[0]
    if where in ("start", "end", "since"):
        what += "; type a time with its zone, for example 2026-01-31T12:00:00Z"
    return f"{where}: {what}" if where else what


def require_symbol(symbol: str | None, known: Sequence[str]) -> str:
    """Return the symbol asked for; raises `ProblemError` 404 for one that is not served."""
    if symbol is None:
        return known[0]
    if symbol not in known:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            f"unknown symbol {symbol[:40]!r}; served here: {', '.join(known)}",
        )
    return symbol


def require_horizon(horizon_s: int) -> int:
    """Return the horizon; raises `ProblemError` 400 for one that is not forecast."""
    if horizon_s not in HORIZONS_S:
        known = ", ".join(str(each) for each in HORIZONS_S)
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"horizon_s: {horizon_s} is not forecast; type one of {known}"
        )
    return horizon_s


def bounds(
    start: datetime | None,
    end: datetime | None,
    now: datetime,
    usual: timedelta,
    longest: timedelta,
) -> tuple[int, int]:
    """Return a range in microseconds, by default the ``usual`` time up to now.

    Raises `ProblemError` 400 for an empty range, one longer than ``longest``, or one that no
    market has seen.
    """
    latest = now + timedelta(days=1)
    for name, moment in (("start", start), ("end", end)):
        if moment is not None and not _EARLIEST <= moment <= latest:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                f"{name}: {moment.isoformat()} is outside {_EARLIEST.date()} to {latest.date()}",
            )
    last = end or (min(start + usual, latest) if start else now + timedelta(seconds=1))
    first = start or last - usual
    if first >= last:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "start must be before end")
    if last - first > longest:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"the range is {last - first}, at most {longest} at once; "
            "ask for less, or for wider bars with interval",
        )
    return to_micros(first), to_micros(last)
