"""What the Kafka modules share: a client that fails soon, four-letter words, offsets."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ANSWER_BYTES = 4096
_EPHEMERAL_BROKER = re.compile(r"/brokers/ids/(\d+)")


@contextmanager
def admin_client(bootstrap: str, timeout_ms: int = 5000) -> Iterator[Any]:
    """Yield a kafka-python admin client; raises `kafka.errors.KafkaError` when none answers."""
    from kafka import KafkaAdminClient

    client = KafkaAdminClient(
        bootstrap_servers=bootstrap.split(","),
        bootstrap_timeout_ms=timeout_ms,
        request_timeout_ms=max(timeout_ms, 5000),
        client_id="bitcoin-prediction-ansible",
    )
    try:
        yield client
    finally:
        client.close()


def ask_zookeeper(address: str, word: str, timeout_s: float = 2.0) -> str:
    """Return ZooKeeper's answer to a four-letter ``word``; raises `OSError`."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(word.encode())
        return b"".join(iter(lambda: connection.recv(_ANSWER_BYTES), b"")).decode()


def registered_brokers(dump: str) -> set[int]:
    """Return the brokers whose ephemeral node a session holds, from the answer to ``dump``."""
    return {int(number) for number in _EPHEMERAL_BROKER.findall(dump)}


def under_replicated(topics: list[dict[str, Any]]) -> list[str]:
    """Return ``topic-partition`` of each partition that lacks replicas or a leader."""
    return [
        f"{topic['name']}-{part['partition_index']}"
        for topic in topics
        for part in topic["partitions"]
        if len(part["isr_nodes"]) < len(part["replica_nodes"]) or part["leader_id"] < 0
    ]


def end_offsets(client: Any, topics: list[str]) -> dict[str, int]:
    """Return ``topic-partition`` to end offset for every partition of ``topics``."""
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    wanted = {
        TopicPartition(topic["name"], part["partition_index"]): OffsetSpec.LATEST
        for topic in client.describe_topics(topics)
        if not topic.get("error_code")
        for part in topic["partitions"]
    }
    found = client.list_partition_offsets(wanted) if wanted else {}
    return {f"{where.topic}-{where.partition}": int(at.offset) for where, at in found.items()}
