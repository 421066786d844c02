"""Connections to the store."""

import sqlite3
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from common.errors import ConfigurationError

__all__ = ["make_engine", "normal_url"]

_BUSY_TIMEOUT_MS = 5_000
_LEAST_SQLITE = (3, 35, 0)  # INSERT ... RETURNING


def normal_url(database_url: str) -> URL:
    """Return the address with the driver that we install, where it names none."""
    url = make_url(database_url)
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def make_engine(database_url: str, *, read_only: bool = False) -> Engine:
    """Return an engine for a ``sqlite:///FILE`` or ``postgresql://`` address.

    SQLite runs in WAL mode with ``synchronous=NORMAL``: a power cut may lose the newest
    transactions but never tears one; what they held is read again from Kafka, since the consumer's
    offsets are lost with them. ``read_only`` refuses every write on the connection.
    Raises `ConfigurationError` where Python's SQLite is too old.
    """
    url = normal_url(database_url)
    if url.get_backend_name() == "postgresql":
        # No prepared statements: they would outlive the tables that a restore replaces.
        # An encoding: text of a database without one (SQL_ASCII) would come as bytes.
        arguments = {"prepare_threshold": None, "client_encoding": "utf8"}
        engine = create_engine(url, pool_pre_ping=True, connect_args=arguments)
        configure = _configure_postgres
    else:
        if sqlite3.sqlite_version_info < _LEAST_SQLITE:
            raise ConfigurationError(
                f"Python's SQLite is {sqlite3.sqlite_version}, at least 3.35 is needed; "
                "use another Python"
            )
        engine = create_engine(url)
        configure = _configure_sqlite

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: ConnectionPoolEntry) -> None:
        configure(connection, read_only=read_only)

    return engine


def _configure_sqlite(connection: Any, *, read_only: bool) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    if read_only:
        cursor.execute("PRAGMA query_only=ON")
    else:
        # Before anything is written, or it has no effect: lets retention give space back.
        cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _configure_postgres(connection: Any, *, read_only: bool) -> None:
    connection.read_only = read_only
