"""Which messages are asked for: the query string, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from common.clock import to_micros
from kafka_monitor.errors import BadInputError

__all__ = ["MAX_LIMIT", "MessageQuery", "parse_query"]

MAX_LIMIT = 500
_DEFAULT_LIMIT = 50
_ORIGINS = ("end", "beginning", "offset", "before", "time")
_FORWARD = ("beginning", "offset", "time")
_NAMES = {"from", "partition", "offset", "time", "limit", "search"}
_MAX_OFFSET = 2**63 - 1
_MAX_SEARCH = 200
_POSITION = re.compile(r"(?:(\d{1,10}):)?(\d{1,19})")
_EXAMPLE = "2025-01-31T12:00:00Z or milliseconds since 1970"


@dataclass(frozen=True)
class MessageQuery:
    """``positions`` maps a partition, or None for the only one meant, to an offset.

    Reading goes forward from the positions, or backward from before them.
    """

    origin: str
    partition: int | None
    positions: Mapping[int | None, int]
    time_ms: int | None
    limit: int
    search: str

    @property
    def forward(self) -> bool:
        """Return whether older messages come first."""
        return self.origin in _FORWARD


def parse_query(given: Mapping[str, str]) -> MessageQuery:
    """Return the query in ``given``, the parameters of a URL; empty ones count as absent.

    Raises `BadInputError` that names the parameter and says what to type instead.
    """
    unknown = sorted(set(given) - _NAMES)
    if unknown:
        raise BadInputError(
            f"unknown parameter {unknown[0]!r}; type one of {', '.join(sorted(_NAMES))}"
        )
    text = {name: value.strip() for name, value in given.items() if value.strip()}
    origin = text.get("from", "end")
    if origin not in _ORIGINS:
        raise BadInputError(f"from={origin!r} is not known; type one of {', '.join(_ORIGINS)}")
    if len(text.get("search", "")) > _MAX_SEARCH:
        raise BadInputError(f"search: at most {_MAX_SEARCH} characters")
    return MessageQuery(
        origin=origin,
        partition=_integer(text, "partition", 0, 2**31 - 1),
        positions=_positions(text, origin),
        time_ms=_time(text) if origin == "time" else None,
        limit=_integer(text, "limit", 1, MAX_LIMIT) or _DEFAULT_LIMIT,
        search=text.get("search", ""),
    )


def _integer(text: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    if name not in text:
        return None
    value = text[name]
    if not (value.isascii() and value.isdigit() and len(value) < 20 and low <= int(value) <= high):
        raise BadInputError(f"{name}={value!r} is wrong; type a whole number from {low} to {high}")
    return int(value)


def _positions(text: Mapping[str, str], origin: str) -> dict[int | None, int]:
    if origin not in ("offset", "before"):
        return {}
    if "offset" not in text:
        raise BadInputError(f"from={origin} needs offset=, for example offset=120")
    positions: dict[int | None, int] = {}
    for part in text["offset"].split(","):
        found = _POSITION.fullmatch(part.strip())
        if found is None or int(found[2]) > _MAX_OFFSET:
            raise BadInputError(
                f"offset={text['offset']!r} is wrong; type a whole number, "
                "or partition:offset for each partition, for example 0:120,1:80"
            )
        positions[int(found[1]) if found[1] else None] = int(found[2])
    return positions


def _time(text: Mapping[str, str]) -> int:
    value = text.get("time")
    if value is None:
        raise BadInputError(f"from=time needs time=, for example {_EXAMPLE}")
    if value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
        millis = to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) // 1000
    except (ValueError, OverflowError):
        millis = -1
    if millis < 0:
        raise BadInputError(f"time={value!r} is no time; type {_EXAMPLE}")
    return millis
