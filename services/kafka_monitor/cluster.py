"""Brokers, topics and consumer groups, from what the admin client answers.

The JSON API sends these as they are, and the pages show them. Sizes are in bytes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient, OffsetSpec
from werkzeug.exceptions import NotFound

__all__ = ["View", "cluster", "group", "groups", "offsets_at", "topic", "topics"]

View = dict[str, Any]
Offsets = Mapping[TopicPartition, int]

_TOTALS = ("messages", "size", "under_replicated", "offline")
_SOURCES = {"DEFAULT_CONFIG": "default", "DYNAMIC_TOPIC_CONFIG": "topic"}  # all others: broker


def cluster(admin: KafkaAdminClient) -> View:
    """Ask for brokers, controller and totals. Raises `kafka.errors.KafkaError`."""
    found = admin.describe_cluster()
    all_topics = topics(admin)
    partitions = [partition for topic in all_topics for partition in topic["partitions"]]
    brokers = [
        {
            "id": (number := each["broker_id"]),
            "host": each["host"],
            "port": each["port"],
            "controller": number == found["controller_id"],
            "leaders": sum(partition["leader"] == number for partition in partitions),
            "replicas": sum(number in partition["replicas"] for partition in partitions),
            "size": sum(partition["sizes"].get(number, 0) for partition in partitions),
        }
        for each in sorted(found["brokers"], key=itemgetter("broker_id"))
    ]
    return {
        "cluster_id": found["cluster_id"],
        "controller_id": found["controller_id"],
        "brokers": brokers,
        "topics": len(all_topics),
        "partitions": len(partitions),
        **{name: sum(topic[name] for topic in all_topics) for name in _TOTALS},
    }


def topics(
    admin: KafkaAdminClient, names: Sequence[str] | None = None, *, sized: bool = True
) -> list[View]:
    """Ask for the topics ``names``, all by default; raises `NotFound`. Unsized, sizes are 0."""
    found = [each for each in admin.describe_topics(names) if not each["error_code"]]
    if names and not found:
        raise NotFound(f"there is no topic {names[0]!r} in this cluster")
    sizes: dict[TopicPartition, dict[int, int]] = defaultdict(dict)
    for answer in admin.describe_log_dirs(names) if sized else ():
        for logged in (each for folder in answer["log_dirs"] for each in folder["topics"]):
            for part in logged["partitions"]:
                place = TopicPartition(logged["name"], part["partition_index"])
                sizes[place][answer["broker"]] = part["partition_size"]
    led = _with_leader(found)
    begins = offsets_at(admin, dict.fromkeys(led, OffsetSpec.EARLIEST))
    ends = offsets_at(admin, dict.fromkeys(led, OffsetSpec.LATEST))
    return [_topic(each, begins, ends, sizes) for each in sorted(found, key=itemgetter("name"))]


def topic(admin: KafkaAdminClient, name: str) -> View:
    """Ask for one topic with its configuration, what differs from the default first."""
    (found,) = topics(admin, [name])
    resource = ConfigResource("TOPIC", name)
    answer = admin.describe_configs([resource], include_synonyms=True, config_filter="all")
    config = [_config_entry(key, entry) for key, entry in answer["topic"][name].items()]
    config.sort(key=lambda entry: (entry["source"] == "default", entry["name"]))
    return {"topic": found, "config": config}


def groups(admin: KafkaAdminClient, only: str | None = None) -> list[View]:
    """Ask for all consumer groups, or one, and their lag."""
    known = sorted(each["group_id"] for each in admin.list_groups())
    names = [name for name in known if only in (None, name)]
    if not names:
        return []
    described = admin.describe_groups(names)
    committed = {
        name: {place: found.offset for place, found in offsets.items()}
        for name, offsets in admin.list_group_offsets(names).items()
    }
    places = {place for offsets in committed.values() for place in offsets}
    places.update(*(_owners(each) for each in described.values()))
    found = admin.describe_topics(sorted({place.topic for place in places}))
    led = places.intersection(_with_leader(found))  # the others are gone, or cannot be asked
    ends = offsets_at(admin, dict.fromkeys(led, OffsetSpec.LATEST))
    return [_group(described[name], committed.get(name, {}), ends) for name in names]


def group(admin: KafkaAdminClient, name: str) -> View:
    """Ask for one group; raises `NotFound`."""
    found = groups(admin, name)
    if not found:
        raise NotFound(f"there is no consumer group {name!r} in this cluster")
    return found[0]


def offsets_at(admin: KafkaAdminClient, asked: Offsets) -> Offsets:
    """Return the offset of each partition at a time in ms or an `OffsetSpec`; -1: none so new."""
    found = admin.list_partition_offsets(asked, timeout_ms=2_000) if asked else {}
    return {place: answer.offset for place, answer in found.items()}


def _with_leader(found: Iterable[View]) -> list[TopicPartition]:
    return [
        TopicPartition(each["name"], part["partition_index"])
        for each in found
        for part in each["partitions"]
        if part["leader_id"] >= 0
    ]


def _topic(
    found: View, begins: Offsets, ends: Offsets, sizes: Mapping[TopicPartition, Mapping[int, int]]
) -> View:
    partitions = []
    for part in sorted(found["partitions"], key=itemgetter("partition_index")):
        place, leader = TopicPartition(found["name"], part["partition_index"]), part["leader_id"]
        partition = {
            "index": place.partition,
            "leader": leader if leader >= 0 else None,
            "replicas": part["replica_nodes"],
            "isr": part["isr_nodes"],
            "begin": begins.get(place),  # None without a leader
            "end": ends.get(place),
            "size": sizes[place].get(leader, 0),
            "sizes": sizes[place],  # of each replica, by broker
        }
        partitions.append(partition)
    return {
        "name": found["name"],
        "internal": found["is_internal"],
        "replication": max((len(each["replicas"]) for each in partitions), default=0),
        "messages": sum((each["end"] or 0) - (each["begin"] or 0) for each in partitions),
        "size": sum(sum(each["sizes"].values()) for each in partitions),
        "under_replicated": sum(len(each["isr"]) < len(each["replicas"]) for each in partitions),
        "offline": sum(each["leader"] is None for each in partitions),
        "partitions": partitions,
    }


def _config_entry(name: str, found: View) -> View:
    defaults = (each["value"] for each in found["synonyms"] if each["source"] == "DEFAULT_CONFIG")
    return {
        "name": name,
        "value": None if found["is_sensitive"] else found["value"],
        "default": next(defaults, None),
        "source": _SOURCES.get(found["config_source"], "broker"),
    }


def _assigned(member: View) -> list[TopicPartition]:
    assignment = member["member_assignment"]
    # Other protocols than "consumer" stay undecoded.
    topics = assignment["assigned_partitions"] if isinstance(assignment, Mapping) else []
    return [TopicPartition(each["topic"], index) for each in topics for index in each["partitions"]]


def _owners(found: View) -> dict[TopicPartition, str]:
    return {place: each["client_id"] for each in found["members"] for place in _assigned(each)}


def _group(found: View, committed: Offsets, ends: Offsets) -> View:
    owners = _owners(found)
    offsets = []
    for place in sorted({*committed, *owners}):
        at, end = committed.get(place, -1), ends.get(place)
        offset = {
            "topic": place.topic,
            "partition": place.partition,
            "committed": at if at >= 0 else None,
            "end": end,
            "lag": max(0, end - at) if at >= 0 and end is not None else None,
            "member": owners.get(place),
        }
        offsets.append(offset)
    lags = [each["lag"] for each in offsets if each["lag"] is not None]
    members = [
        {
            "id": each["member_id"],
            "client_id": each["client_id"],
            "host": each["client_host"].lstrip("/"),
            "partitions": [f"{place.topic}/{place.partition}" for place in _assigned(each)],
        }
        for each in found["members"]
    ]
    return {
        "id": found["group_id"],
        "state": found["group_state"],
        "assignor": str(found["protocol_data"]),
        "lag": sum(lags) if lags else None,
        "members": members,
        "offsets": offsets,
        "error": found["error"],
    }
