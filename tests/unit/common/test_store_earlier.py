import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from common.errors import StoreFileError
from common.store.__main__ import main
from common.store.earlier import ImportedFile, import_earlier
from common.store.rebuild import compare_bars
from common.store.schema import BARS, imported_bars, imported_metrics, imported_predictions
from common.store.writer import save_ticks

from .test_store_bars import BASE, at, stored_bars
from .test_store_retention import ManualClock

SECOND, MINUTE, HOUR = BARS
CLOCK = ManualClock(86_400)
RAW = "raw/instant_data.csv"
PREDICTIONS = "predictions/instant_predictions.csv"
METRICS = "predictions/instant_metrics.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        RAW: "timestamp,open,high,low,close,volume\n"
        "2026-01-01T00:00:00,100,103,99,101,17000.5\n"
        "2026-01-01T00:00:01,101,102,100,100.5,17000.6\n"
        "2026-01-01T00:00:01,101,102,100,100.5,17000.6\n"
        "2026-01-01T00:01:30,90,95,90,95,17000.7\n",
        PREDICTIONS: "timestamp,pred_price,pred_lower,pred_upper\n2026-01-01T00:00:00,100,99,101\n",
        METRICS: "timestamp,std,mae,rmse,actual_error\n2026-01-01T00:00:00,1.5,2,3,-4\n",
    }.items():
        (tmp_path / "old" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "old" / name).write_text(text)
    return tmp_path / "old"


def summary(found: dict[str, ImportedFile]) -> dict[str, tuple[int, int, int]]:
    return {path: (one.new, one.known, len(one.refused)) for path, one in found.items()}


def rows(engine: Engine, table: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(table))]


def test_all_three_files_come_in_once(engine: Engine, folder: Path) -> None:
    found, kept = import_earlier(engine, folder, CLOCK)
    assert kept
    assert summary(found) == {RAW: (3, 1, 0), PREDICTIONS: (1, 0, 0), METRICS: (1, 0, 0)}
    before = [stored_bars(engine, width) for width in BARS]
    again, kept = import_earlier(engine, folder, CLOCK)
    assert (kept, summary(again)[RAW]) == (True, (0, 4, 0))
    assert [stored_bars(engine, width) for width in BARS] == before
    key = ("live", "BTC-USD", BASE)
    assert rows(engine, imported_predictions) == [(*key, 100.0, 99.0, 101.0)]
    assert rows(engine, imported_metrics) == [(*key, 1.5, 2.0, 3.0, -4.0)]


def test_the_prices_make_bars_that_claim_neither_ticks_nor_volume(
    engine: Engine, folder: Path
) -> None:
    import_earlier(engine, folder, CLOCK, "replay", "ETH-USD")
    (hour,) = stored_bars(engine, HOUR)
    assert (hour["feed"], hour["symbol"], hour["ticks"], hour["news"]) == (
        "replay",
        "ETH-USD",
        0,
        0,
    )
    assert [hour[name] for name in ("open", "high", "low", "close")] == [100, 103, 90, 95]
    assert (hour["volume"], hour["buy_volume"]) == (None, None)
    assert [bar["start"] - BASE for bar in stored_bars(engine, MINUTE)] == [0, MINUTE]


