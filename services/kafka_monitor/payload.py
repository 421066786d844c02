"""Bytes and records in a form that people can read."""

import codecs
import re

import msgspec
from kafka.consumer.fetcher import ConsumerRecord

from common.clock import from_micros
from kafka_monitor.model import Message, Payload

__all__ = ["matches", "pretty", "show_bytes", "show_message"]

_TIME_SOURCES = {0: "producer", 1: "broker"}
_NAME_BYTES = 4096  # keys and headers are names; what is longer is cut
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # no text has these


def show_bytes(data: bytes | None, limit: int) -> Payload | None:
    """Return the first ``limit`` bytes of ``data`` as JSON or text if that is what they are.

    Anything else is given in hex, of which a third as many bytes fit.
    """
    if data is None:
        return None
    cut = len(data) > limit
    text = _as_text(data[:limit], whole=not cut)
    if text is None:
        cut = len(data) > limit // 3
        shown = data[: limit // 3].hex(" ")
        return Payload(text=shown, encoding="hex", size=len(data), truncated=cut)
    encoding = "json" if not cut and _formatted(text) is not None else "text"
    return Payload(text=text, encoding=encoding, size=len(data), truncated=cut)


def show_message(record: ConsumerRecord, limit: int) -> Message:
    """Return ``record`` with at most ``limit`` bytes of its value."""
    name_limit = min(limit, _NAME_BYTES)
    return Message(
        partition=record.partition,
        offset=record.offset,
        time=_iso(record.timestamp),
        time_source=_TIME_SOURCES.get(record.timestamp_type, "none"),
        key=show_bytes(record.key, name_limit),
        value=show_bytes(record.value, limit),
        headers=tuple((name, show_bytes(data, name_limit)) for name, data in record.headers),
    )


def pretty(payload: Payload) -> str:
    """Return the text, indented if it is JSON; numbers keep every digit they came with."""
    formatted = _formatted(payload.text) if payload.encoding == "json" else None
    return payload.text if formatted is None else formatted


def matches(record: ConsumerRecord, needle: str) -> bool:
    """Return whether key, value or a header has ``needle``, which is casefolded, in it."""
    parts = [record.key, record.value, *(data for _, data in record.headers)]
    names = (name for name, _ in record.headers)
    texts = (part.decode("utf-8", "replace") for part in parts if part)
    return any(needle in text.casefold() for text in (*texts, *names))


def _as_text(data: bytes, *, whole: bool) -> str | None:
    try:
        # Where the bytes were cut, the last character may be incomplete: that is no fault.
        text = codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _formatted(text: str) -> str | None:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return None


def _iso(millis: int | None) -> str | None:
    if millis is None or millis < 0:
        return None
    try:
        return from_micros(millis * 1000).isoformat(timespec="milliseconds")[:-6] + "Z"
    except OverflowError:  # a producer may write any number
        return f"{millis} ms"
