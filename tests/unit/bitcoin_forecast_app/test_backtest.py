"""The forecaster over whole series: it learns what is there, and nothing that is not."""

import gzip
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.unit.bitcoin_forecast_app.synthetic import REAL_DATA, market, with_moves

from bitcoin_forecast_app.backtest.__main__ import main
from bitcoin_forecast_app.backtest.recordings import find_recordings, read_recording
from bitcoin_forecast_app.errors import RecordingError
from bitcoin_forecast_app.evaluation import crps_ratio, replay
from bitcoin_forecast_app.forecaster import Forecaster
from bitcoin_forecast_app.observation import Observation


def r_squared_of_the_mean(series: list[Observation]) -> float:
    squared = naive = 0.0
    for _, settled in replay(Forecaster(), series):
        for item in settled:
            reference = item.issue.observation.mid
            if item.index == 0 and item.issue.observation.time_us > series[500].time_us:
                squared += (item.actual - item.issue.mean[0]) ** 2
                naive += (item.actual - reference) ** 2
    return 1 - squared / naive


def test_it_learns_the_book_s_edge_and_loses_it_when_the_future_is_shuffled() -> None:
    series = market(2_500)
    moves = np.diff(np.array([o.mid for o in series]))
    assert r_squared_of_the_mean(series) > 0.04
    rng = np.random.default_rng(1)
    # Each move keeps its size and place, so volatility stays; its side no longer knows the book.
    flipped = with_moves(series, moves * rng.choice([-1, 1], len(moves)))
    assert r_squared_of_the_mean(flipped) < 0.01


def test_with_moves_that_are_plain_noise_nothing_beats_the_baseline() -> None:
    rng = np.random.default_rng(2)
    series = market(2_500)
    noise = with_moves(series, 1.5 * rng.standard_t(4, len(series) - 1))
    real = crps_ratio(None, series[:500], series[500:])["by_horizon"]["1"]
    shuffled = crps_ratio(None, noise[:500], noise[500:])["by_horizon"]["1"]
    assert real < 0.93
    assert shuffled == pytest.approx(1.0, abs=0.02)


def test_the_same_forecasts_come_again() -> None:
    series = market(300)

    def quantiles() -> list[np.ndarray]:
        forecaster = Forecaster()
        return [
            (forecaster.observe(o), forecaster.forecast(o.time_us).quantiles)[1] for o in series
        ]

    assert all(np.array_equal(a, b) for a, b in zip(quantiles(), quantiles(), strict=True))


def test_a_forecast_knows_nothing_of_what_follows() -> None:
    series, other = market(400, seed=1), market(400, seed=2)
    changed = series[:300] + other[300:]
    runs = []
    for data in (series, changed):
        issues = []
        forecaster = Forecaster()
        for observation in data[:300]:
            forecaster.observe(observation)
            issue = forecaster.forecast(observation.time_us)
            forecaster.await_outcomes(issue)
            issues.append(issue.quantiles)
        runs.append(issues)
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))


def write_bars(path: Path, seconds: int) -> None:
    lines = ["ts,open,high,low,close,volume"]
    lines += [
        f"2016-10-07 00:{s // 60:02d}:{s % 60:02d}+00:00,1,1,1,{600 + s % 7 / 10},1"
        for s in range(0, seconds, 3)
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def test_the_command_prints_a_table_and_writes_json_and_html(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_bars(data / "bars.csv.gz", 900)
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    arguments = ["--data", str(data), "--horizons", "1", "10", "--no-train"]
    assert main([*arguments, "--json", str(out), "--report", str(page)]) == 0
    table = capsys.readouterr().out
    assert "MASE" in table
    assert "pooled" in table
    document = msgspec.json.decode(out.read_bytes())
    one = document["data"]["bars"]["horizons"]["1"]
    assert one["n"] == 897
    assert one["zero_moves"] == pytest.approx(2 / 3, abs=0.01)
    assert sum(one["pit"]) == pytest.approx(1.0, abs=1e-3)
    assert set(document["pooled"]) == {"1", "10"}
    assert page.read_text().count("<svg") == 2
    first = out.read_bytes()
    assert main([*arguments, "--json", str(out)]) == 0
    assert out.read_bytes() == first


def test_what_cannot_be_read_is_said_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path / "nowhere")]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err
    assert main(["--data", str(tmp_path)]) == 1
    assert "no recording in" in capsys.readouterr().err
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert main(["--data", str(tmp_path)]) == 1
    assert "columns a, b are neither" in capsys.readouterr().err
    (tmp_path / "y.parquet").write_bytes(b"no parquet")
    with pytest.raises(RecordingError, match=r"y\.parquet: cannot be read"):
        read_recording(tmp_path / "y.parquet")