def test_our_own_ticks_take_precedence_and_late_ones_add_to_what_was_imported(
    engine: Engine, folder: Path
) -> None:
    with engine.begin() as connection:
        save_ticks(connection, [at(0.5, "50"), at(3000)])
    found, _ = import_earlier(engine, folder, CLOCK)
    assert summary(found)[RAW] == (2, 2, 0)
    with engine.begin() as connection:
        save_ticks(connection, [at(1.5, "500")])
    first, second, *_ = stored_bars(engine, SECOND)
    assert (first["high"], first["ticks"]) == (50, 1)
    assert (second["open"], second["high"], second["close"]) == (101, 500, 100.5)
    with engine.connect() as connection:
        assert list(compare_bars(connection)) == []
    assert import_earlier(engine, folder, CLOCK)[1]


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        (RAW, "noon,1,1,1,1,1", "timestamp 'noon' is no time"),
        (RAW, "2027-01-01T00:00:00,1,1,1,1,1", "lies in the future"),
        (RAW, "2026-01-01T00:09:00,1,1,1,,1", "close '' is no number"),
        (RAW, "2026-01-01T00:09:00,1,1,1", "close None is no number"),
        (RAW, "2026-01-01T00:09:00,1,1,nan,1,1", "low nan is not finite"),
        (RAW, "2026-01-01T00:09:00,1,1,1,1,-1", "the volume is negative"),
        (RAW, "2026-01-01T00:09:00,2,1,1,1,1", "open or close lies outside"),
        (RAW, "2026-01-01T00:09:00,1,1,-1,1,1", "a price is not positive"),
        (RAW, "2026-01-01T00:00:00,100,104,99,101,17000.5", "other values has the same second"),
        (PREDICTIONS, "2026-01-01T00:09:00,1,2,3", "pred_price lies outside"),
        (METRICS, "2026-01-01T00:09:00,1,-1,1,1", "mae is negative"),
    ],
)
def test_one_refused_line_and_nothing_is_imported(
    engine: Engine, folder: Path, name: str, line: str, reason: str
) -> None:
    path = folder / name
    path.write_text(path.read_text() + line + "\n")
    number = path.read_text().count("\n")
    found, kept = import_earlier(engine, folder, CLOCK)
    ((found_number, found_reason),) = found[name].refused
    assert (kept, found_number) == (False, number)
    assert reason in found_reason
    for table in (imported_bars, imported_predictions, imported_metrics, *BARS.values()):
        assert rows(engine, table) == []
    found, kept = import_earlier(engine, folder, CLOCK, skip_refused=True)
    assert (kept, summary(found)[RAW][0]) == (True, 3)
    with engine.connect() as connection:
        assert list(compare_bars(connection)) == []


def test_checking_writes_nothing_and_tells_what_an_import_would_do(
    engine: Engine, folder: Path
) -> None:
    path = folder / RAW
    lines = [f"2026-01-01T01:{n // 60:02}:{n % 60:02},5,5,5,5,1\n" for n in range(1_200)]
    path.write_text(path.read_text() + "".join(lines) + lines[0])
    with engine.begin() as connection:
        save_ticks(connection, [at(1)])
    checked, kept = import_earlier(engine, folder, CLOCK, "live", only_check=True)
    assert kept
    assert rows(engine, imported_bars) == []
    found, _ = import_earlier(engine, folder, CLOCK, "live")
    assert summary(checked) == summary(found)
    assert summary(found)[RAW] == (1_202, 3, 0)
    again, _ = import_earlier(engine, folder, CLOCK, "live", only_check=True)
    assert summary(again)[RAW] == (0, 1_205, 0)
    path.write_text(path.read_text() + lines[0].replace(",5,1", ",5,2"))
    again, kept = import_earlier(engine, folder, CLOCK, "live", only_check=True)
    assert (kept, summary(again)[RAW]) == (False, (0, 1_205, 1))


def test_a_folder_without_files_and_a_file_without_columns_are_refused(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoreFileError, match=r"none of raw/instant_data\.csv, .* is there"):
        import_earlier(engine, tmp_path, CLOCK)
    (folder / METRICS).write_text("timestamp,std\n")
    with pytest.raises(StoreFileError, match="column actual_error, mae, rmse is missing"):
        import_earlier(engine, folder, CLOCK)
    (folder / METRICS).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreFileError, match="cannot be read"):
        import_earlier(engine, folder, CLOCK)
    assert rows(engine, imported_bars) == []


def test_the_command(engine: Engine, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = engine.url.render_as_string(hide_password=False)
    for name in (RAW, PREDICTIONS, METRICS):  # in the past on every machine
        (folder / name).write_text((folder / name).read_text().replace("2026", "2020"))
    assert main(["import", url, str(folder), "--check"]) == 0
    assert json.loads(capsys.readouterr().out)["imported"] is False
    assert main(["import", url, str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)["files"][RAW]["new"] == 3
    with (folder / RAW).open("a") as file:
        file.write("x,1,1,1,1,1\n")
    assert main(["import", url, str(folder)]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["files"][RAW]["first"] == ["line 6: timestamp 'x' is no time"]
    with pytest.raises(SystemExit, match="2"):
        main(["import", url, str(folder), "--symbol", "btc"])
    assert "'btc' is no symbol; for example BTC-USD" in capsys.readouterr().err
