"""The spool: segments, a cursor, a bound. One writer and one reader thread may use it at once."""

import os
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from common.clock import Clock
from common.log import get_logger
from data_collector import metrics
from data_collector.errors import SpoolError
from data_collector.spool.cursor import CursorFile, Position
from data_collector.spool.records import Entry, frame
from data_collector.spool.segment import Segment, list_segments

__all__ = ["Position", "Record", "Spool", "SpoolOptions"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class SpoolOptions:
    """``max_bytes`` bounds the files; beyond it the oldest segment goes, loudly."""

    directory: Path
    max_bytes: int = 512 << 20
    segment_bytes: int = 4 << 20
    fsync: Literal["always", "interval", "never"] = "interval"
    fsync_interval_s: float = 1.0


class Record(msgspec.Struct, frozen=True, gc=False):
    """An entry and the position behind it, which acknowledges it."""

    end: Position
    entry: Entry


class Spool:
    """Entries in the order of `append`, kept until `acknowledge` has passed them.

    The newest segment always stays, also when all of it is acknowledged: a restart reads from it
    what was collected last. Only one process may have a directory open (see `SpoolHome`).
    """

    def __init__(self, options: SpoolOptions, clock: Clock) -> None:
        """Open the directory and recover what it holds; raises `SpoolError`."""
        self._options = options
        self._clock = clock
        self._lock = threading.RLock()
        self._synced_at = clock.monotonic()
        try:
            options.directory.mkdir(parents=True, exist_ok=True)
            self._cursor_file = CursorFile(options.directory / "cursor")
            self._segments = self._recover()
            self._cursor = self._clamp(self._cursor_file.load())
            # At once: what is appended now must not slip below a cursor that was ahead of it.
            self._cursor_file.store(self._cursor)
        except OSError as error:
            raise SpoolError(f"SPOOL_DIR {options.directory}: {error.strerror}") from error
        self._records = sum(segment.records for segment in self._segments)
        self._size = sum(segment.size for segment in self._segments)
        self._acknowledged = self._count_before(self._cursor)

    @property
    def cursor(self) -> Position:
        """Return the position up to which everything was acknowledged."""
        with self._lock:
            return self._cursor

    @property
    def pending(self) -> int:
        """Return the number of records that are not acknowledged."""
        with self._lock:
            return self._records - self._acknowledged

    @property
    def size(self) -> int:
        """Return the bytes on disk."""
        with self._lock:
            return self._size

    @property
    def end(self) -> Position:
        """Return the position behind the newest record."""
        with self._lock:
            return Position(self._segments[-1].number, self._segments[-1].size)

    def append(self, *entries: Entry) -> None:
        """Write ``entries``; raises `OSError` (none is written), `ValueError` if one is too large.

        What is given at once lies in one segment. With ``fsync`` "always" it is on the disk then;
        else see `sync_if_due`.
        """
        framed = b"".join([frame(entry) for entry in entries])
        with self._lock:
            if self._segments[-1].size >= self._options.segment_bytes:
                self._rotate()
            while len(self._segments) > 1 and self._size + len(framed) > self._options.max_bytes:
                self._drop_oldest()
            self._segments[-1].append(framed, len(entries))
            self._records += len(entries)
            self._size += len(framed)
        if self._options.fsync == "always":
            self._sync()

    def sync_if_due(self) -> None:
        """Let what was appended reach the disk, where the last time is an interval ago."""
        if self._options.fsync == "interval":
            now = self._clock.monotonic()
            if now - self._synced_at >= self._options.fsync_interval_s:
                self._synced_at = now
                self._sync()

    def read(self, position: Position, limit: int) -> list[Record]:
        """Return up to ``limit`` records behind ``position``, or behind what was dropped since."""
        with self._lock:
            position = self._clamp(position)
            found: list[Record] = []
            for segment in self._segments:
                if segment.number >= position.segment and len(found) < limit:
                    offset = position.offset if segment.number == position.segment else 0
                    found += self._read_segment(segment, offset, limit - len(found))
            return found

    def acknowledge(self, ends: Sequence[Position]) -> None:
        """Note that the records that end at ``ends``, in order, need not be kept.

        Those that were dropped meanwhile count no more.
        """
        with self._lock:
            new = len(ends) - bisect_right(ends, self._cursor)
            if not new:
                return
            self._cursor = ends[-1]
            self._acknowledged += new
            with suppress(OSError):  # a full disk: repeated after a crash, removed downstream
                self._cursor_file.store(self._cursor)
            while len(self._segments) > 1 and self._segments[0].number < self._cursor.segment:
                self._acknowledged -= self._segments[0].records
                self._forget_oldest()

    def newest(self) -> Iterator[Entry]:
        """Yield the entries of the last two segments, acknowledged or not, oldest first."""
        with self._lock:
            segments = self._segments[-2:]
            for segment in segments:
                offset = 0
                while found := segment.read(offset, 10_000):
                    yield from (entry for _, entry in found)
                    offset = found[-1][0]

    def close(self) -> None:
        """Let everything reach the disk, and close the files."""
        with self._lock:
            with suppress(OSError):
                self._segments[-1].sync()
            for segment in self._segments:
                segment.close()
            self._cursor_file.close()

    def _recover(self) -> list[Segment]:
        directory = self._options.directory
        segments = [Segment(directory, number) for number in list_segments(directory)]
        for segment in segments:
            lost = segment.recover()
            if lost:
                metrics.SPOOL_LOST_BYTES.inc(lost)
                _log.error("spool had no whole record at an end", bytes=lost, file=segment.path)
        return segments or [Segment(directory, 0)]

    def _read_segment(self, segment: Segment, offset: int, limit: int) -> list[Record]:
        found: list[Record] = []
        while len(found) < limit and (ends := segment.read(offset, limit - len(found))):
            found += [Record(Position(segment.number, end), entry) for end, entry in ends]
            offset = ends[-1][0]
        if len(found) < limit and offset < segment.size:
            self._cut_damaged(segment, offset)
        return found

    def _cut_damaged(self, segment: Segment, offset: int) -> None:
        lost, records = segment.size - offset, segment.records
        metrics.SPOOL_LOST_BYTES.inc(lost)
        _log.error("spool is damaged", file=segment.path, bytes=lost)
        segment.cut(offset)
        segment.records = _count(segment, offset)
        self._size -= lost
        self._records -= records - segment.records

    def _clamp(self, position: Position | None) -> Position:
        """Return ``position``, or the next that exists."""
        if position is not None:
            for segment in self._segments:
                if segment.number == position.segment:
                    return Position(segment.number, min(position.offset, segment.size))
                if segment.number > position.segment:
                    return Position(segment.number, 0)
            return Position(self._segments[-1].number, self._segments[-1].size)
        return Position(self._segments[0].number, 0)

    def _count_before(self, position: Position) -> int:
        count = 0
        for segment in self._segments:
            if segment.number < position.segment:
                count += segment.records
            elif segment.number == position.segment:
                count += _count(segment, position.offset)
        return count

    def _rotate(self) -> None:
        last = self._segments[-1]
        if self._options.fsync != "never":
            last.sync()
        self._segments.append(Segment(self._options.directory, last.number + 1))
        if self._options.fsync != "never":
            _sync_directory(self._options.directory)

    def _sync(self) -> None:
        """Synchronise outside the lock, so that the reader need not wait for the disk."""
        try:
            self._segments[-1].sync()
        except OSError as error:  # the record is written; only a power cut could take it
            _log.error("the spool cannot be synchronised to disk", why=error.strerror)

    def _drop_oldest(self) -> None:
        oldest = self._segments[0]
        acknowledged = self._acknowledged if self._cursor.segment == oldest.number else 0
        if self._cursor.segment > oldest.number:
            acknowledged = oldest.records
        dropped = oldest.records - acknowledged
        self._acknowledged -= acknowledged
        self._cursor = max(self._cursor, Position(self._segments[1].number, 0))
        self._forget_oldest()
        if dropped:
            metrics.SPOOL_DROPPED.inc(dropped)
            limit = self._options.max_bytes
            _log.error("spool is full, oldest records dropped", records=dropped, max_bytes=limit)

    def _forget_oldest(self) -> None:
        oldest = self._segments.pop(0)
        self._records -= oldest.records
        self._size -= oldest.size
        oldest.delete()


def _count(segment: Segment, offset: int) -> int:
    count, start = 0, 0
    while start < offset:
        found: Sequence[tuple[int, Entry]] = segment.read(start, 10_000)
        if not found:
            break
        count += sum(1 for end, _ in found if end <= offset)
        start = found[-1][0]
    return count


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
