"""The earlier system's CSV files, read line by line. No database here."""

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Table

from common.clock import to_micros
from common.errors import StoreFileError
from common.store.schema import imported_bars, imported_metrics, imported_predictions

__all__ = ["FILES", "EarlierFile", "Line", "RefusedLine", "read_lines"]

_SECOND_US = 1_000_000
Values = dict[str, float]


class Line(NamedTuple):
    """A valid line: its number in the file, the second it is of, and its values by column."""

    number: int
    start: int
    values: Values


class RefusedLine(NamedTuple):
    """A line that cannot be what it should be, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class EarlierFile:
    """One of the files, the table it goes to, and what its values must fulfil."""

    path: str
    table: Table
    fault: Callable[[Values], str | None]

    @property
    def columns(self) -> list[str]:
        """Return the columns besides the time."""
        return [column.name for column in self.table.columns if not column.primary_key]


def _bar_fault(values: Values) -> str | None:
    prices = [values[name] for name in ("open", "high", "low", "close")]
    if min(prices) <= 0:
        return "a price is not positive"
    if values["high"] != max(prices) or values["low"] != min(prices):
        return "open or close lies outside low to high"
    return "the volume is negative" if values["volume"] < 0 else None


def _prediction_fault(values: Values) -> str | None:
    if min(values.values()) <= 0:
        return "a price is not positive"
    ordered = values["pred_lower"] <= values["pred_price"] <= values["pred_upper"]
    return None if ordered else "pred_price lies outside pred_lower to pred_upper"


def _metrics_fault(values: Values) -> str | None:
    negative = [name for name in ("std", "mae", "rmse") if values[name] < 0]
    return f"{negative[0]} is negative" if negative else None


FILES = (
    EarlierFile("raw/instant_data.csv", imported_bars, _bar_fault),
    EarlierFile("predictions/instant_predictions.csv", imported_predictions, _prediction_fault),
    EarlierFile("predictions/instant_metrics.csv", imported_metrics, _metrics_fault),
)


def read_lines(folder: Path, file: EarlierFile, now_us: int) -> Iterator[Line | RefusedLine]:
    """Yield every line but the header's, valid or refused; times without a zone are UTC.

    Raises `StoreFileError` where the file is no CSV file with the columns it should have.
    """
    path = folder / file.path
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            missing = {"timestamp", *file.columns} - set(reader.fieldnames or ())
            if missing:
                raise StoreFileError(f"{path}: column {', '.join(sorted(missing))} is missing")
            for row in reader:
                yield _read_line(file, reader.line_num, row, now_us)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StoreFileError(f"{path} cannot be read: {error}") from error


def _read_line(
    file: EarlierFile, number: int, row: dict[str, str | None], now_us: int
) -> Line | RefusedLine:
    try:
        moment = datetime.fromisoformat(row["timestamp"] or "")
        time_us = to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except ValueError:
        return RefusedLine(number, f"timestamp {row['timestamp']!r} is no time")
    if not 0 <= time_us <= now_us:
        return RefusedLine(
            number, f"timestamp {row['timestamp']} lies in the future or before 1970"
        )
    values: Values = {}
    for name in file.columns:
        try:
            values[name] = float(row[name] or "")
        except ValueError:
            return RefusedLine(number, f"{name} {row[name]!r} is no number")
        if not math.isfinite(values[name]):
            return RefusedLine(number, f"{name} {row[name]} is not finite")
    fault = file.fault(values)
    if fault is not None:
        return RefusedLine(number, fault)
    return Line(number, time_us - time_us % _SECOND_US, values)
