import csv
import io
import json
import resource
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import SQLAlchemyError

from common.store.__main__ import main
from common.store.export import csv_lines, export_file
from common.store.parquet import write_rows
from common.store.schema import imported_bars, imported_metrics, imported_predictions
from common.store.selection import EXPORTED, Selection
from common.store.writer import save_predictions, save_ticks

from .test_store import make_prediction
from .test_store_bars import BASE, at


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        live = [at(n, f"{100 + n}.50") for n in range(100)]
        save_ticks(connection, [*live, at(5, "7", feed="replay")])
        save_predictions(connection, [make_prediction()])
        for table in (imported_bars, imported_predictions, imported_metrics):
            row = {column.name: 1.25 for column in table.c if not column.primary_key}
            key = {"feed": "simulated", "symbol": "BTC-USD", "start": BASE}
            connection.execute(insert(table).values(row | key))
    return engine


def address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_range_of_one_series_as_csv(filled: Engine, tmp_path: Path) -> None:
    selection = Selection("ticks", BASE + 10**6, BASE + 4 * 10**6, "live", "BTC-USD")
    assert export_file(filled, selection, "csv", tmp_path / "out") == 3
    rows = read_csv(tmp_path / "out")
    assert [row["price"] for row in rows] == ["101.50", "102.50", "103.50"]
    assert rows[0]["event_time"] == "2026-01-01T00:00:01.000000Z"
    assert (rows[0]["bid"], rows[0]["feed"]) == ("", "live")


def test_csv_and_parquet_hold_the_same_of_every_table(filled: Engine, tmp_path: Path) -> None:
    for name in EXPORTED:
        count = export_file(filled, Selection(name), "csv", tmp_path / "csv")
        assert export_file(filled, Selection(name), "parquet", tmp_path / "parquet") == count
        plain, typed = read_csv(tmp_path / "csv"), pq.read_table(tmp_path / "parquet").to_pylist()
        assert len(plain) == len(typed) == count > 0
        for one, other in zip(plain, typed, strict=True):
            assert list(one) == list(other)
            assert one == {column: show(value) for column, value in other.items()}


def show(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if hasattr(value, "tzinfo") else str(value)


def test_the_lines_come_in_batches(filled: Engine) -> None:
    with filled.connect() as connection:
        head, *batches = csv_lines(connection, Selection("bars_1m"))
    assert head.startswith("feed,symbol,start,first_us,")
    assert "".join(batches).count("\n") == 3


def test_a_disk_that_is_full_is_one_message_and_no_file(
    filled: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", address(filled), str(tmp_path / "out"), "--format", "parquet"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        assert main(arguments) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = capsys.readouterr().err
    assert message == f"cannot write {tmp_path / 'out'}: File too large\n"
    assert not list(tmp_path.glob("*out*"))


def test_rows_that_cannot_be_read_end_the_file(filled: Engine) -> None:
    with filled.connect() as connection:
        connection.execute(text("ALTER TABLE bars_1s RENAME COLUMN open TO opened"))
        with pytest.raises(SQLAlchemyError, match="open"):
            write_rows(connection, Selection("bars_1s"), io.BytesIO())
        connection.rollback()


def test_the_commands(filled: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url, file, out = address(filled), str(tmp_path / "file"), str(tmp_path / "out")

    def run(*arguments: str) -> dict[str, Any]:
        assert main(list(arguments)) == 0
        answer = json.loads(capsys.readouterr().out)
        assert isinstance(answer, dict)
        return answer

    assert run("upgrade", url)["changed"] is False
    assert run("check", url)["now"] == run("check", url)["before"]
    assert run("backup", url, file)["rows"]["ticks"] == 101
    assert run("restore", url, file)["kept"]
    assert run("verify", url) == {"failed": False, "wrong": 0, "first": []}
    times = ["--from", "2026-01-01T00:00:10", "--to", "2026-01-01T01:00:20+01:00"]
    assert run("export", url, out, *times, "--feed", "live")["rows"] == 10
    with filled.begin() as connection:
        connection.execute(text("UPDATE bars_1h SET high = 1"))
    assert main(["verify", url]) == 1
    assert json.loads(capsys.readouterr().out)["wrong"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["backup", "sqlite:////nowhere/s", "f"], 1, "/nowhere/s: no such file"),
        (["export", "sqlite:////nowhere/s", "f"], 1, "/nowhere/s: no such file"),
        (["restore", "sqlite:////nowhere/s", "/nowhere/f"], 1, "/nowhere/f: no such file"),
        (["verify", "store.sqlite3"], 2, "for example sqlite:////path/to/file"),
        (["backup", "postgresql://x@127.0.0.1:1/x", "f"], 1, "cannot be read: connection failed"),
    ],
)
def test_a_wrong_argument_is_one_message(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert message in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["explode", "sqlite://"], "invalid choice: 'explode'"),
        (["export", "sqlite://", "f", "--from", "noon"], "'noon' is no time; for example"),
        (["export", "sqlite://", "f", "--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err
