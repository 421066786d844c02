"""Tests of the store run on every database that it supports."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine
from tests.support.postgres import PostgresUnavailableError, fresh_database, running_postgres

from common.store import make_engine, upgrade_schema


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Yield a server's address; skips, with the reason, where there is none."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except PostgresUnavailableError as error:
            pytest.skip(str(error))
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.sqlite3"
    else:
        with fresh_database(request.getfixturevalue("postgres")) as address:
            yield address


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Yield an engine on an empty store of the newest schema."""
    engine = make_engine(url)
    upgrade_schema(engine)
    yield engine
    engine.dispose()
