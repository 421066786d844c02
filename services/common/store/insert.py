"""``INSERT`` as both databases speak it, many rows at a time."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Insert, Table, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["chunks", "insert_into", "write_rows"]

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


def write_rows(
    connection: Connection,
    table: Table,
    rows: Sequence[tuple[Any, ...]],
    *,
    replace: bool = False,
) -> None:
    """Insert ``rows``, each with the values of all columns in their order, no key twice.

    Rows that are there already are left as they are, or written over where ``replace``.

    One value at a time through the ORM's processors costs more than the database takes: SQLite
    gets the tuples as they are, PostgreSQL all of them as one JSON text, which keeps every value
    exactly (floats travel by their shortest exact notation).
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_by_position(table, replace), list(rows))
    else:
        names = [one.name for one in table.columns]
        objects = [dict(zip(names, row, strict=True)) for row in rows]
        connection.execute(
            _from_json(table, replace), {"rows": msgspec.json.encode(objects).decode()}
        )


def _resolve(statement: Any, table: Table, *, replace: bool) -> Insert:
    resolved: Insert
    if replace:
        changed = {
            one.name: statement.excluded[one.name] for one in table.columns if not one.primary_key
        }
        key = [one.name for one in table.primary_key]
        resolved = statement.on_conflict_do_update(index_elements=key, set_=changed)
    else:
        resolved = statement.on_conflict_do_nothing()
    return resolved


@cache
def _by_position(table: Table, replace: bool) -> str:
    statement = sqlite.insert(table).values(
        {one.name: bindparam(one.name) for one in table.columns}
    )
    resolved = _resolve(statement, table, replace=replace)
    compiled = resolved.compile(dialect=sqlite.dialect(paramstyle="qmark"))
    assert compiled.positiontup == [one.name for one in table.columns]
    return str(compiled)


@cache
def _from_json(table: Table, replace: bool) -> Insert:
    names = [one.name for one in table.columns]
    given = func.json_to_recordset(cast(bindparam("rows", type_=Text), postgresql.JSON))
    rows = given.table_valued(*(column(one.name, one.type) for one in table.columns))
    source = select(*rows.render_derived(name="given", with_types=True).c)
    return _resolve(postgresql.insert(table).from_select(names, source), table, replace=replace)
