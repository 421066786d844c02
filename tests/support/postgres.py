"""A PostgreSQL of our own for the session, or the one that ``TEST_DATABASE_URL`` names."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

__all__ = ["PostgresUnavailableError", "fresh_database", "running_postgres"]

_START_S = 30
_FAST = "-c fsync=off -c full_page_writes=off -c listen_addresses="  # data are thrown away


class PostgresUnavailableError(Exception):
    """There is none to test on; the message says why."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yield the address of a server's maintenance database; stops what it has started.

    Raises `PostgresUnavailableError` where none is named and none is installed.
    """
    named = os.environ.get("TEST_DATABASE_URL")
    if named:
        yield named
        return
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path must be short
    try:
        _run(programs / "initdb", folder, "-D", "data", "-U", "test", "-A", "trust", "--no-sync")
        start = ["-D", "data", "-w", "-t", str(_START_S), "-l", "log", "-o", f"{_FAST} -k {folder}"]
        _run(programs / "pg_ctl", folder, "start", *start)
        try:
            yield f"postgresql+psycopg://test@/postgres?host={folder}"
        finally:
            _run(programs / "pg_ctl", folder, "stop", "-D", "data", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    folders = [folder for folder in folders if (folder / "initdb").exists()]
    if not folders:
        raise PostgresUnavailableError(
            "no PostgreSQL: set TEST_DATABASE_URL or install the server (Debian: postgresql)"
        )
    return folders[-1]


def _run(program: Path, folder: Path, *arguments: str) -> None:
    user = None
    if os.getuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
    subprocess.run(
        [program, *arguments],
        cwd=folder,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=_START_S * 2,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
    )


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Yield the address of an empty database on ``server``; it is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()
