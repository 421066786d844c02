"""Records in a form that people can read."""

import codecs
import re
from typing import Any

import msgspec
from kafka.consumer.fetcher import ConsumerRecord

from common.clock import from_micros

__all__ = ["matches", "show_bytes", "show_message"]

_TIME_SOURCES = {0: "producer", 1: "broker"}
_NAME_BYTES = 4096  # keys and headers are names; what is longer is cut
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # no text has these


def show_message(record: ConsumerRecord, limit: int) -> dict[str, Any]:
    """Return ``record`` with at most ``limit`` bytes of its value; None is a tombstone."""
    name_limit = min(limit, _NAME_BYTES)
    return {
        "partition": record.partition,
        "offset": record.offset,
        "time": _iso(record.timestamp),
        "time_source": _TIME_SOURCES.get(record.timestamp_type, "none"),
        "key": show_bytes(record.key, name_limit),
        "value": show_bytes(record.value, limit),
        "headers": [(name, show_bytes(data, name_limit)) for name, data in record.headers],
    }


def show_bytes(data: bytes | None, limit: int) -> dict[str, Any] | None:
    """Return the first ``limit`` bytes of ``data`` as JSON or text if that is what they are.

    Anything else is given in hex, of which a third as many bytes fit.
    """
    if data is None:
        return None
    cut = len(data) > limit
    try:
        # Where the bytes were cut, the last character may be incomplete: that is no fault.
        text = codecs.getincrementaldecoder("utf-8")().decode(data[:limit], final=not cut)
        encoding = "json" if not cut and _is_json(text) else "text"
    except UnicodeDecodeError:
        text, encoding = "", "hex"
    if encoding == "hex" or _CONTROL.search(text):
        cut = len(data) > limit // 3
        text, encoding = data[: limit // 3].hex(" "), "hex"
    return {"text": text, "encoding": encoding, "size": len(data), "truncated": cut}


def matches(record: ConsumerRecord, needle: str) -> bool:
    """Return whether key, value or a header has ``needle``, which is casefolded, in it."""
    parts = [record.key, record.value, *(data for _, data in record.headers)]
    names = (name for name, _ in record.headers)
    texts = (part.decode("utf-8", "replace") for part in parts if part)
    return any(needle in text.casefold() for text in (*texts, *names))


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _iso(millis: int | None) -> str | None:
    if millis is None or millis < 0:
        return None
    try:
        return from_micros(millis * 1000).isoformat(timespec="milliseconds")[:-6] + "Z"
    except OverflowError:  # a producer may write any number
        return f"{millis} ms"
