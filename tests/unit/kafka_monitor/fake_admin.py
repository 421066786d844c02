"""An admin client with three brokers, one of them gone, in the answers' real shapes."""

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from kafka import TopicPartition

PARTITIONS = {
    # topic: leader, replicas, in sync, begin, end
    "prices": [(0, [0, 1, 2], [0, 1], 5, 25), (-1, [2], [], 0, 0)],
    "quiet": [(1, [1], [1], 0, 0)],
    "__consumer_offsets": [(0, [0], [0], 0, 3)],
}
CONFIG = {
    "retention.ms": ("60000", "DYNAMIC_TOPIC_CONFIG", "604800000", False),
    "segment.bytes": ("1000", "STATIC_BROKER_CONFIG", "1073741824", False),
    "cleanup.policy": ("delete", "DEFAULT_CONFIG", "delete", False),
    "secret": ("hush", "DYNAMIC_TOPIC_CONFIG", None, True),
}


class FakeAdmin:
    def describe_cluster(self) -> dict[str, Any]:
        brokers = [
            {"broker_id": number, "host": f"host{number}", "port": 9092} for number in (1, 0)
        ]
        return {"cluster_id": "c", "controller_id": 1, "brokers": brokers}

    def describe_topics(self, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
        wanted = PARTITIONS if names is None else names
        return [_topic(name) for name in wanted]

    def describe_log_dirs(self, topics: Iterable[str] | None = None) -> list[dict[str, Any]]:
        wanted = set(PARTITIONS if topics is None else topics)
        return [{"broker": number, "log_dirs": [_log_dir(number, wanted)]} for number in (0, 1)]

    def describe_configs(
        self, resources: Iterable[Any], include_synonyms: bool, config_filter: str
    ) -> dict[str, Any]:
        assert include_synonyms
        assert config_filter == "all"
        return {"topic": {each.name: _config() for each in resources}}

    def list_partition_offsets(
        self, specs: Mapping[TopicPartition, int], timeout_ms: int
    ) -> dict[TopicPartition, Any]:
        answers = {}
        for place, spec in specs.items():
            leader, _, _, begin, end = PARTITIONS[place.topic][place.partition]
            assert leader >= 0, "a partition without leader answers with an error"
            by_time = 15 if spec < 1_000 else -1
            answers[place] = SimpleNamespace(offset={-2: begin, -1: end}.get(spec, by_time))
        return answers

    def list_groups(self) -> list[dict[str, str]]:
        return [{"group_id": "readers"}, {"group_id": "left"}, {"group_id": "new"}]

    def describe_groups(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: _group(name) for name in names}

    def list_group_offsets(self, names: Iterable[str]) -> dict[str, dict[TopicPartition, Any]]:
        committed = {
            "readers": {("prices", 0): 20, ("prices", 1): 3},
            "left": {("deleted", 0): 7, ("quiet", 0): 9},
            "new": {},
        }
        return {
            name: {
                TopicPartition(*place): SimpleNamespace(offset=offset)
                for place, offset in committed[name].items()
            }
            for name in names
        }


def _topic(name: str) -> dict[str, Any]:
    partitions = [
        {"partition_index": index, "leader_id": leader, "replica_nodes": replicas, "isr_nodes": isr}
        for index, (leader, replicas, isr, _, _) in enumerate(PARTITIONS.get(name, []))
    ]
    partitions.reverse()  # Kafka promises no order
    return {
        "name": name,
        "error_code": 0 if name in PARTITIONS else 3,
        "is_internal": name.startswith("__"),
        "partitions": partitions,
    }


def _log_dir(broker: int, topics: set[str]) -> dict[str, Any]:
    entries = [
        {
            "name": name,
            "partitions": [
                {"partition_index": index, "partition_size": 100 * (broker + 1)}
                for index, (_, replicas, *_) in enumerate(partitions)
                if broker in replicas
            ],
        }
        for name, partitions in PARTITIONS.items()
        if name in topics
    ]
    return {"topics": entries}


def _config() -> dict[str, Any]:
    return {
        name: {
            "value": value,
            "config_source": source,
            "is_sensitive": sensitive,
            "synonyms": [{"source": "DEFAULT_CONFIG", "value": default}] if default else [],
        }
        for name, (value, source, default, sensitive) in CONFIG.items()
    }


def _group(name: str) -> dict[str, Any]:
    member = {
        "member_id": "m-1",
        "client_id": "reader-0",
        "client_host": "/10.0.0.9",
        "member_assignment": {"assigned_partitions": [{"topic": "prices", "partitions": [0]}]},
    }
    fresh = {**member, "client_id": "raw", "member_assignment": b""}
    members = {"readers": [member], "new": [fresh]}.get(name, [])
    return {
        "group_id": name,
        "group_state": "Stable" if members else "Empty",
        "protocol_data": "range" if members else "",
        "members": members,
        "error": None,
    }
