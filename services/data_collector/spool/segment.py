"""One file of the spool: records are appended, never changed; it is deleted as a whole."""

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from data_collector.spool.records import Entry, scan

__all__ = ["Segment", "list_segments"]

_SUFFIX = ".segment"
_CHUNK = 1 << 18  # read at once; grows where a record is larger


class Segment:
    """The file of ``number``; ``size`` is that of its whole records, ``records`` their count."""

    def __init__(self, directory: Path, number: int) -> None:
        self.number = number
        self.path = directory / f"{number:012d}{_SUFFIX}"
        self.size = 0
        self.records = 0
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def recover(self) -> int:
        """Count the whole records and cut off what follows them; return how many bytes that was."""
        data = self.path.read_bytes()
        for end, _ in scan(data):
            self.size = end
            self.records += 1
        self.cut(self.size)
        return len(data) - self.size

    def cut(self, size: int) -> None:
        """Forget what is behind ``size``, which must be the end of a record."""
        self.size = size
        os.ftruncate(self._descriptor, size)

    def append(self, framed: bytes, records: int = 1) -> None:
        """Write so many whole records; on `OSError` the file is as it was before."""
        try:
            written = os.pwrite(self._descriptor, framed, self.size)
            if written < len(framed):
                raise OSError(f"only {written} of {len(framed)} bytes were written")
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(framed)
        self.records += records

    def read(self, offset: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Return up to ``limit`` (end, entry) from ``offset`` on."""
        chunk = _CHUNK
        while offset < self.size:
            data = os.pread(self._descriptor, min(chunk, self.size - offset), offset)
            found = [(offset + end, entry) for end, entry in islice(scan(data), limit)]
            if found or chunk >= self.size - offset:
                return found
            chunk *= 4
        return []

    def sync(self) -> None:
        """Let the file reach the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def delete(self) -> None:
        """Close and remove the file."""
        self.close()
        self.path.unlink(missing_ok=True)


def list_segments(directory: Path) -> list[int]:
    """Return the numbers of the segments in ``directory``, oldest first."""
    names = [path.stem for path in directory.glob(f"*{_SUFFIX}")]
    return sorted(int(name) for name in names if name.isdecimal())
