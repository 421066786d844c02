"""Messages: pages of them, forward or backward, with a search that is bounded; and as they come."""

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.fetcher import ConsumerRecord
from werkzeug.exceptions import BadRequest, NotFound, ServiceUnavailable

from common.clock import Clock, to_micros
from common.health import Check
from kafka_monitor.cluster import offsets_at, topics
from kafka_monitor.payload import matches, show_message
from kafka_monitor.query import MessageQuery

__all__ = ["Span", "fetch_ranges", "locate", "read_page", "tail"]

Ranges = Mapping[int, tuple[int, int]]  # partition: first offset, offset after the last
Fetched = tuple[list[ConsumerRecord], dict[int, int]]  # and how far each partition was read

_MAX_S = 4.0  # a page never takes longer, however much there is to search
_MAX_SEARCHED = 200_000
_MAX_WINDOW = 5_000  # offsets of one partition that are read at once: bounds memory
_PAGE_BYTES = 4_000_000  # values longer than their share are shown truncated
_POLL_MS = 200

_TAIL_POLL_MS = 500  # how long a stop may have to wait
_TAIL_BATCH = 100
_TAIL_BACKLOG = 1_000  # messages behind the end; beyond, a person could not follow anyway
_TAIL_BYTES = 64_000  # of a value


@dataclass(frozen=True)
class Span:
    """Where to read: ``bounds`` are the offsets that exist."""

    topic: str
    bounds: Ranges
    starts: Mapping[int, int]


def locate(admin: KafkaAdminClient, name: str, query: MessageQuery) -> Span:
    """Return where ``query`` begins in the topic ``name``; raises `HTTPException`."""
    partitions = topics(admin, [name], sized=False)[0]["partitions"]
    chosen = [each for each in partitions if query.partition in (None, each["index"])]
    if not chosen:
        last = len(partitions) - 1
        raise NotFound(f"{name} has no partition {query.partition}; type one from 0 to {last}")
    led = [each for each in chosen if None not in (each["begin"], each["end"])]
    if not led:
        raise ServiceUnavailable(f"{name} has no leader at the moment")
    bounds = {each["index"]: (each["begin"], each["end"]) for each in led}
    starts = {index: begin if query.forward else end for index, (begin, end) in bounds.items()}
    if query.origin == "time" and query.time:
        millis = to_micros(query.time) // 1000
        found = offsets_at(admin, {TopicPartition(name, index): millis for index in bounds})
        # Without a message that new, reading begins (and ends) at the end.
        ends = {index: end for index, (_, end) in bounds.items()}
        starts = ends | {place.partition: at for place, at in found.items() if at >= 0}
    elif query.origin in ("offset", "before") and query.offset:
        begins = {index: begin for index, (begin, _) in bounds.items()}
        starts = begins | _checked(name, bounds, query.offset)
    return Span(name, bounds, starts)


def _checked(topic: str, bounds: Ranges, given: Mapping[int | None, int]) -> dict[int, int]:
    if None in given and len(bounds) > 1:
        raise BadRequest(
            f"{topic} has {len(bounds)} partitions; add partition=, or type partition:offset "
            "for each, for example 0:120,1:80"
        )
    only = next(iter(bounds))
    starts = {only if index is None else index: offset for index, offset in given.items()}
    for index, offset in starts.items():
        if index not in bounds:
            raise NotFound(f"{topic} has no partition {index} that can be read")
        begin, end = bounds[index]
        if not begin <= offset <= end:
            fault = f"offset {offset} is out of range: {topic}/{index} has {begin} to {end}"
            raise BadRequest(fault)
    return starts


def fetch_ranges(
    consumer: KafkaConsumer, topic: str, clock: Clock, ranges: Ranges, deadline: float
) -> Fetched:
    """Read ``ranges`` until ``deadline``, a moment of the monotonic clock."""
    reached = {index: low for index, (low, _) in ranges.items()}
    places = _seek(consumer, topic, reached)
    records: list[ConsumerRecord] = []
    while places and clock.monotonic() < deadline:
        # Not by pause(): kafka-python 3.0 loses what it holds of a paused partition after a seek.
        consumer.assign(places)
        for place, batch in consumer.poll(timeout_ms=_POLL_MS).items():
            records += [each for each in batch if each.offset < ranges[place.partition][1]]
        for place in list(places):
            low, high = ranges[place.partition]
            reached[place.partition] = min(_position(consumer, place) or low, high)
            if reached[place.partition] == high:
                places.remove(place)
    return records, reached


def read_page(
    fetch: Callable[[Ranges, float], Fetched], span: Span, query: MessageQuery, clock: Clock
) -> dict[str, Any]:
    """Read windows of growing size until the page is full, or the partitions or the budget end.

    Reading begins at ``span.starts`` forward, or before them backward. Raises `ServiceUnavailable`
    when nothing comes.
    """
    deadline = clock.monotonic() + _MAX_S
    edges = dict(span.starts)  # between the starts and these was searched
    found: list[ConsumerRecord] = []
    searched, window, stopped_by = 0, query.limit, None
    while len(found) < query.limit and stopped_by is None:
        ranges = _next_ranges(span.bounds, edges, window, query.forward)
        if not ranges:
            break
        records, reached = fetch(ranges, deadline)
        if any(reached[index] < high for index, (_, high) in ranges.items()):
            stopped_by = f"limit of {_MAX_S:.0f} seconds"
            if not query.forward:
                break  # the newest of the window are missing: it was not searched
        edges |= reached if query.forward else {index: low for index, (low, _) in ranges.items()}
        searched += len(records)
        found += _matching(records, query.search)
        window = min(window * 4, _MAX_WINDOW)
        if searched >= _MAX_SEARCHED:
            stopped_by = stopped_by or f"limit of {_MAX_SEARCHED:,} messages"
    if stopped_by and edges == span.starts:
        raise ServiceUnavailable(
            f"Kafka sent no message of {span.topic} within {_MAX_S:.0f} seconds"
        )
    page = _page(span, query, edges, _in_order(found, forward=query.forward))
    return page | {"searched": searched, "stopped_by": stopped_by}


