"""Topics and brokers, from what the admin client answers."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient, OffsetSpec

from kafka_monitor.errors import NotFoundError
from kafka_monitor.model import Broker, Cluster, ConfigEntry, Partition, Topic, TopicDetail

__all__ = [
    "LogDirs",
    "describe_cluster",
    "describe_topic",
    "describe_topics",
    "end_offsets",
    "find_topic",
]

_SOURCES = {"DEFAULT_CONFIG": "default", "DYNAMIC_TOPIC_CONFIG": "topic"}  # all others: broker


@dataclass(frozen=True)
class LogDirs:
    """Bytes of each replica by (topic, partition) and broker; (free, total) of brokers' disks."""

    sizes: Mapping[tuple[str, int], Mapping[int, int]]
    disks: Mapping[int, tuple[int, int]]

    @classmethod
    def of(cls, answers: Iterable[Mapping[str, Any]]) -> "LogDirs":
        """Return what the brokers answered to ``describe_log_dirs``."""
        sizes: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
        disks: dict[int, tuple[int, int]] = {}
        for answer in answers:
            broker = answer["broker"]
            for directory in answer["log_dirs"]:
                free, total = directory.get("usable_bytes", -1), directory.get("total_bytes", -1)
                if total > 0:
                    known = disks.get(broker, (0, 0))
                    disks[broker] = (known[0] + free, known[1] + total)
                for topic in directory["topics"]:
                    for part in topic["partitions"]:
                        place = (topic["name"], part["partition_index"])
                        sizes[place][broker] = part["partition_size"]
        return cls(sizes, disks)


_NO_LOG_DIRS = LogDirs({}, {})


def describe_cluster(admin: KafkaAdminClient) -> Cluster:
    """Ask for brokers, controller and totals. Raises `kafka.errors.KafkaError`."""
    found = admin.describe_cluster()
    log_dirs = LogDirs.of(admin.describe_log_dirs())
    topics = describe_topics(admin, log_dirs)
    partitions = [partition for topic in topics for partition in topic.partitions]
    return Cluster(
        cluster_id=found["cluster_id"],
        controller_id=found["controller_id"],
        brokers=tuple(
            _broker(each, found["controller_id"], partitions, log_dirs)
            for each in sorted(found["brokers"], key=lambda broker: int(broker["broker_id"]))
        ),
        topics=len(topics),
        partitions=len(partitions),
        messages=sum(topic.messages for topic in topics),
        size=sum(topic.size for topic in topics),
        under_replicated=sum(topic.under_replicated for topic in topics),
        offline=sum(topic.offline for topic in topics),
    )


def describe_topics(
    admin: KafkaAdminClient, log_dirs: LogDirs, names: Sequence[str] | None = None
) -> list[Topic]:
    """Ask for the topics ``names``, all by default; those that do not exist are left out."""
    found = [each for each in admin.describe_topics(names) if not each["error_code"]]
    led = [
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in found
        for partition in topic["partitions"]
        if partition["leader_id"] >= 0
    ]
    begins = _offsets(admin, led, OffsetSpec.EARLIEST)
    ends = end_offsets(admin, led)
    return sorted(
        (_topic(each, begins, ends, log_dirs) for each in found), key=lambda topic: topic.name
    )


def find_topic(admin: KafkaAdminClient, name: str, log_dirs: LogDirs = _NO_LOG_DIRS) -> Topic:
    """Ask for one topic; raises `NotFoundError`. Without ``log_dirs`` its size is 0."""
    topics = describe_topics(admin, log_dirs, [name])
    if not topics:
        raise NotFoundError(f"there is no topic {name!r} in this cluster")
    return topics[0]


def describe_topic(admin: KafkaAdminClient, name: str) -> TopicDetail:
    """Ask for one topic with its configuration; raises `NotFoundError`."""
    topic = find_topic(admin, name, LogDirs.of(admin.describe_log_dirs([name])))
    resource = ConfigResource("TOPIC", name)
    answer = admin.describe_configs([resource], include_synonyms=True, config_filter="all")
    entries = [_entry(key, data) for key, data in answer["topic"][name].items()]
    entries.sort(key=lambda entry: (entry.source == "default", entry.name))
    return TopicDetail(topic, tuple(entries))


def end_offsets(
    admin: KafkaAdminClient, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the offset that the next message of each partition will get."""
    return _offsets(admin, partitions, OffsetSpec.LATEST)


def _offsets(
    admin: KafkaAdminClient, partitions: Iterable[TopicPartition], spec: int
) -> dict[TopicPartition, int]:
    specs = dict.fromkeys(partitions, spec)
    found = admin.list_partition_offsets(specs, timeout_ms=2_000) if specs else {}
    return {place: answer.offset for place, answer in found.items()}


def _broker(
    found: Mapping[str, Any], controller: int, partitions: Sequence[Partition], log_dirs: LogDirs
) -> Broker:
    number = found["broker_id"]
    free, total = log_dirs.disks.get(number, (None, None))
    return Broker(
        id=number,
        host=found["host"],
        port=found["port"],
        rack=found["rack"],
        controller=number == controller,
        leaders=sum(partition.leader == number for partition in partitions),
        replicas=sum(number in partition.replicas for partition in partitions),
        size=sum(sizes.get(number, 0) for sizes in log_dirs.sizes.values()),
        disk_free=free,
        disk_total=total,
    )


def _topic(
    found: Mapping[str, Any],
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    log_dirs: LogDirs,
) -> Topic:
    name = found["name"]
    partitions = []
    size = 0
    for each in sorted(found["partitions"], key=lambda part: int(part["partition_index"])):
        index, leader = each["partition_index"], each["leader_id"]
        sizes = log_dirs.sizes.get((name, index), {})
        size += sum(sizes.values())
        partition = Partition(
            index=index,
            leader=leader if leader >= 0 else None,
            replicas=tuple(each["replica_nodes"]),
            isr=tuple(each["isr_nodes"]),
            begin=begins.get(TopicPartition(name, index)),
            end=ends.get(TopicPartition(name, index)),
            size=sizes.get(leader, 0),
        )
        partitions.append(partition)
    return Topic(
        name=name,
        internal=found["is_internal"],
        replication=max((len(each.replicas) for each in partitions), default=0),
        messages=sum((each.end or 0) - (each.begin or 0) for each in partitions),
        size=size,
        under_replicated=sum(len(each.isr) < len(each.replicas) for each in partitions),
        offline=sum(each.leader is None for each in partitions),
        partitions=tuple(partitions),
    )


def _entry(name: str, data: Mapping[str, Any]) -> ConfigEntry:
    defaults = [
        synonym["value"] for synonym in data["synonyms"] if synonym["source"] == "DEFAULT_CONFIG"
    ]
    return ConfigEntry(
        name=name,
        value=None if data["is_sensitive"] else data["value"],
        default=defaults[0] if defaults else None,
        source=_SOURCES.get(data["config_source"], "broker"),
    )
