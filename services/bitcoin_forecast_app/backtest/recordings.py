"""Recordings as observations on a grid: best bid/offer events or bars, Parquet or CSV."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from bitcoin_forecast_app.distribution import Array
from bitcoin_forecast_app.errors import RecordingError
from bitcoin_forecast_app.observation import SECOND_US, Observation

__all__ = ["Recording", "find_recordings", "read_recording"]

_SUFFIXES: Final = (".parquet", ".csv", ".csv.gz", ".zip")
_BOOK: Final = ("bid", "bid_qty", "ask", "ask_qty")
_EVENT_TIMES: Final = ("local_ms", "event_ms")  # by our clock, or where it is not told the venue's
_TRADE_TIMES: Final = ("local_ms", "trade_ms")
_TRADES: Final = ("qty", "buyer_maker")
_TIME_NAMES: Final = ("ts", "timestamp", "time")
_LONGEST_S: Final = 400 * 86_400  # a recording that spans more has a wrong time in it
_HOLD_S: Final = 300  # a price is held over so many seconds without a bar; beyond that is a gap
_LEAN_DAY: Final = re.compile(r"(\d{8})_\w+_minute_(trade|quote)\.csv$")


@dataclass(frozen=True)
class Recording:
    """One data set; ``step_s`` is the grid's. Others of the same ``group`` may teach it."""

    name: str
    group: str
    step_s: int
    observations: list[Observation]


def find_recordings(data: Path) -> list[Path]:
    """Return the recordings in a directory and below, or the file itself; trades go with books.

    Raises `RecordingError` where there is none.
    """
    if not data.exists():
        raise RecordingError(f"{data} does not exist; give a recording or a directory of them")
    files = [data] if data.is_file() else sorted(p for p in data.rglob("*") if p.is_file())
    found = [
        path
        for path in files
        if path.name.endswith(_SUFFIXES) and not _stem(path).endswith("_trades")
    ]
    if not found:
        raise RecordingError(f"no recording in {data}: none ends in {', '.join(_SUFFIXES)}")
    return found


def read_recording(path: Path) -> Recording:
    """Return one recording on its grid.

    Raises `RecordingError` that says what is wrong with the file.
    """
    try:
        if path.name.endswith(".zip"):
            return _lean(path)
        table = _table(path)
        names = set(table.column_names)
        if names.issuperset(_BOOK) and names.intersection(_EVENT_TIMES):
            return _book(path, table)
        if "close" in names and names.intersection(_TIME_NAMES):
            return _bars(path, table)
    except (OSError, BadZipFile, pa.ArrowException, ValueError, TypeError, IndexError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error
    raise RecordingError(
        f"{path}: columns {', '.join(table.column_names)} are neither those of best bid/offer "
        f"events (local_ms, {', '.join(_BOOK)}) nor of bars (ts, close)"
    )


def _stem(path: Path) -> str:
    """Return the name without the endings that say how it is written."""
    name = path.name
    for suffix in (".gz", ".csv", ".parquet", ".zip"):
        name = name.removesuffix(suffix)
    return name


def _table(path: Path) -> Any:
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path)
    return pyarrow.csv.read_csv(pa.input_stream(str(path), compression="detect"))


def _numbers(table: Any, name: str) -> Array:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)


def _book(path: Path, table: Any) -> Recording:
    """Best bid/offer events by our clock; at each second the newest is in force."""
    local_ms = _numbers(table, _first(_EVENT_TIMES, table))
    order = np.argsort(local_ms, kind="stable")
    local_ms = local_ms[order]
    bid, bid_size, ask, ask_size = (_numbers(table, name)[order] for name in _BOOK)
    sound = (bid > 0) & (ask >= bid) & np.isfinite(ask) & np.isfinite(local_ms)
    if not sound.any():
        raise RecordingError(f"{path}: no event has a bid and an ask")
    local_ms, bid, bid_size, ask, ask_size = (
        column[sound] for column in (local_ms, bid, bid_size, ask, ask_size)
    )
    _check_span(path, local_ms[0] / 1e3, local_ms[-1] / 1e3)
    seconds = np.arange(np.ceil(local_ms[0] / 1e3), np.floor(local_ms[-1] / 1e3) + 1)
    newest = np.searchsorted(local_ms, seconds * 1e3, side="right") - 1
    fresh = seconds * 1e3 - local_ms[newest] <= _HOLD_S * 1e3
    bought, sold = _flow(path, seconds)
    rows = zip(seconds, newest, bought, sold, fresh, strict=True)
    observations = [
        Observation(
            time_us=int(second) * SECOND_US,
            venue="recorded",
            mid=float(bid[i] + ask[i]) / 2,
            bid=float(bid[i]),
            bid_size=float(bid_size[i]),
            ask=float(ask[i]),
            ask_size=float(ask_size[i]),
            buy_volume=float(buys),
            sell_volume=float(sells),
        )
        for second, i, buys, sells, known in rows
        if known
    ]
    return Recording(_stem(path).removesuffix("_bbo"), str(path.parent), 1, observations)


