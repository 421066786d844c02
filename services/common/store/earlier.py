"""Brings the earlier system's files into the store: checked first, and again as often as liked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, select

from common.clock import Clock, to_micros
from common.errors import StoreFileError
from common.store.bar import imported_bar
from common.store.bars import Parts, add_parts, lock_series
from common.store.earlier_files import FILES, EarlierFile, Line, RefusedLine, read_lines
from common.store.insert import insert_into
from common.store.schema import BARS, imported_bars
from common.wire import Feed

__all__ = ["ImportedFile", "import_earlier"]

_BATCH_LINES = 500
_CONFLICT = "another line with other values has the same second"
_SECOND_BARS = BARS[min(BARS)]


@dataclass
class ImportedFile:
    """What became of the lines of one file; ``known`` are there already, from any source."""

    new: int = 0
    known: int = 0
    refused: list[RefusedLine] = field(default_factory=list)


def import_earlier(
    engine: Engine,
    folder: Path,
    clock: Clock,
    feed: Feed = "live",
    symbol: str = "BTC-USD",
    *,
    skip_refused: bool = False,
    only_check: bool = False,
) -> tuple[dict[str, ImportedFile], bool]:
    """Import what is in ``folder``; return what became of each file, and whether it was kept.

    Every line is checked before the first is written: one refused line, and nothing is imported,
    unless ``skip_refused``. Then a few lines a transaction, so that other writers hardly wait; what
    an interruption left out comes in when this is called again. A second that our own ticks cover
    keeps them. ``only_check`` writes nothing and tells what would become of the lines. Raises
    `StoreFileError` where there is no file to import.
    """
    present = [file for file in FILES if (folder / file.path).is_file()]
    if not present:
        names = ", ".join(file.path for file in FILES)
        raise StoreFileError(f"{folder}: none of {names} is there")
    now_us = to_micros(clock.now())
    key = {"feed": feed, "symbol": symbol}
    found: dict[str, ImportedFile] = {}
    for file in present:
        with engine.connect() as connection:
            checked = _Series(connection, file, key)
            found[file.path] = checked.check(_batches(read_lines(folder, file, now_us)))
    kept = skip_refused or not any(report.refused for report in found.values())
    if kept and not only_check:
        for file in present:
            report = found[file.path] = ImportedFile()
            for batch in _batches(read_lines(folder, file, now_us)):
                with engine.begin() as connection:
                    lock_series(connection, [(feed, symbol)])
                    _Series(connection, file, key).take(batch, report)
    return found, kept


def _batches(lines: Iterator[Line | RefusedLine]) -> Iterator[list[Line | RefusedLine]]:
    while batch := list(islice(lines, _BATCH_LINES)):
        yield batch


@dataclass(frozen=True)
class _Series:
    """The rows of one file's table that belong to one feed and symbol."""

    connection: Connection
    file: EarlierFile
    key: Mapping[str, str]

    def check(self, batches: Iterable[list[Line | RefusedLine]]) -> ImportedFile:
        """Return what `take` would make of all ``batches`` in turn."""
        report = ImportedFile()
        seen: dict[int, int] = {}  # by second, a hash of the values: a year fits into memory
        for batch in batches:
            lines = [line for line in batch if isinstance(line, Line)]
            report.refused += [line for line in batch if isinstance(line, RefusedLine)]
            fresh = self._fresh(lines)
            report.known += len(lines) - len(fresh)
            stored = self._stored(self.file.table, [line.start for line in fresh])
            for line in fresh:
                if line.start in stored:
                    seen[line.start] = _hash(stored[line.start])
                value = _hash(line.values)
                first = line.start not in seen
                if seen.setdefault(line.start, value) != value:
                    report.refused.append(RefusedLine(line.number, _CONFLICT))
                else:
                    report.new += first
                    report.known += not first
        return report

    def take(self, batch: list[Line | RefusedLine], report: ImportedFile) -> None:
        """Write a batch, and count in ``report`` what became of its lines."""
        report.refused += [line for line in batch if isinstance(line, RefusedLine)]
        self._save([line for line in batch if isinstance(line, Line)], report)

    def _save(self, lines: list[Line], report: ImportedFile) -> None:
        table = self.file.table
        fresh = self._fresh(lines)
        rows = [{**self.key, "start": line.start, **line.values} for line in fresh]
        inserted: set[int] = set()
        if rows:
            insert = insert_into(table, self.connection.dialect.name).on_conflict_do_nothing()
            new = self.connection.execute(insert.returning(*table.c), rows).all()
            inserted = {row.start for row in new}
            if table is imported_bars:
                parts = Parts([imported_bar(row) for row in new], {})
                add_parts(self.connection, {(self.key["feed"], self.key["symbol"]): parts})
        stored = self._stored(table, [line.start for line in fresh])
        other = [line for line in fresh if stored[line.start] != line.values]
        report.refused += [RefusedLine(line.number, _CONFLICT) for line in other]
        report.new += len(inserted)
        report.known += len(lines) - len(inserted) - len(other)

    def _rows(self, table: Table, starts: Sequence[int]) -> Any:
        own = [table.c[name] == value for name, value in self.key.items()]
        return self.connection.execute(select(table).where(*own, table.c.start.in_(starts)))

    def _stored(self, table: Table, starts: Sequence[int]) -> dict[int, dict[str, float]]:
        columns = self.file.columns
        return {
            row.start: {name: getattr(row, name) for name in columns}
            for row in self._rows(table, starts)
        }

    def _fresh(self, lines: list[Line]) -> list[Line]:
        """Return the lines of seconds that our own ticks do not cover."""
        if self.file.table is not imported_bars:
            return lines
        starts = [line.start for line in lines]
        covered = {row.start for row in self._rows(_SECOND_BARS, starts) if row.ticks > 0}
        return [line for line in lines if line.start not in covered]


def _hash(values: Mapping[str, float]) -> int:
    return hash(tuple(sorted(values.items())))