def _next_ranges(bounds: Ranges, edges: Mapping[int, int], window: int, forward: bool) -> Ranges:
    """Return the next ``window`` offsets of each partition; nothing at the end."""
    if forward:
        ranges = {i: (edge, min(edge + window, bounds[i][1])) for i, edge in edges.items()}
    else:
        ranges = {i: (max(edge - window, bounds[i][0]), edge) for i, edge in edges.items()}
    return {i: (low, high) for i, (low, high) in ranges.items() if low < high}


def _page(
    span: Span, query: MessageQuery, edges: dict[int, int], ordered: list[ConsumerRecord]
) -> dict[str, Any]:
    """Return the page; ``older`` and ``newer`` are values for ``offset``, None at the edge."""
    for record in ordered[query.limit :]:  # the next page begins with what does not fit
        if query.forward:
            edges[record.partition] = min(edges[record.partition], record.offset)
        else:
            edges[record.partition] = max(edges[record.partition], record.offset + 1)
    low, high = (span.starts, edges) if query.forward else (edges, span.starts)
    older = any(low[index] > begin for index, (begin, _) in span.bounds.items())
    newer = any(high[index] < end for index, (_, end) in span.bounds.items())
    share = _PAGE_BYTES // query.limit
    return {
        "topic": span.topic,
        "partitions": sorted(span.bounds),
        "messages": [show_message(each, share) for each in ordered[: query.limit]],
        "available": sum(end - begin for begin, end in span.bounds.values()),
        "older": _written(low) if older else None,
        "newer": _written(high) if newer else None,
    }


def _in_order(records: Iterable[ConsumerRecord], *, forward: bool) -> list[ConsumerRecord]:
    """Merge by time, but never against the offsets of a partition: producers' clocks may jump."""
    by_offset = sorted(records, key=lambda each: (each.partition, each.offset), reverse=not forward)
    runs = [list(run) for _, run in groupby(by_offset, key=lambda each: each.partition)]
    return list(heapq.merge(*runs, key=lambda each: each.timestamp, reverse=not forward))


def tail(
    consumer: KafkaConsumer,
    span: Span,
    search: str,
    stopping: Callable[[], bool],
    check: Callable[[], Check],
) -> Iterator[bytes]:
    """Yield server-sent events until ``stopping``: messages, skipped, and kafka when it goes.

    Kafka itself is the queue: a client that reads slowly is simply asked later, and one that falls
    far behind is moved on and told so. Nothing is kept here for it.
    """
    places = _seek(consumer, span.topic, span.starts)

    def event(kind: str, data: object) -> bytes:
        # The id lets a client that lost its connection, or its slot, go on where it was.
        position = _written({place.partition: _position(consumer, place) for place in places})
        return f"event: {kind}\nid: {position}\ndata: {json.dumps(data)}\n\n".encode()

    yield b"retry: 1000\n\n"
    answers = True
    while not stopping():
        if (now := check()).ok != answers:
            answers = now.ok
            yield event("kafka", {"ok": now.ok, "detail": now.detail})
        if skipped := sum(_skip_backlog(consumer, place) for place in places):
            yield event("skipped", {"count": skipped})
        polled = consumer.poll(timeout_ms=_TAIL_POLL_MS, max_records=_TAIL_BATCH)
        records = [record for batch in polled.values() for record in batch]
        found = _in_order(_matching(records, search), forward=True)
        # One without messages shows us that the client has gone, and the client that we are there.
        yield event("messages", [show_message(each, _TAIL_BYTES) for each in found])


def _skip_backlog(consumer: KafkaConsumer, place: TopicPartition) -> int:
    position, end = _position(consumer, place), consumer.highwater(place) or 0
    if end - position <= _TAIL_BACKLOG:
        return 0
    consumer.seek(place, end - _TAIL_BATCH)
    return end - _TAIL_BATCH - position


def _matching(records: list[ConsumerRecord], search: str) -> list[ConsumerRecord]:
    needle = search.casefold()
    return [each for each in records if matches(each, needle)] if needle else records


def _seek(consumer: KafkaConsumer, topic: str, starts: Mapping[int, int]) -> list[TopicPartition]:
    places = [TopicPartition(topic, index) for index in starts]
    consumer.assign(places)
    for place in places:
        consumer.seek(place, starts[place.partition])
    return places


def _position(consumer: KafkaConsumer, place: TopicPartition) -> int:
    return int(consumer.position(place, timeout_ms=0) or 0)


def _written(positions: Mapping[int, int]) -> str:
    """Return ``positions`` as the parameter ``offset`` takes them."""
    return ",".join(f"{index}:{offset}" for index, offset in sorted(positions.items()))
