"""One active process among several on a machine, by an exclusive lock on a file.

The kernel releases the lock when its holder dies, however it dies, so a takeover needs no timeout.
"""

import fcntl
import os
import threading
from pathlib import Path

__all__ = ["LeaderLock"]

_POLL_S = 0.02  # bounds the gap in a hand-over


class LeaderLock:
    """An exclusive advisory lock on ``path``; the file names the holder's pid for people."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; return whether it is ours."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        return True

    def acquire(self, stop: threading.Event) -> bool:
        """Wait for the lock until ``stop`` is set; return whether it is ours."""
        while not self.try_acquire():
            if stop.wait(_POLL_S):
                return False
        return True

    def release(self) -> None:
        """Give the lock up; harmless when it is not held."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the lock up and close the file."""
        os.close(self._descriptor)