BOOK = "local_ms,bid,bid_qty,ask,ask_qty"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_books_are_read_whatever_else_is_in_them_and_in_any_order(tmp_path: Path) -> None:
    rows = [f"{1_700_000_000_000 + 400 * n},9,{100 + n % 3},2,{101 + n % 3},1,x" for n in range(60)]
    rows[7] = rows[7].replace(",9,101", ",9,nan")
    rows[9] = rows[9].replace(",101,1,x", ",inf,1,x")
    head = "event_ms,depth,bid,bid_qty,ask,ask_qty,note"
    recording = read_recording(write(tmp_path / "x_bbo.csv", head, *reversed(rows)))
    assert recording.name == "x"
    assert [o.time_us // 10**6 for o in recording.observations[:3]] == [
        1_700_000_000,
        1_700_000_001,
        1_700_000_002,
    ]
    assert all(np.isfinite(o.mid) for o in recording.observations)
    assert np.isnan(recording.observations[0].buy_volume)


def test_trades_beside_a_compressed_book_are_its_flow_and_no_recording(tmp_path: Path) -> None:
    start = 1_700_000_000_000
    rows = [f"{start + 1000 * n},100,2,101,1" for n in range(9)]
    book = tmp_path / "x_bbo.csv.gz"
    book.write_bytes(gzip.compress("\n".join([BOOK, *rows]).encode()))
    trades = f"local_ms,qty,buyer_maker\n{start + 500},3,false\n{start + 600},2,true\n"
    (tmp_path / "x_trades.csv.gz").write_bytes(gzip.compress(trades.encode()))
    assert find_recordings(tmp_path) == [book]
    second = read_recording(book).observations[1]
    assert (second.buy_volume, second.sell_volume) == (3.0, 2.0)


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_bars_have_their_time_in_any_unit(tmp_path: Path, unit: int) -> None:
    rows = [f"{(1_700_000_000 + n) * unit},{100 + n}" for n in range(5)]
    bars = read_recording(write(tmp_path / "x.csv", "time,close", *rows)).observations
    assert [(o.time_us // 10**6, o.mid) for o in bars] == [
        (1_700_000_000 + n, 100.0 + n) for n in range(5)
    ]


def test_no_outcome_reaches_across_a_gap_in_a_recording(tmp_path: Path) -> None:
    start = 1_700_000_000
    rows = [f"{start + n},{100 + n % 2}" for n in range(100)]
    rows += [f"{start + 5_000 + n},{200 + n % 2}" for n in range(100)]
    recording = read_recording(write(tmp_path / "x.csv", "time,close", *rows))
    forecaster = Forecaster()
    moves = [
        abs(item.actual - item.issue.observation.mid)
        for _, settled in replay(forecaster, recording.observations)
        for item in settled
    ]
    assert max(moves) <= 1.0
    assert forecaster.settlement.unscored["gap"] > 100


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([BOOK], "no event has a bid and an ask"),
        ([BOOK, "1700000000000,100,1,99,1"], "no event has a bid and an ask"),
        ([BOOK, "1700000000000,a,1,99,1"], "cannot be read"),
        ([BOOK, "0,100,1,101,1", "1700000000000,100,1,101,1"], "one of them is wrong"),
        (["time,close"], "fewer than two bars"),
        (["time,close", "yesterday,5", "today,6"], "cannot be read"),
        ([""], "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], words: str
) -> None:
    path = write(tmp_path / "x.csv", *lines)
    assert main(["--data", str(path), "--no-train"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{path}: ")
    assert words in said


def test_in_a_folder_what_is_no_recording_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "notes.csv", "a,b", "1,2")
    write(tmp_path / "bars.csv", "time,close", *(f"{1_700_000_000 + n},100" for n in range(40)))
    assert main(["--data", str(tmp_path), "--no-train", "--horizons", "1"]) == 0
    out = capsys.readouterr()
    assert "notes.csv: columns a, b are neither" in out.err
    assert "bars" in out.out


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no recordings in {REAL_DATA.name}")
def test_real_recordings_are_read_as_they_are() -> None:
    paths = find_recordings(REAL_DATA)
    assert [p.name for p in paths] == sorted(p.name for p in REAL_DATA.glob("*_bbo.parquet"))
    recording = read_recording(next(p for p in paths if p.name.startswith("spot")))
    assert len(recording.observations) == 414
    assert recording.step_s == 1
    first = recording.observations[0]
    assert first.bid < first.mid < first.ask
    assert sum(o.buy_volume for o in recording.observations) > 0


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no recordings in {REAL_DATA.name}")
def test_on_real_data_the_online_experts_beat_the_baseline_at_one_second() -> None:
    recording = read_recording(REAL_DATA / "usdm_20230404_05_bbo.parquet").observations
    score = crps_ratio(None, recording[:60], recording[60:])["by_horizon"]
    assert score["1"] < 0.9
    assert max(score.values()) < 1.02
