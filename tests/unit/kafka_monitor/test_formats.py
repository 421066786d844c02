"""Numbers for people."""

import pytest

from kafka_monitor.formats import file_size, grouped, meaning
from kafka_monitor.model import ConfigEntry


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "\u2013"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (747 * 1024, "747 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3 * 1024**5, "3072 TiB"),
    ],
)
def test_sizes(count: int | None, shown: str) -> None:
    assert file_size(count) == shown


def test_groups_of_digits() -> None:
    assert grouped(1234567) == "1\u202f234\u202f567"
    assert grouped(None) == "\u2013"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("retention.ms", "604800000", "7 days, 0:00:00"),
        ("retention.ms", "-1", "no limit"),
        ("flush.ms", str(2**63 - 1), "no limit"),
        ("segment.bytes", "16777216", "16.0 MiB"),
        ("segment.bytes", "14", ""),
        ("cleanup.policy", "delete", ""),
        ("secret", None, ""),
        ("min.insync.replicas", "1", ""),
    ],
)
def test_meanings(name: str, value: str | None, shown: str) -> None:
    entry = ConfigEntry(name=name, value=value, default=None, source="topic")
    assert meaning(entry) == shown
