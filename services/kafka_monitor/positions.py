"""Where reading begins: the positions that a query asks for, checked against what exists."""

from collections.abc import Mapping

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from kafka_monitor.errors import BadInputError, KafkaAwayError, NotFoundError
from kafka_monitor.model import Topic
from kafka_monitor.query import MessageQuery
from kafka_monitor.reading import Ranges, Span

__all__ = ["locate"]


def locate(admin: KafkaAdminClient, topic: Topic, query: MessageQuery) -> Span:
    """Return where to read. Raises `BadInputError`, `NotFoundError` or `KafkaAwayError`."""
    bounds = _bounds(topic, query.partition)
    if query.origin == "time":
        return Span(topic.name, bounds, _at_time(admin, topic.name, bounds, query.time_ms or 0))
    if query.positions:
        return Span(topic.name, bounds, _at_offsets(topic.name, bounds, query.positions))
    edge = 0 if query.forward else 1
    return Span(topic.name, bounds, {index: limits[edge] for index, limits in bounds.items()})


def _bounds(topic: Topic, partition: int | None) -> dict[int, tuple[int, int]]:
    chosen = [each for each in topic.partitions if partition in (None, each.index)]
    if not chosen:
        last = len(topic.partitions) - 1
        raise NotFoundError(f"{topic.name} has no partition {partition}; type one from 0 to {last}")
    bounds = {
        each.index: (each.begin, each.end)
        for each in chosen
        if each.begin is not None and each.end is not None
    }
    if not bounds:
        raise KafkaAwayError(f"{topic.name} has no leader at the moment")
    return bounds


def _at_time(admin: KafkaAdminClient, topic: str, bounds: Ranges, time_ms: int) -> dict[int, int]:
    asked = {TopicPartition(topic, index): time_ms for index in bounds}
    found = admin.list_partition_offsets(asked, timeout_ms=2_000)
    # -1: nothing that new, so reading begins (and ends) at the end.
    return {
        place.partition: answer.offset if answer.offset >= 0 else bounds[place.partition][1]
        for place, answer in found.items()
    }


def _at_offsets(topic: str, bounds: Ranges, given: Mapping[int | None, int]) -> dict[int, int]:
    if None in given and len(bounds) > 1:
        raise BadInputError(
            f"{topic} has {len(bounds)} partitions; add partition=, or type partition:offset "
            "for each, for example 0:120,1:80"
        )
    only = next(iter(bounds))
    starts = {only if index is None else index: offset for index, offset in given.items()}
    for index, offset in starts.items():
        if index not in bounds:
            raise NotFoundError(f"{topic} has no partition {index} that can be read")
        begin, end = bounds[index]
        if not begin <= offset <= end:
            raise BadInputError(
                f"offset {offset} is out of range: {topic}/{index} has {begin} to {end}"
            )
    return {index: starts.get(index, begin) for index, (begin, _) in bounds.items()}
