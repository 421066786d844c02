"""What was really delivered: one JSON line for each answer whose last byte the system has taken.

A request whose client had gone before leaves no line: nobody got its answer.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TextIO

from aiohttp import web

from common.errors import ConfigurationError
from exchange_simulator.faults import Fault

__all__ = ["Ledger", "NoLedger", "open_ledger"]


class NoLedger:
    """Writes nothing."""

    async def deliver(
        self,
        request: web.Request,
        response: web.Response,
        venue: str,
        at_us: int,
        struck: Sequence[tuple[int, Fault]],
    ) -> None:
        """Leave the sending to the server."""


class Ledger(NoLedger):
    """A file of lines with ``at_us``, ``venue``, ``path``, ``status``, ``faults``, ``body``."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` to append to it; raises `ConfigurationError`."""
        try:
            self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise ConfigurationError(f"LEDGER_FILE {path}: {error.strerror}") from error

    async def deliver(
        self,
        request: web.Request,
        response: web.Response,
        venue: str,
        at_us: int,
        struck: Sequence[tuple[int, Fault]],
    ) -> None:
        """Send ``response``; then note it. Raises where the connection is gone."""
        await response.prepare(request)
        await response.write_eof()
        line = {
            "at_us": at_us,
            "venue": venue,
            "path": request.path_qs,
            "status": response.status,
            "faults": sorted({fault.kind for _, fault in struck}),
            "body": response.text,
        }
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def open_ledger(path: Path | None) -> AbstractContextManager[NoLedger]:
    """Return the ledger in the file ``path``, or one that writes nothing."""
    return nullcontext(NoLedger()) if path is None else Ledger(path)
