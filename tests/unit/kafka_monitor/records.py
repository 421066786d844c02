"""Records for tests."""

from kafka.consumer.fetcher import ConsumerRecord


def record(
    offset: int,
    value: bytes | None = b"",
    *,
    partition: int = 0,
    timestamp: int = 0,
    key: bytes | None = None,
    headers: tuple[tuple[str, bytes | None], ...] = (),
) -> ConsumerRecord:
    return ConsumerRecord(
        topic="t",
        partition=partition,
        leader_epoch=0,
        offset=offset,
        timestamp=timestamp,
        timestamp_type=0,
        key=key,
        value=value,
        headers=list(headers),
        checksum=None,
        serialized_key_size=-1,
        serialized_value_size=-1,
        serialized_header_size=-1,
    )
