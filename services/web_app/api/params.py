"""Query parameters as typed structures: unknown, malformed or unbounded ones are refused."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from flask import request

from common.clock import to_micros
from web_app.errors import ProblemError

__all__ = [
    "CURSOR",
    "DEFAULT_HORIZON_S",
    "Horizon",
    "Moment",
    "NoQuery",
    "Query",
    "RangeQuery",
    "SpanQuery",
    "SymbolQuery",
    "bounds",
    "read_query",
    "require_symbol",
]

Horizon = Literal[1, 5, 10, 30, 60, 300]  # `common.wire.HORIZONS_S`
DEFAULT_HORIZON_S: Horizon = 60
CURSOR = r"^[0-9]{1,18}$"
_SYMBOL = r"^[A-Z0-9]{2,10}-[A-Z0-9]{2,10}$"

Moment = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339 with a zone")]
_MOMENTS = ("start", "end", "since")
_DATED = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)  # the first block: nothing had a price before


class Query(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of the query structures."""


class NoQuery(Query):
    """No parameters."""


class SymbolQuery(Query):
    """Which symbol; without it the first of the configured ones."""

    symbol: (
        Annotated[
            str,
            msgspec.Meta(description="for example BTC-USD", extra_json_schema={"pattern": _SYMBOL}),
        ]
        | None
    ) = None


class SpanQuery(SymbolQuery):
    """A range of time ``start <= t < end``."""

    start: Moment | None = None
    end: Moment | None = None


class RangeQuery(SpanQuery):
    """A range of time and how to walk through it."""

    order: Literal["asc", "desc"] = "asc"
    cursor: (
        Annotated[
            str,
            msgspec.Meta(
                description="next_cursor of the page before", extra_json_schema={"pattern": CURSOR}
            ),
        ]
        | None
    ) = None


QueryType = TypeVar("QueryType", bound=Query)


def read_query(kind: type[QueryType], *, tolerant: bool = False) -> QueryType:
    """Return the request's query; raises `ProblemError` 400 that says what to type.

    Where it is ``tolerant``, parameters that it does not know are left out.
    """
    if not request.args:
        return kind()
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    unknown = sorted(set(request.args) - known)
    if unknown and not tolerant:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"unknown parameter {_quoted(unknown)}; known: {', '.join(sorted(known)) or 'none'}",
        )
    repeated = sorted(name for name, values in request.args.lists() if len(values) > 1)
    if repeated:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"give {_quoted(repeated)} once only")
    values: dict[str, Any] = {name: request.args[name] for name in known & set(request.args)}
    for name in _MOMENTS:  # msgspec would also take "null" and seconds since the epoch
        if name in values and not _DATED.match(values[name]):
            raise ProblemError(HTTPStatus.BAD_REQUEST, _advice(f"no time - at `$.{name}`", kind))
    try:
        return msgspec.convert(values, kind, strict=False)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, _advice(str(error), kind)) from error


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:5])


def _advice(message: str, kind: type[Query]) -> str:
    what, _, place = message.partition(" - at `$.")
    where = place.rstrip("`")
    if where in _MOMENTS:
        what += "; type a time with its zone, for example 2026-01-31T12:00:00Z"
    elif what.startswith("Invalid enum value"):
        schema = msgspec.json.schema_components([kind])[1][kind.__name__]
        choices = schema["properties"][where]["enum"]
        what += f"; type one of {', '.join(map(str, choices))}"
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
