import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, inspect, select, text

from common.errors import PlatformError, SchemaTooNewError, StaleOffsetError, StoreFileError
from common.store import make_engine, upgrade_schema
from common.store.backup import back_up, inspect_backup, restore
from common.store.files import sqlite_url
from common.store.models import save_models
from common.store.rebuild import compare_bars
from common.store.schema import BARS, metadata, ticks
from common.store.writer import load_offsets, save_offset, save_predictions, save_ticks

from .test_store import make_prediction
from .test_store_bars import at
from .test_store_retention import ManualClock

CLOCK = ManualClock(3661)


def write(engine: Engine, seconds: range, expected: int) -> None:
    with engine.begin() as connection:
        save_ticks(connection, [at(second) for second in seconds])
        save_predictions(connection, [make_prediction()])
        save_offset(connection, "group", "topic", 0, seconds.stop, expected)


def content(engine: Engine) -> dict[str, Sequence[Any]]:
    with engine.connect() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key.columns)).all()
            for table in metadata.sorted_tables
        }


def rows_of(engine: Engine) -> dict[str, Sequence[Any]]:
    """Return the content but the offsets, which belong to an instance's own topics."""
    return {name: rows for name, rows in content(engine).items() if name != "consumer_offsets"}


def address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backups' %41?.sqlite3"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Engine]:
    """Yield the engine of a store that is not there yet."""
    engine = make_engine(f"sqlite:///{tmp_path}/other.sqlite3")
    yield engine
    engine.dispose()


def test_what_was_backed_up_comes_back_and_what_was_there_is_kept(
    engine: Engine, backup: Path, tmp_path: Path
) -> None:
    write(engine, range(100), 0)
    with engine.begin() as connection:
        save_models(connection, "simulated", ["1", "2"], "2", lambda version: f'{{"v": {version}}}')
    saved = content(engine)
    rows = back_up(address(engine), backup)
    counted = tuple(rows[name] for name in ("ticks", "predictions", "scores", "models"))
    assert counted == (100, 6, 1, 2)
    write(engine, range(100, 150), 100)
    later = content(engine)
    restored, kept = restore(address(engine), backup, CLOCK)
    assert restored == rows
    assert content(engine) == saved
    assert kept is not None
    if engine.dialect.name == "sqlite":
        aside = make_engine(f"sqlite:///{kept}")
        assert kept.endswith("store.sqlite3.replaced-20260101T010101Z")
        assert content(aside) == later
        aside.dispose()
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    else:
        with engine.connect() as connection:
            count = connection.scalar(text(f'SELECT count(*) FROM "{kept}".ticks'))
        assert (kept, count) == ("replaced_20260101t010101z", 150)
    assert upgrade_schema(engine)[0] is not None


def test_a_backup_of_either_database_can_be_restored_into_the_other(
    engine: Engine, backup: Path, other: Engine
) -> None:
    write(engine, range(60), 0)
    back_up(address(engine), backup)
    assert restore(address(other), backup, CLOCK)[1] is None
    assert rows_of(other) == rows_of(engine)
    write(other, range(60, 90), 0)
    back_up(address(other), backup)
    restore(address(engine), backup, CLOCK)
    assert rows_of(engine) == rows_of(other)


def test_offsets_never_go_beyond_what_was_reached_here(
    engine: Engine, backup: Path, other: Engine
) -> None:
    write(engine, range(100), 0)
    back_up(address(engine), backup)
    upgrade_schema(other)
    write(other, range(30), 0)
    restore(address(other), backup, CLOCK)
    with other.connect() as connection:
        assert load_offsets(connection, "group", "topic") == {0: 30}
    with pytest.raises(StaleOffsetError):
        write(other, range(100, 110), 100)
    write(other, range(30, 110), 30)  # what is read again changes nothing
    with other.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(ticks)) == 110
        assert list(compare_bars(connection)) == []


def test_a_backup_tells_what_it_holds(engine: Engine, backup: Path) -> None:
    write(engine, range(100), 0)
    rows = back_up(address(engine), backup)
    found = inspect_backup(backup)
    assert found["rows"] == rows
    assert found["schema"] == upgrade_schema(engine)[1]
    assert found["newest_tick"].startswith("2026-01-01T00:01:39")


