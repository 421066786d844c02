"""Schema versions by Alembic: forward on start, refused when the data are newer than the code.

The first digit of a revision is its generation. Within one, migrations only add, so that a service
still works, and may be started again, after another one has been updated before it. A migration
that changes or removes begins a new generation: everything is updated at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from common.errors import SchemaTooNewError
from common.store.rebuild import rebuild_bars

__all__ = ["check_schema", "exclusive", "upgrade_connection", "upgrade_schema"]

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x5C4E3A  # any number of our own


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def check_schema(engine: Engine) -> tuple[str | None, str]:
    """Return (revision in the database or None, newest known revision).

    Raises `SchemaTooNewError` when the database's revision is unknown to this version.
    """
    with engine.connect() as connection:
        return _check(connection, ScriptDirectory.from_config(_config()))


def _check(connection: Connection, scripts: ScriptDirectory) -> tuple[str | None, str]:
    current = MigrationContext.configure(connection).get_current_revision()
    head = scripts.get_current_head() or ""
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise SchemaTooNewError(
            f"the store has schema {current}, unknown to this version (newest known: "
            f"{head}); use the version that wrote it, or another instance",
            usable=current[:1] == head[:1],
        )
    return current, head


def upgrade_schema(engine: Engine) -> tuple[str | None, str]:
    """Bring the store to the newest schema; return (revision before, revision now).

    All or nothing, and safe to call from several processes at once.
    """
    before, head = check_schema(engine)
    if before != head:
        with exclusive(engine) as connection:
            before, head = upgrade_connection(connection)
    return before, head


def upgrade_connection(connection: Connection) -> tuple[str | None, str]:
    """Do what `upgrade_schema` does, inside a transaction of the caller's that is `exclusive`."""
    scripts = ScriptDirectory.from_config(_config())
    before, head = _check(connection, scripts)  # another process may have been first
    if before != head:
        command.upgrade(_config(connection), "head")
    passed = scripts.iterate_revisions(head, before or "base")
    if any(getattr(script.module, "REBUILDS_BARS", False) for script in passed):
        rebuild_bars(connection)
    return before, head


@contextmanager
def exclusive(engine: Engine) -> Iterator[Connection]:
    """One transaction that keeps other writers out, changes of tables included."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            # The driver begins transactions before changes of rows only.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        yield connection
