"""``INSERT`` as both databases speak it."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["chunks", "insert_into"]

_CHUNK = 500  # values in one IN (...); far below every database's limit

Value = TypeVar("Value")


def insert_into(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that knows ``ON CONFLICT``."""
    if dialect == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def chunks(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """Yield ``values`` in parts that one statement can take."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
