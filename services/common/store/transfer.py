"""All rows of a store from one database into another, of whatever kind."""

from typing import Any

from sqlalchemy import Connection, insert, select

from common.store.schema import metadata

__all__ = ["copy_rows"]

_BATCH_ROWS = 5_000


def copy_rows(source: Connection, target: Connection) -> dict[str, int]:
    """Copy every table into the empty ones of ``target``; return the rows of each by table.

    Both have the newest schema. The snapshot is the transaction of ``source``.
    """
    counts: dict[str, int] = {}
    streaming = source.execution_options(yield_per=_BATCH_ROWS)
    for table in metadata.sorted_tables:
        counts[table.name] = 0
        for rows in streaming.execute(select(table)).mappings().partitions():
            values: list[dict[str, Any]] = [dict(row) for row in rows]
            target.execute(insert(table), values)
            counts[table.name] += len(values)
    return counts
