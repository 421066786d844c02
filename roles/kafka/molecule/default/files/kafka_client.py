"""What a user of Kafka does: ``ADDRESS produce TOPIC TEXT | consume TOPIC | describe``."""

import json
import sys
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

_PATIENCE_MS = 3000


def main(address: str, verb: str, *words: str) -> None:
    """Do what ``verb`` says."""
    {"produce": produce, "consume": consume, "describe": describe}[verb](address, *words)


def produce(address: str, topic: str, text: str) -> None:
    """Send one message and wait until the broker has it."""
    producer = KafkaProducer(bootstrap_servers=address, acks="all", max_block_ms=_PATIENCE_MS)
    producer.send(topic, text.encode()).get(timeout=_PATIENCE_MS / 1000)
    producer.close()


def consume(address: str, topic: str) -> None:
    """Print every message of the topic, until none comes any more."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=address,
        auto_offset_reset="earliest",
        consumer_timeout_ms=_PATIENCE_MS,
    )
    for message in consumer:
        sys.stdout.write(f"{message.value.decode()}\n")
    consumer.close()


def describe(address: str) -> None:
    """Print what is known of all topics, as JSON."""
    client = KafkaAdminClient(bootstrap_servers=address)
    topics = [topic for topic in client.describe_topics() if not topic["is_internal"]]
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic["name"]) for topic in topics]
    configs = client.describe_configs(resources, config_filter="all")["topic"]
    sys.stdout.write(json.dumps([summary(topic, configs[topic["name"]]) for topic in topics]))
    client.close()


def summary(topic: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return one topic's name, size, fewest replicas of any partition, and retention."""
    return {
        "name": topic["name"],
        "partitions": len(topic["partitions"]),
        "replication": min(len(part["replica_nodes"]) for part in topic["partitions"]),
        "in_sync": min(len(part["isr_nodes"]) for part in topic["partitions"]),
        "retention_ms": config["retention.ms"]["value"],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
