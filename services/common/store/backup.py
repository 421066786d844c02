"""Backup and restore while the system runs.

A backup is one SQLite file with everything, whatever database it was made of: it can be restored
into the other kind, which moves a local instance to Kubernetes and back.
"""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text
from sqlalchemy import inspect as sql_inspect
from sqlalchemy.exc import DatabaseError

from common.clock import Clock, from_micros
from common.errors import StoreFileError
from common.store.engine import make_engine, normal_url
from common.store.files import appearing, check_integrity, copy_database, sqlite_url
from common.store.migrate import check_schema, exclusive, upgrade_connection, upgrade_schema
from common.store.schema import consumer_offsets, metadata, ticks
from common.store.transfer import copy_rows

__all__ = ["back_up", "inspect_backup", "require_newest", "restore"]


def back_up(database_url: str, file: Path) -> dict[str, int]:
    """Write a checked backup to ``file``, replacing it at the end; return rows by table.

    Writers go on meanwhile; what they commit after the start is not in it. Raises
    `StoreFileError` and, for a store newer than this version, `SchemaTooNewError`.
    """
    require_newest(database_url)
    source = _sqlite_path(database_url)
    with appearing(file) as partial:
        if source is not None:
            try:
                copy_database(source, partial)
            except sqlite3.Error as error:
                raise StoreFileError(f"cannot back up {source}: {error}") from error
        else:
            _copy_from_postgres(database_url, partial)
        _make_single(partial)
        check_integrity(partial)
        return _count(partial)


def restore(database_url: str, file: Path, clock: Clock) -> tuple[dict[str, int], str | None]:
    """Replace the store's content by that of a backup; return rows by table and what was kept.

    The backup is checked first, and brought to the newest schema in a copy. What was there before
    is kept: as a file beside the store, or as a schema of its own in PostgreSQL; None where there
    was nothing. Other processes see the old content or the new, and go on: a consumer finds its
    offset changed (`StaleOffsetError`) and reads from Kafka what came since. Its offset is never
    put beyond the one that it had reached here: the backup may be of an instance whose topics were
    longer.
    """
    check_integrity(file)
    _require_store(file)
    stamp = clock.now().strftime("%Y%m%dT%H%M%SZ")
    target = _sqlite_path(database_url)
    folder = None if target is None else target.parent
    if folder is not None and not folder.is_dir():
        raise StoreFileError(f"{folder}: no such directory")
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as name:
        staged = Path(name) / "store.sqlite3"
        copy_database(file, staged)
        engine = make_engine(sqlite_url(staged))
        upgrade_schema(engine)
        engine.dispose()
        _limit_offsets(staged, _reached(database_url))
        _make_single(staged)
        if target is not None:
            kept = _replace_sqlite(target, staged, stamp)
        else:
            kept = _replace_postgres(database_url, staged, stamp)
        return _count(staged), kept


def inspect_backup(file: Path) -> dict[str, Any]:
    """Return schema, rows by table and the newest tick's time of a backup that can be restored.

    Raises what `restore` would raise because of the file.
    """
    check_integrity(file)
    found = _require_store(file)
    engine = make_engine(sqlite_url(file), read_only=True)
    try:
        with engine.connect() as connection:
            newest = connection.scalar(select(func.max(ticks.c.receive_time)))
    finally:
        engine.dispose()
    moment = None if newest is None else from_micros(newest).isoformat()
    return {"schema": found, "rows": _count(file), "newest_tick": moment}


Offsets = dict[tuple[str, str, int], int]


def _reached(database_url: str) -> Offsets:
    """Return the offsets that the store holds; none where it is not there or is damaged."""
    path = _sqlite_path(database_url)
    if path is not None and not path.is_file():
        return {}
    engine = make_engine(database_url, read_only=True)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(consumer_offsets)).all()
    except DatabaseError:
        return {}
    finally:
        engine.dispose()
    return {(row.consumer_group, row.topic, row.partition): row.next_offset for row in rows}


