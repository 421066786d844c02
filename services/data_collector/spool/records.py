"""Framing: ``length (4) | CRC32 (4) | body``, little endian; body: kind (1), key, value."""

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum

import msgspec

__all__ = ["MAX_BODY", "Entry", "Kind", "frame", "scan"]

_HEADER = struct.Struct("<II")
MAX_BODY = 1 << 20  # Kafka's default limit for a message


class Kind(IntEnum):
    """What a record is, hence the topic it goes to."""

    TICK = 0
    DEAD_LETTER = 1


_KINDS = {int(kind): kind for kind in Kind}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One message to be delivered; ``key`` is at most 255 bytes."""

    kind: Kind
    key: bytes
    value: bytes


def frame(entry: Entry) -> bytes:
    """Return the bytes of ``entry``; raises `ValueError` where it is too large."""
    if len(entry.key) > 255:
        raise ValueError(f"key of {len(entry.key)} bytes, at most 255 are possible")
    body = bytes([entry.kind, len(entry.key)]) + entry.key + entry.value
    if len(body) > MAX_BODY:
        raise ValueError(f"record of {len(body)} bytes, at most {MAX_BODY} are possible")
    return _HEADER.pack(len(body), zlib.crc32(body)) + body


def scan(data: bytes) -> Iterator[tuple[int, Entry]]:
    """Yield (offset of the end, entry) up to the first bytes that are no whole valid record."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, start)
        end = start + _HEADER.size + length
        if not 2 <= length <= MAX_BODY or end > len(data):
            return
        body = data[start + _HEADER.size : end]
        kind, key_end = _KINDS.get(body[0]), 2 + body[1]
        if kind is None or key_end > length or zlib.crc32(body) != checksum:
            return
        yield end, Entry(kind, body[2:key_end], body[key_end:])
        start = end
