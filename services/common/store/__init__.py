"""The time-series store: one schema on SQLite (WAL) and PostgreSQL."""

from common.store.engine import make_engine
from common.store.migrate import check_schema, upgrade_schema

__all__ = ["check_schema", "make_engine", "upgrade_schema"]
