"""Up to where Kafka has acknowledged, in a small file that is rewritten in place."""

import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

__all__ = ["CursorFile", "Position"]

_FORM = struct.Struct("<QQ")
_CHECKSUM = struct.Struct("<I")


class Position(NamedTuple):
    """Between two records: ``offset`` bytes into segment ``segment``."""

    segment: int
    offset: int


class CursorFile:
    """Not synchronised to disk: after a power cut some records may be sent twice, none is lost."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def load(self) -> Position | None:
        """Return what was stored last, or None where the file is new or damaged."""
        data = os.pread(self._descriptor, _FORM.size + _CHECKSUM.size, 0)
        if len(data) < _FORM.size + _CHECKSUM.size:
            return None
        body = data[: _FORM.size]
        if _CHECKSUM.unpack(data[_FORM.size :])[0] != zlib.crc32(body):
            return None
        return Position(*_FORM.unpack(body))

    def store(self, position: Position) -> None:
        """Keep ``position``; raises `OSError`."""
        body = _FORM.pack(*position)
        os.pwrite(self._descriptor, body + _CHECKSUM.pack(zlib.crc32(body)), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
