"""Recorded market data from files, as sorted columns.

Read are Parquet or CSV (also gzipped) files with one of two sets of columns:
best bid and offer ``local_ms, event_ms, bid, bid_qty, ask, ask_qty`` with its trades in the file
beside it whose name has ``_trades`` in place of ``_bbo`` (``local_ms, trade_ms, price, qty,
buyer_maker``); or one-second bars ``ts, open, high, low, close, volume``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from exchange_simulator.errors import RecordingError

__all__ = ["Recording", "load_recording"]

Floats: TypeAlias = NDArray[np.float64]
Micros: TypeAlias = NDArray[np.int64]

_BOOK = ("local_ms", "bid", "bid_qty", "ask", "ask_qty")
_TRADES = ("local_ms", "trade_ms", "price", "qty", "buyer_maker")
_BARS = ("ts", "open", "high", "low", "close", "volume")
_BAR_SPREAD = 0.01  # bars have no book: one cent around the close stands in


@dataclass(frozen=True)
class Recording:
    """Book and trades; ``*_seen`` is when the recorder had them, ``*_time`` what they say."""

    path: Path
    has_book: bool
    quote_seen: Micros
    quote_time: Micros
    quotes: Floats  # rows of bid, bid size, ask, ask size
    trade_seen: Micros
    trade_time: Micros
    prices: Floats
    sizes: Floats
    taker_buys: NDArray[np.bool_]


def load_recording(path: Path) -> Recording:
    """Read ``path`` and its trades.

    Raises `RecordingError` where a file is missing, unreadable or has no usable rows.
    """
    table = _read(path)
    if set(_BARS) <= set(table.column_names):
        return _from_bars(path, table)
    _require(path, table, _BOOK)
    sibling = path.with_name(path.name.replace("_bbo", "_trades"))
    if sibling == path:
        raise RecordingError(f"REPLAY_FILE {path}: name it *_bbo.*, with *_trades.* beside it")
    trades = _read(sibling)
    _require(sibling, trades, _TRADES)
    return _from_book(path, table, trades)


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise RecordingError(f"REPLAY_FILE {path}: no such file; give a Parquet or CSV recording")
    try:
        if ".parquet" in path.suffixes:
            return pyarrow.parquet.read_table(path)
        return pyarrow.csv.read_csv(path)
    except (pa.ArrowException, OSError) as error:
        raise RecordingError(f"REPLAY_FILE {path}: not readable: {error}") from error


def _require(path: Path, table: pa.Table, columns: tuple[str, ...]) -> None:
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise RecordingError(f"REPLAY_FILE {path}: columns missing: {', '.join(missing)}")
    if table.num_rows < 2:
        raise RecordingError(f"REPLAY_FILE {path}: needs two rows, has {table.num_rows}")


def _column(path: Path, table: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = table.column(name).to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "iufb" or not np.isfinite(values).all():
        raise RecordingError(f"REPLAY_FILE {path}: column {name} must be numbers without gaps")
    return values


def _micros(path: Path, table: pa.Table, name: str) -> Micros:
    return (_column(path, table, name).astype(np.float64) * 1000).astype(np.int64)


def _from_book(path: Path, book: pa.Table, trades: pa.Table) -> Recording:
    seen = _micros(path, book, "local_ms")
    stamped = "event_ms" in book.column_names and book.column("event_ms").null_count == 0
    time = _micros(path, book, "event_ms") if stamped else seen
    order = np.argsort(seen, kind="stable")
    trade_seen = _micros(path, trades, "local_ms")
    trade_order = np.argsort(trade_seen, kind="stable")
    columns = [_column(path, book, name) for name in _BOOK[1:]]
    return Recording(
        path=path,
        has_book=True,
        quote_seen=seen[order],
        quote_time=time[order],
        quotes=np.column_stack(columns).astype(np.float64)[order],
        trade_seen=trade_seen[trade_order],
        trade_time=_micros(path, trades, "trade_ms")[trade_order],
        prices=_column(path, trades, "price")[trade_order],
        sizes=_column(path, trades, "qty")[trade_order],
        taker_buys=~_column(path, trades, "buyer_maker")[trade_order].astype(bool),
    )


def _from_bars(path: Path, table: pa.Table) -> Recording:
    _require(path, table, _BARS)
    if not pa.types.is_timestamp(table.column("ts").type):
        raise RecordingError(f"REPLAY_FILE {path}: column ts must be time stamps")
    seen: Micros = (
        pc.cast(table.column("ts"), pa.timestamp("us", "UTC")).to_numpy().astype(np.int64)
    )
    order = np.argsort(seen, kind="stable")
    seen = seen[order]
    bars = {name: _column(path, table, name)[order].astype(np.float64) for name in _BARS[1:]}
    close, size = bars["close"], bars["volume"]
    bid = close - _BAR_SPREAD / 2
    return Recording(
        path=path,
        has_book=False,
        quote_seen=seen,
        quote_time=seen,
        quotes=np.column_stack([bid, size, bid + _BAR_SPREAD, size]),
        trade_seen=seen,
        trade_time=seen,
        prices=close,
        sizes=size,
        taker_buys=close >= bars["open"],
    )
