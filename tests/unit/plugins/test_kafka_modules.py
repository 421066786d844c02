"""Topics as declared, against a client that remembers; what a broker's log says."""

from typing import Any

import pytest
from plugins.module_utils import kafka_cluster
from plugins.modules import kafka_ready, kafka_topics


class Client:
    """The part of kafka-python's admin client that the module uses."""

    def __init__(self, topics: dict[str, int], configs: dict[str, dict[str, str]]) -> None:
        self.topics, self.configs = dict(topics), {n: dict(c) for n, c in configs.items()}
        self.replication: dict[str, int] = {}

    def describe_topics(self) -> list[dict[str, Any]]:
        return [{"name": name, "partitions": [{}] * count} for name, count in self.topics.items()]

    def create_topics(self, topics: dict[str, dict[str, Any]], *, wait_for_metadata: bool) -> None:
        assert wait_for_metadata
        for name, spec in topics.items():
            self.topics[name] = spec["num_partitions"]
            self.configs[name] = dict(spec["configs"])
            self.replication[name] = spec["replication_factor"]

    def create_partitions(self, topics: dict[str, int]) -> None:
        self.topics.update(topics)

    def describe_configs(self, resources: list[Any], config_filter: str) -> dict[str, Any]:
        assert config_filter == "all"
        names = [resource.name for resource in resources]
        return {
            "topic": {
                n: {k: {"value": v} for k, v in self.configs.get(n, {}).items()} for n in names
            }
        }

    def alter_configs(self, resources: list[Any]) -> None:
        for resource in resources:
            self.configs.setdefault(resource.name, {}).update(resource.configs)


WANTED = {"prices": (3, {"min.insync.replicas": "1", "retention.ms": "1000"})}


def test_topics_are_made_and_then_left_alone() -> None:
    client = Client({}, {})
    assert kafka_topics.converge(client, WANTED, 1, check=False)
    assert (client.topics, client.replication) == ({"prices": 3}, {"prices": 1})
    assert kafka_topics.converge(client, WANTED, 1, check=False) == []


def test_partitions_are_added_and_configurations_set() -> None:
    client = Client({"prices": 1}, {"prices": {"retention.ms": "5", "min.insync.replicas": "1"}})
    differences = kafka_topics.converge(client, WANTED, 1, check=False)
    assert differences == [
        "topic prices: partitions 1 -> 3",
        "topic prices: retention.ms 5 -> 1000",
    ]
    assert client.topics["prices"] == 3
    assert client.configs["prices"]["retention.ms"] == "1000"


def test_check_mode_reports_the_same_and_changes_nothing() -> None:
    client = Client({"prices": 1}, {})
    assert kafka_topics.converge(client, WANTED, 1, check=True)
    assert (client.topics, client.configs) == ({"prices": 1}, {})


def test_partitions_cannot_be_taken_away() -> None:
    with pytest.raises(ValueError, match="has 9 partitions"):
        kafka_topics.converge(Client({"prices": 9}, {}), WANTED, 1, check=False)


@pytest.mark.parametrize(
    ("brokers", "expected"), [(1, (1, 1)), (2, (2, 1)), (3, (3, 2)), (5, (3, 2))]
)
def test_replication_follows_from_the_brokers(brokers: int, expected: tuple[int, int]) -> None:
    assert kafka_topics.replication(brokers) == expected


def test_values_become_kafkas_strings() -> None:
    assert kafka_topics.wanted_config({"preallocate": True, "retention.ms": 5}, 3) == {
        "min.insync.replicas": "2",
        "preallocate": "true",
        "retention.ms": "5",
    }


def test_brokers_are_read_from_the_sessions() -> None:
    dump = (
        "Sessions with Ephemerals (1):\n0x1:\n\t/controller\n\t/brokers/ids/0\n\t/brokers/ids/12\n"
    )
    assert kafka_cluster.registered_brokers(dump) == {0, 12}
    assert kafka_cluster.registered_brokers("Sessions with Ephemerals (0):") == set()


def test_partitions_without_all_replicas_or_a_leader_are_found() -> None:
    def part(index: int, isr: list[int], leader: int) -> dict[str, Any]:
        return {
            "partition_index": index,
            "isr_nodes": isr,
            "replica_nodes": [0, 1],
            "leader_id": leader,
        }

    topic = {"name": "t", "partitions": [part(0, [0, 1], 0), part(1, [0], 0), part(2, [0, 1], -1)]}
    assert kafka_cluster.under_replicated([topic]) == ["t-1", "t-2"]


def test_a_known_cause_is_explained() -> None:
    log = "x ERROR Exiting\nkafka.common.InconsistentClusterIdException: The Cluster ID ..."
    assert "different clusters" in kafka_ready.explain(log)
    assert kafka_ready.explain("a INFO b\nc ERROR d\n") == "c ERROR d"
    assert kafka_ready.explain("") == "see its log"
