"""The directory under which each collector has a spool of its own.

Numbered directories, each held by one process at a time through a lock that the kernel frees when
the process ends, however it ends. What a process left is found by its successor, or adopted by
another that sees the same disk.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from data_collector.errors import SpoolError

__all__ = ["Lease", "SpoolHome"]

_LOCK, _SYMBOLS = "lock", "symbols"


class Lease:
    """A directory that is ours until `release`."""

    def __init__(self, directory: Path, descriptor: int) -> None:
        self.directory = directory
        self._descriptor = descriptor

    @property
    def remembered(self) -> frozenset[str]:
        """Return the symbols that the holder collected last; empty after it handed them over."""
        try:
            return frozenset((self.directory / _SYMBOLS).read_text().split())
        except OSError:
            return frozenset()

    def remember(self, symbols: Iterable[str]) -> None:
        """Keep ``symbols`` for whoever holds the directory next; raises `OSError`."""
        text = "\n".join(sorted(symbols))
        beside = self.directory / f"{_SYMBOLS}.new"
        beside.write_text(f"{text}\n" if text else "")
        beside.replace(self.directory / _SYMBOLS)

    def release(self, *, delete: bool = False) -> None:
        """Let others have the directory, or delete it with all that is in it."""
        if delete:
            with suppress(OSError):
                for path in self.directory.iterdir():
                    if path.name != _LOCK:
                        path.unlink()
                # The lock goes last: from then on the directory may be somebody else's.
                (self.directory / _LOCK).unlink()
                self.directory.rmdir()
        os.close(self._descriptor)


class SpoolHome:
    """The numbered directories under ``path``."""

    def __init__(self, path: Path) -> None:
        """Make ``path``; raises `SpoolError`."""
        self._path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SpoolError(f"SPOOL_DIR {path}: {error.strerror}") from error

    def claim(self) -> Lease:
        """Return the first directory that nobody holds, a new one if need be."""
        try:
            for number in chain(self._numbers(), count()):
                directory = self._path / str(number)
                directory.mkdir(exist_ok=True)
                lease = _try(directory)
                if lease is not None:
                    return lease
        except OSError as error:
            raise SpoolError(f"SPOOL_DIR {self._path}: {error.strerror}") from error
        raise AssertionError("count() has no end")

    def orphans(self) -> Iterator[Lease]:
        """Yield the directories that nobody holds; each must be released."""
        for number in self._numbers():
            lease = _try(self._path / str(number))
            if lease is not None:
                yield lease

    def _numbers(self) -> list[int]:
        names = (directory.name for directory in self._path.iterdir())
        return sorted(int(name) for name in names if name.isdecimal())


def _try(directory: Path) -> Lease | None:
    path = directory / _LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None  # deleted at this moment
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A holder may have deleted it since: then the lock is one of a file that is gone.
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return Lease(directory, descriptor)
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
