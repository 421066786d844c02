"""Records that Kafka will never take: what they become."""

from datetime import datetime

from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)

from common.wire import DeadLetter, encode
from data_collector.spool import Entry, Kind

__all__ = ["REJECTED", "dead_letter"]

# What no repetition can mend; anything else (no leader, no permission yet, ...) is tried again.
REJECTED: tuple[type[KafkaError], ...] = (
    InvalidRecordError,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)
_PAYLOAD = 4_000  # characters that are kept


def dead_letter(entry: Entry, error: KafkaError, now: datetime) -> Entry:
    """Return the dead letter that takes the place of ``entry``."""
    letter = DeadLetter(
        reason="rejected_by_kafka",
        detail=str(error)[:_PAYLOAD],
        origin="data-collector",
        received_time=now,
        payload=entry.value[:_PAYLOAD].decode(errors="replace"),
        symbol=entry.key.decode(errors="replace"),
    )
    return Entry(Kind.DEAD_LETTER, entry.key, encode(letter))
