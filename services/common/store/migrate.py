"""Schema versions by Alembic: forward on start, refused when the data are newer than the code."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from common.errors import SchemaTooNewError

__all__ = ["check_schema", "upgrade_schema"]

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def check_schema(engine: Engine) -> tuple[str | None, str]:
    """Return (revision in the database or None, newest known revision).

    Raises `SchemaTooNewError` when the database's revision is unknown to this version.
    """
    scripts = ScriptDirectory.from_config(_config())
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise SchemaTooNewError(
            f"the store has schema {current}, unknown to this version (newest known: "
            f"{scripts.get_current_head()}); use the version that wrote it, or another instance"
        )
    return current, scripts.get_current_head() or ""


def upgrade_schema(engine: Engine) -> tuple[str | None, str]:
    """Bring the store to the newest schema; return (revision before, revision now)."""
    before, head = check_schema(engine)
    if before != head:
        with engine.begin() as connection:
            command.upgrade(_config(connection), "head")
    return before, head