def _first(names: tuple[str, ...], table: Any) -> str:
    return next(name for name in names if name in table.column_names)


def _check_span(path: Path, start_s: float, end_s: float) -> None:
    if end_s - start_s > _LONGEST_S:
        days = (end_s - start_s) / 86_400
        raise RecordingError(
            f"{path}: its times span {days:.0f} days, so one of them is wrong "
            f"(seconds since 1970: {start_s:.0f} to {end_s:.0f})"
        )


def _flow(path: Path, seconds: Array) -> tuple[Array, Array]:
    """Return what takers bought and sold in the second before each; NaN without a trades file."""
    trades = path.with_name(path.name.replace("_bbo.", "_trades."))
    unknown = np.full(len(seconds), np.nan)
    if trades == path or not trades.exists():
        return unknown, unknown
    table = _table(trades)
    names = set(table.column_names)
    if not (names.issuperset(_TRADES) and names.intersection(_TRADE_TIMES)):
        return unknown, unknown
    local_ms = _numbers(table, _first(_TRADE_TIMES, table))
    order = np.argsort(local_ms, kind="stable")
    size = _numbers(table, "qty")[order]
    taker_sold = np.asarray(table["buyer_maker"].to_numpy(zero_copy_only=False), dtype=bool)[order]
    upto = np.searchsorted(local_ms[order], seconds * 1e3, side="right")
    flows = []
    for side in (~taker_sold, taker_sold):
        total = np.concatenate([[0.0], np.cumsum(size * side)])[upto]
        flows.append(np.diff(total, prepend=total[:1]))
    return flows[0], flows[1]


def _bars(path: Path, table: Any) -> Recording:
    table = table.filter(pc.is_valid(table[_first(_TIME_NAMES, table)]))
    times = _seconds(table[_first(_TIME_NAMES, table)])
    order = np.argsort(times, kind="stable")
    return _on_grid(_stem(path), path, times[order], _numbers(table, "close")[order])


def _seconds(column: Any) -> NDArray[np.int64]:
    """Return seconds since 1970 of moments as text, as timestamps or as numbers in any unit."""
    if pa.types.is_string(column.type):
        column = pc.cast(column, pa.timestamp("ms", tz="UTC"))
    if pa.types.is_timestamp(column.type):
        moments = np.asarray(pc.cast(column, pa.timestamp("ms", tz=column.type.tz)).to_numpy())
        return moments.astype("datetime64[s]").astype(np.int64)
    times = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)
    while len(times) and np.median(times) > 10**11:  # milli-, micro-, nanoseconds
        times = times // 1000
    return times


def _on_grid(name: str, path: Path, times: NDArray[np.int64], close: Array) -> Recording:
    """Hold each close until the next bar; the grid is the commonest spacing if it is coarse."""
    sound = np.isfinite(close) & (close > 0)
    times, close = times[sound], close[sound]
    if len(times) < 2:
        raise RecordingError(f"{path}: fewer than two bars with a price")
    _check_span(path, float(times[0]), float(times[-1]))
    spacing = np.diff(times)
    step_s = 60 if np.median(spacing) >= 60 and (times % 60 == times[0] % 60).all() else 1
    grid = np.arange(times[0], times[-1] + 1, step_s)
    newest = np.searchsorted(times, grid, side="right") - 1
    fresh = grid - times[newest] <= _HOLD_S
    observations = [
        Observation(int(second) * SECOND_US, "recorded", float(close[i]))
        for second, i in zip(grid[fresh], newest[fresh], strict=True)
    ]
    return Recording(name, f"{path.parent}/{step_s}s", step_s, observations)


def _lean(path: Path) -> Recording:
    """LEAN's zipped minutes: milliseconds since midnight, then OHLCV or bid and ask OHLC, size."""
    with ZipFile(path) as archive:
        inner = archive.namelist()[0]
        content = archive.read(inner)
    match = _LEAN_DAY.search(inner)
    if match is None:
        raise RecordingError(f"{path}: {inner} is no file of minutes by day")
    day = datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC)
    rows = [row.split(b",") for row in content.splitlines()]
    times = np.array([int(row[0]) // 1000 for row in rows]) + int(day.timestamp())
    if match[2] == "trade":
        close = np.array([float(row[4]) for row in rows])
    else:
        close = np.array([_middle(row) for row in rows])
    # A bar is known when its minute has ended.
    return _on_grid(_stem(path), path, times + 60, close)


def _middle(row: list[bytes]) -> float:
    bid, ask = row[4], row[9]
    return (float(bid) + float(ask)) / 2 if bid and ask else float("nan")