def _limit_offsets(staged: Path, reached: Offsets) -> None:
    """Put back the offsets of ``staged`` to those ``reached``; without one there, to the start."""
    engine = make_engine(sqlite_url(staged))
    table = consumer_offsets
    try:
        with engine.begin() as connection:
            rows = connection.execute(select(table)).all()
            connection.execute(delete(table))
            for group, topic, partition, offset in rows:
                limit = reached.get((group, topic, partition), 0)
                connection.execute(
                    insert(table).values((group, topic, partition, min(offset, limit)))
                )
    finally:
        engine.dispose()


def _sqlite_path(database_url: str) -> Path | None:
    url = normal_url(database_url)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def require_newest(database_url: str) -> None:
    """Raise `StoreFileError` unless the store is there and has the schema of this version."""
    path = _sqlite_path(database_url)
    if path is not None and not path.is_file():
        raise StoreFileError(f"{path}: no such file")
    engine = make_engine(database_url, read_only=True)
    try:
        found, newest = check_schema(engine)
    except DatabaseError as error:
        raise StoreFileError(f"the store cannot be read: {error.orig}") from error
    finally:
        engine.dispose()
    if found != newest:
        raise StoreFileError(
            f"the store has schema {found}, this version writes {newest}; upgrade it first"
        )


def _require_store(file: Path) -> str:
    engine = make_engine(sqlite_url(file), read_only=True)
    try:
        found, _ = check_schema(engine)
    finally:
        engine.dispose()
    if found is None:
        raise StoreFileError(f"{file} is an SQLite database, but no backup of a store")
    return found


def _make_single(path: Path) -> None:
    """Fold the write-ahead log into the file, so that it can be moved and copied by itself."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _copy_from_postgres(database_url: str, path: Path) -> None:
    target = make_engine(sqlite_url(path))
    source = make_engine(database_url, read_only=True)
    snapshot = source.execution_options(isolation_level="REPEATABLE READ")
    try:
        upgrade_schema(target)
        with snapshot.connect() as reading, target.begin() as writing:
            copy_rows(reading, writing)
    finally:
        source.dispose()
        target.dispose()


def _replace_sqlite(target: Path, staged: Path, stamp: str) -> str | None:
    kept = None
    if target.exists():
        kept = target.with_name(f"{target.name}.replaced-{stamp}")
        try:
            with appearing(kept) as partial:
                copy_database(target, partial)
                check_integrity(partial)
        except (sqlite3.DatabaseError, StoreFileError):
            _move_aside(target, kept)  # damaged: whoever has it open must be started anew
    copy_database(staged, target)
    check_integrity(target)
    return None if kept is None else str(kept)


def _move_aside(path: Path, kept: Path) -> None:
    for end in ("", "-wal", "-shm"):
        if Path(f"{path}{end}").exists():
            os.replace(f"{path}{end}", f"{kept}{end}")


def _replace_postgres(database_url: str, staged: Path, stamp: str) -> str | None:
    engine, source = make_engine(database_url), make_engine(sqlite_url(staged), read_only=True)
    try:
        with exclusive(engine) as connection, source.connect() as reading:
            kept = _set_aside(connection, f"replaced_{stamp.lower()}")
            upgrade_connection(connection)
            copy_rows(reading, connection)
    finally:
        engine.dispose()
        source.dispose()
    return kept


def _set_aside(connection: Connection, schema: str) -> str | None:
    """Move the store's tables into ``schema``; return its name, or None where there are none."""
    names = [*(table.name for table in metadata.sorted_tables), "alembic_version"]
    found = set(
        connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        )
    )
    names = [name for name in names if name in found]
    if not names:
        return None
    connection.execute(text(f'CREATE SCHEMA "{schema}"'))
    for name in names:
        connection.execute(text(f'ALTER TABLE "{name}" SET SCHEMA "{schema}"'))
    return schema


def _count(path: Path) -> dict[str, int]:
    engine = make_engine(sqlite_url(path), read_only=True)
    try:
        with engine.connect() as connection:
            present = set(sql_inspect(connection).get_table_names())  # an older schema has fewer
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in metadata.sorted_tables
                if table.name in present
            }
    finally:
        engine.dispose()
