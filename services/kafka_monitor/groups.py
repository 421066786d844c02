"""Consumer groups: who is in them, where they are, how far behind."""

from collections.abc import Iterator, Mapping
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from kafka_monitor.errors import NotFoundError
from kafka_monitor.model import Group, GroupOffset, Member
from kafka_monitor.topics import end_offsets

__all__ = ["describe_group", "describe_groups"]

Offsets = Mapping[TopicPartition, int]


def describe_groups(admin: KafkaAdminClient) -> list[Group]:
    """Ask for all consumer groups. Raises `kafka.errors.KafkaError`."""
    return _describe(admin, sorted(each["group_id"] for each in admin.list_groups()))


def describe_group(admin: KafkaAdminClient, name: str) -> Group:
    """Ask for one group; raises `NotFoundError`."""
    if name not in {each["group_id"] for each in admin.list_groups()}:
        raise NotFoundError(f"there is no consumer group {name!r} in this cluster")
    return _describe(admin, [name])[0]


def _describe(admin: KafkaAdminClient, names: list[str]) -> list[Group]:
    if not names:
        return []
    described = admin.describe_groups(names)
    committed = {
        group: {place: found.offset for place, found in offsets.items()}
        for group, offsets in admin.list_group_offsets(names).items()
    }
    places = {place for offsets in committed.values() for place in offsets}
    for group in described.values():
        places.update(_assigned(group))
    ends = end_offsets(admin, _led(admin, places)) if places else {}
    return [_group(described[name], committed.get(name, {}), ends) for name in names]


def _led(admin: KafkaAdminClient, places: set[TopicPartition]) -> set[TopicPartition]:
    """Return those of ``places`` that still exist and have a leader."""
    found = admin.describe_topics(sorted({place.topic for place in places}))
    return places & {
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in found
        for partition in topic["partitions"]
        if partition["leader_id"] >= 0
    }


def _assigned(group: Mapping[str, Any]) -> Iterator[TopicPartition]:
    for member in group["members"]:
        yield from _partitions(member)


def _partitions(member: Mapping[str, Any]) -> Iterator[TopicPartition]:
    assignment = member["member_assignment"]
    if isinstance(assignment, Mapping):  # other protocols than "consumer" stay undecoded
        for topic in assignment["assigned_partitions"]:
            for index in topic["partitions"]:
                yield TopicPartition(topic["topic"], index)


def _group(found: Mapping[str, Any], committed: Offsets, ends: Offsets) -> Group:
    owners = {place: member for member in found["members"] for place in _partitions(member)}
    places = sorted({*committed, *owners})
    offsets = tuple(_offset(place, committed, ends, owners) for place in places)
    lags = [each.lag for each in offsets if each.lag is not None]
    return Group(
        id=found["group_id"],
        state=found["group_state"],
        assignor=str(found["protocol_data"]),
        lag=sum(lags) if lags else None,
        members=tuple(_member(each) for each in found["members"]),
        offsets=offsets,
        error=found["error"],
    )


def _member(found: Mapping[str, Any]) -> Member:
    return Member(
        id=found["member_id"],
        client_id=found["client_id"],
        host=found["client_host"].lstrip("/"),
        partitions=tuple(f"{place.topic}/{place.partition}" for place in _partitions(found)),
    )


def _offset(
    place: TopicPartition,
    committed: Offsets,
    ends: Offsets,
    owners: Mapping[TopicPartition, Mapping[str, Any]],
) -> GroupOffset:
    at = committed.get(place, -1)
    end = ends.get(place)
    known = at >= 0 and end is not None
    return GroupOffset(
        topic=place.topic,
        partition=place.partition,
        committed=at if at >= 0 else None,
        end=end,
        lag=max(0, (end or 0) - at) if known else None,
        member=owners[place]["client_id"] if place in owners else None,
    )