def test_a_backup_is_one_file_of_one_instant_however_busy_the_writer(
    engine: Engine, backup: Path
) -> None:
    write(engine, range(10), 0)
    stop, written = threading.Event(), [10]

    def keep_writing() -> None:
        while not stop.is_set():
            write(engine, range(written[0], written[0] + 10), written[0])
            written[0] += 10

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(3):
            rows = back_up(address(engine), backup)
            assert {path.name for path in backup.parent.iterdir()} <= {
                backup.name,
                *(f"store.sqlite3{end}" for end in ("", "-wal", "-shm")),
            }
            taken = make_engine(sqlite_url(backup), read_only=True)
            with taken.connect() as connection:
                assert list(compare_bars(connection)) == []
                assert load_offsets(connection, "group", "topic") == {0: rows["ticks"]}
            taken.dispose()
    finally:
        stop.set()
        writer.join()
    assert rows["ticks"] <= written[0]


def test_those_who_have_the_store_open_go_on_with_what_was_restored(
    engine: Engine, backup: Path
) -> None:
    write(engine, range(100), 0)
    back_up(address(engine), backup)
    write(engine, range(100, 200), 100)
    with engine.connect() as open_reader:
        count = select(func.count()).select_from(ticks)
        assert open_reader.scalar(count) == 200
        open_reader.rollback()
        restore(address(engine), backup, CLOCK)
        assert open_reader.scalar(count) == 100
        open_reader.rollback()
    with pytest.raises(StaleOffsetError):
        write(engine, range(200, 300), 200)
    write(engine, range(100, 300), 100)
    with engine.connect() as connection:
        assert connection.scalar(count) == 300
        assert list(compare_bars(connection)) == []


def test_a_backup_of_an_older_schema_is_brought_forward(engine: Engine, backup: Path) -> None:
    write(engine, range(0, 7200, 30), 0)
    saved = content(engine)
    back_up(address(engine), backup)
    with closing(sqlite3.connect(backup)) as connection:
        for name in inspect(engine).get_table_names():
            if name.startswith(("bars_", "imported_")) or name == "models":
                connection.execute(f"DROP TABLE {name}")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    restore(address(engine), backup, CLOCK)
    assert content(engine) == saved
    assert saved[BARS[1_000_000].name]


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 6] = b"\xaa" * 4096 * 4
    path.write_bytes(data)


def make_newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


def make_foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (damage, StoreFileError, "damaged"),
        (make_newer, SchemaTooNewError, "schema 9999, unknown to this version"),
        (make_foreign, StoreFileError, "no backup of a store"),
        (lambda path: path.write_text("hello " * 999), StoreFileError, "no backup of a store"),
        (lambda path: path.unlink(), StoreFileError, "no such file"),
    ],
)
def test_what_cannot_be_restored_is_refused_and_changes_nothing(
    engine: Engine,
    backup: Path,
    spoil: Any,
    error: type[PlatformError],
    message: str,
) -> None:
    write(engine, range(0, 9_000, 20), 0)
    back_up(address(engine), backup)
    spoil(backup)
    before = content(engine), sorted(path.name for path in backup.parent.iterdir())
    with pytest.raises(error, match=message):
        inspect_backup(backup)
    with pytest.raises(error, match=message):
        restore(address(engine), backup, CLOCK)
    assert (content(engine), sorted(path.name for path in backup.parent.iterdir())) == before


def test_a_damaged_store_is_moved_aside_and_replaced(tmp_path: Path, backup: Path) -> None:
    path = tmp_path / "store.sqlite3"
    url = f"sqlite:///{path}"
    engine = make_engine(url)
    upgrade_schema(engine)
    write(engine, range(0, 9_000, 20), 0)
    saved = content(engine)
    engine.dispose()
    back_up(url, backup)
    damage(path)
    with pytest.raises(StoreFileError, match=r"malformed|damaged"):
        back_up(url, tmp_path / "second")
    assert not (tmp_path / "second").exists()
    kept = restore(url, backup, CLOCK)[1]
    assert kept is not None
    assert Path(kept).exists()
    assert content(engine) == saved
    engine.dispose()


def test_a_backup_needs_a_store_of_this_version_and_a_folder_to_write_to(
    engine: Engine, backup: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoreFileError, match=r"nowhere\.sqlite3: no such file"):
        back_up(f"sqlite:///{tmp_path}/nowhere.sqlite3", backup)
    with pytest.raises(StoreFileError, match="cannot write"):
        back_up(address(engine), tmp_path / "nowhere" / "file")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(StoreFileError, match="upgrade it first"):
        back_up(address(engine), backup)
    assert not backup.exists()
