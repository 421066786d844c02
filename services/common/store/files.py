"""Files that appear whole or not at all, and SQLite's own tools on them."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL

from common.errors import StoreFileError

__all__ = ["appearing", "check_integrity", "copy_database", "sqlite_url"]

_SIDE_FILES = ("-wal", "-shm", "-journal")


def sqlite_url(path: Path) -> str:
    """Return the address of an SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes ``path``, durably, when the block ends well.

    Raises `StoreFileError` where the folder cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise StoreFileError(f"cannot write {path}: {error.strerror}") from error
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        _sync(partial)
        os.replace(partial, path)
        _sync(path.parent)
    except OSError as error:
        raise StoreFileError(f"cannot write {path}: {error.strerror}") from error
    finally:
        for end in ("", *_SIDE_FILES):
            Path(f"{partial}{end}").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database as of one instant over another, which may be empty or in use.

    One step, so that writers of ``source`` cannot make it begin again; readers and writers of
    ``target`` see the old content or the new. Raises `sqlite3.Error`.
    """
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def check_integrity(path: Path) -> None:
    """Raise `StoreFileError` unless ``path`` is an undamaged SQLite database."""
    if not path.is_file():
        raise StoreFileError(f"{path}: no such file")
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA query_only=ON")
            faults = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    except sqlite3.DatabaseError as error:
        raise StoreFileError(f"{path} is no backup of a store, or is damaged: {error}") from error
    if faults != ["ok"]:
        raise StoreFileError(f"{path} is damaged: {'; '.join(faults)}")
