"""SQLite's journal is folded into the database between ticks, not in the commit of one of them."""

from typing import Any, Final

from sqlalchemy import Engine, event

from common.clock import Clock

__all__ = ["Checkpoint"]

_INTERVAL_S: Final = 10.0
_PAGES: Final = 20_000  # 80 MB; a commit folds a longer journal itself, should no turn come


class Checkpoint:
    """Made before the loop, called after each turn; does nothing where the store is not SQLite.

    By default a commit that brings the journal to 1,000 pages copies them and waits for the disk:
    one tick in about sixty would be late by that.
    """

    def __init__(self, database: Engine, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._next = clock.monotonic() + _INTERVAL_S
        self._enabled = database.dialect.name == "sqlite"
        if self._enabled:
            event.listen(database, "connect", _postpone)
            database.dispose()  # connections from before do not know

    def __call__(self) -> None:
        """Copy what no reader is in the way of, when it is due."""
        now = self._clock.monotonic()
        if not self._enabled or now < self._next:
            return
        self._next = now + _INTERVAL_S
        with self._database.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()


def _postpone(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint={_PAGES}").close()
