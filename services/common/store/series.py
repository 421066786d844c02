"""Which series there are, by a few look-ups in the primary key however many rows there are."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Connection, func, select

__all__ = ["distinct_prefixes"]


def distinct_prefixes(
    connection: Connection, columns: Sequence[Column[Any]], known: tuple[Any, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield the distinct values of ``columns``, the first of one table's primary key, in order.

    ``known`` fixes the values of the first ones.
    """
    if len(known) == len(columns):
        yield known
        return
    column = columns[len(known)]
    fixed = [one == value for one, value in zip(columns, known, strict=False)]
    value = connection.scalar(select(func.min(column)).where(*fixed))
    while value is not None:
        yield from distinct_prefixes(connection, columns, (*known, value))
        value = connection.scalar(select(func.min(column)).where(*fixed, column > value))
