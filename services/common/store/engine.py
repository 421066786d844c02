"""Connections to the store."""

from sqlite3 import Connection as SQLiteConnection

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

__all__ = ["make_engine"]

_BUSY_TIMEOUT_MS = 5_000


def make_engine(database_url: str, *, read_only: bool = False) -> Engine:
    """Return an engine for a ``sqlite:///FILE`` or ``postgresql+psycopg://`` address.

    SQLite runs in WAL mode with ``synchronous=NORMAL``: a power cut may lose the newest
    transactions but never tears one; what they held is read again from Kafka, since the consumer's
    offsets are lost with them. ``read_only`` refuses every write on the connection.
    """
    engine = create_engine(database_url, pool_pre_ping=not database_url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _configure(connection: SQLiteConnection, _record: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
            if read_only:
                cursor.execute("PRAGMA query_only=ON")
            else:
                cursor.execute("PRAGMA journal_mode=WAL")
                cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.close()

    return engine
