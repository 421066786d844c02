"""What collectors have taken: every whole record that was ever in one of their spools.

Read from the files beside the collectors, which know nothing of it: a second set of books. Files
are held open, so that what is deleted meanwhile can be read to its end.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from data_collector.spool import Entry
from data_collector.spool.records import scan

__all__ = ["Journal"]

_EVERY_S = 0.05


class Journal:
    """Follows all spools below ``home`` from `start` to `stop`, in a thread of its own."""

    def __init__(self, home: Path, take: Callable[[Entry], None]) -> None:
        self._home = home
        self._take = take
        self._open: dict[tuple[int, int], tuple[int, int]] = {}  # inode: descriptor, offset
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="journal")
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Read to the end; raises what reading died of."""
        self._end.set()
        self._thread.join()
        for descriptor, _ in self._open.values():
            os.close(descriptor)
        if self.failure is not None:
            raise self.failure

    def _follow(self) -> None:
        try:
            while not self._end.wait(_EVERY_S):
                self._read_on()
            self._read_on()
        except BaseException as error:  # noqa: BLE001 - told by `stop`
            self.failure = error

    def _read_on(self) -> None:
        for path in sorted(self._home.glob("*/*.segment")):
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) in self._open:
                os.close(descriptor)
            else:
                self._open[status.st_dev, status.st_ino] = descriptor, 0
        for key, (descriptor, offset) in list(self._open.items()):
            size = os.fstat(descriptor).st_size
            data = os.pread(descriptor, max(0, size - offset), offset)
            read = 0
            for end, entry in scan(data):
                self._take(entry)
                read = end
            if os.fstat(descriptor).st_nlink == 0 and not data[read:]:
                os.close(descriptor)
                del self._open[key]
            else:
                self._open[key] = descriptor, offset + read
