"""Kafka clients with the settings on which the delivery promises rest."""

from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.partitioner.default import murmur2

__all__ = ["make_consumer", "make_producer", "partition_of"]

# Delivery is bounded so that a stop within 10 s is possible; the spool keeps what is not delivered.
_DELIVERY_TIMEOUT_MS = 6_000
_REQUEST_TIMEOUT_MS = 4_000


def make_producer(bootstrap_servers: Sequence[str], client_id: str, **extra: Any) -> KafkaProducer:
    """Return an idempotent producer (``acks=all``), ordered within a partition.

    Raises `kafka.errors.KafkaError` where the client cannot be made; brokers may be away.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": list(bootstrap_servers),
        "client_id": client_id,
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": 0,
        "request_timeout_ms": _REQUEST_TIMEOUT_MS,
        "delivery_timeout_ms": _DELIVERY_TIMEOUT_MS,
        **extra,
    }
    return KafkaProducer(**options)


def make_consumer(bootstrap_servers: Sequence[str], client_id: str, **extra: Any) -> KafkaConsumer:
    """Return a consumer that never commits by itself: offsets belong to the store's transaction."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(bootstrap_servers),
        "client_id": client_id,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "fetch_max_wait_ms": 100,
        **extra,
    }
    return KafkaConsumer(**options)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition, of so many, of a message with ``key``, as every Kafka client does."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
