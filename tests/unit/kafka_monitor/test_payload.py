"""Bytes of any kind are shown for what they are, whole or marked as cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.kafka_monitor.records import record

from kafka_monitor.payload import matches, show_bytes, show_message


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b'{"price": 1.10}', "json", '{"price": 1.10}'),
        (b" [1]", "json", " [1]"),
        (b"{not json}", "text", "{not json}"),
        (b"42", "text", "42"),
        (b"", "text", ""),
        ("é€😀\tx\n".encode(), "text", "é€😀\tx\n"),
        (b"\xff\xfe\x00r", "hex", "ff fe 00 72"),
        (b"\x00\x01bitcoin", "hex", "00 01 62 69 74 63 6f 69 6e"),
    ],
)
def test_kinds(data: bytes, encoding: str, text: str) -> None:
    shown = show_bytes(data, 1000)
    assert shown is not None
    assert (shown["encoding"], shown["text"], shown["size"]) == (encoding, text, len(data))
    assert not shown["truncated"]


def test_null_is_not_empty() -> None:
    assert show_bytes(None, 10) is None


def test_a_cut_inside_a_character_keeps_what_is_before_it() -> None:
    shown = show_bytes("aé€".encode(), 4)
    assert shown is not None
    assert (shown["text"], shown["encoding"], shown["size"], shown["truncated"]) == (
        "aé",
        "text",
        6,
        True,
    )


def test_cut_json_is_not_called_json() -> None:
    shown = show_bytes(b'{"a": [1, 2, 3]}', 5)
    assert shown is not None
    assert (shown["encoding"], shown["truncated"]) == ("text", True)


@given(st.binary(max_size=200), st.integers(min_value=3, max_value=200))
def test_any_bytes_are_shown_within_the_limit(data: bytes, limit: int) -> None:
    shown = show_bytes(data, limit)
    assert shown is not None
    assert shown["size"] == len(data)
    if shown["encoding"] == "hex":
        assert data.startswith(bytes.fromhex(shown["text"]))
        assert shown["truncated"] == (len(data) > limit // 3)
    else:
        assert data.startswith(shown["text"].encode())
        assert shown["truncated"] == (shown["text"].encode() != data)


def test_json_keeps_every_digit_and_the_order() -> None:
    data = b'{"b":1.10,"a":12345678901234567890,"c":[],"d":1e999}'
    shown = show_bytes(data, 1000)
    assert shown is not None
    assert (shown["text"], shown["encoding"]) == (data.decode(), "json")


def test_deep_json_does_not_break() -> None:
    data = b"[" * 100_000 + b"]" * 100_000
    shown = show_bytes(data, 10**6)
    assert shown is not None
    assert shown["text"] == data.decode()


def test_message() -> None:
    shown = show_message(
        record(7, None, partition=2, timestamp=1738324800123, key=b"k", headers=(("h", None),)), 99
    )
    assert (shown["partition"], shown["offset"], shown["value"]) == (2, 7, None)
    assert (shown["time"], shown["time_source"]) == ("2025-01-31T12:00:00.123Z", "producer")
    assert shown["headers"] == [("h", None)]


def test_absurd_timestamps_are_shown_as_they_are() -> None:
    assert show_message(record(0, timestamp=2**62), 9)["time"] == f"{2**62} ms"
    assert show_message(record(0, timestamp=-1), 9)["time"] is None


@pytest.mark.parametrize("needle", ["straße".casefold(), "abc", "trace", "77"])
def test_search_looks_everywhere_whatever_the_case(needle: str) -> None:
    found = record(0, b"STRASSE", key=b"xABCx", headers=(("Trace", b"77"),))
    assert matches(found, needle)
    assert not matches(record(0, None), needle)
