"""Which messages are asked for: the query string, checked."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from werkzeug.exceptions import BadRequest

from common.clock import from_micros

__all__ = ["MAX_LIMIT", "MessageQuery", "parse_query"]

MAX_LIMIT = 500
_MAX_SEARCH = 200
_SHOWN = 60  # characters of a wrong value that are repeated
_WANTED = {
    "from": "one of end, beginning, offset, before, time",
    "limit": f"a whole number from 1 to {MAX_LIMIT}",
    "offset": "a whole number, or partition:offset for each partition, for example 0:120,1:80",
    "partition": "a whole number",
    "search": f"at most {_MAX_SEARCH} characters",
    "time": "2025-01-31T12:00:00Z or milliseconds since 1970",
}
_NEEDED = {"offset": "offset", "before": "offset", "time": "time"}


def _split(written: str) -> dict[str | None, str]:
    pairs = (part.rpartition(":") for part in written.split(","))
    return {partition.strip() or None: offset for partition, _, offset in pairs}


def _since_1970(moment: datetime) -> datetime:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if aware < from_micros(0):
        raise ValueError("Kafka has no such time")
    return aware


_Partition = Annotated[int, Field(ge=0, lt=2**31)]
_Offset = Annotated[int, Field(ge=0, lt=2**63)]
_Positions = Annotated[dict[_Partition | None, _Offset], BeforeValidator(_split)]


class MessageQuery(BaseModel, extra="forbid", frozen=True, val_temporal_unit="milliseconds"):
    """``offset`` maps a partition, or None for the only one meant, to an offset.

    Reading goes forward from the positions, or backward from before them.
    """

    origin: Literal["end", "beginning", "offset", "before", "time"] = Field("end", alias="from")
    partition: _Partition | None = None
    offset: _Positions | None = None
    time: Annotated[datetime, AfterValidator(_since_1970)] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    search: Annotated[str, Field(max_length=_MAX_SEARCH)] = ""

    @property
    def forward(self) -> bool:
        """Return whether older messages come first."""
        return self.origin in ("beginning", "offset", "time")


def parse_query(given: Mapping[str, str]) -> MessageQuery:
    """Return the query in ``given``, the parameters of a URL; empty ones count as absent.

    Raises `BadRequest` that names the parameter and says what to type instead.
    """
    text = {name: value.strip() for name, value in given.items() if value.strip()}
    try:
        query = MessageQuery.model_validate(text)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        fault = f"{name}={text[name][:_SHOWN]!r} is wrong; type {_WANTED.get(name)}"
        if name not in _WANTED:
            fault = f"unknown parameter {name[:_SHOWN]!r}; type one of {', '.join(_WANTED)}"
        raise BadRequest(fault) from error
    needed = _NEEDED.get(query.origin)
    if needed and needed not in text:
        raise BadRequest(f"from={query.origin} needs {needed}=; type {_WANTED[needed]}")
    return query
