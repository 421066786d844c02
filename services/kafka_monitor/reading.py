"""A page of messages: from a position forward or backward, with a search that is bounded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from common.clock import Clock
from kafka_monitor.errors import KafkaAwayError
from kafka_monitor.model import MessagePage
from kafka_monitor.payload import matches, show_message
from kafka_monitor.query import MessageQuery

__all__ = ["Fetch", "Ranges", "Span", "fetch_ranges", "read_page", "written"]

Ranges = Mapping[int, tuple[int, int]]  # partition: first offset, offset after the last

_MAX_S = 4.0  # a page never takes longer, however much there is to search
_MAX_SEARCHED = 200_000
_MAX_WINDOW = 5_000  # offsets of one partition that are read at once: bounds memory
_PAGE_BYTES = 4_000_000  # values longer than their share are shown truncated
_POLL_MS = 200


class Fetch(Protocol):
    """Reads ranges until a moment of the monotonic clock."""

    def __call__(
        self, ranges: Ranges, deadline: float
    ) -> tuple[list[ConsumerRecord], dict[int, int]]:
        """Return what is in ``ranges``, and the next offset of each partition that was reached."""
        ...


@dataclass
class Span:
    """``bounds`` are the offsets that exist; between ``starts`` and ``edges`` was searched."""

    topic: str
    bounds: Ranges
    starts: Mapping[int, int]
    edges: dict[int, int] = field(init=False)
    searched: int = 0
    stopped_by: str | None = None

    def __post_init__(self) -> None:
        self.edges = dict(self.starts)

    def next_ranges(self, window: int, *, forward: bool) -> dict[int, tuple[int, int]]:
        """Return the next ``window`` offsets of each partition; nothing at the end."""
        ranges = {}
        for index, edge in self.edges.items():
            begin, end = self.bounds[index]
            ranges[index] = (
                (edge, min(edge + window, end)) if forward else (max(edge - window, begin), edge)
            )
        return {index: (low, high) for index, (low, high) in ranges.items() if low < high}


def read_page(fetch: Fetch, span: Span, query: MessageQuery, clock: Clock) -> MessagePage:
    """Read windows of growing size until the page is full, or the partitions or the budget end.

    Reading begins at ``span.starts`` forward, or before them backward. Raises `KafkaAwayError`
    when nothing comes.
    """
    deadline = clock.monotonic() + _MAX_S
    found: list[ConsumerRecord] = []
    window = query.limit
    needle = query.search.casefold()
    while len(found) < query.limit and span.stopped_by is None:
        ranges = span.next_ranges(window, forward=query.forward)
        if not ranges:
            break
        records = _read_window(fetch, span, ranges, deadline, forward=query.forward)
        found += [each for each in records if not needle or matches(each, needle)]
        window = min(window * 4, _MAX_WINDOW)
        if span.searched >= _MAX_SEARCHED:
            span.stopped_by = f"limit of {_MAX_SEARCHED:,} messages"
    if span.stopped_by and span.edges == dict(span.starts):
        raise KafkaAwayError(f"Kafka sent no message of {span.topic} within {_MAX_S:.0f} seconds")
    return _page(span, query, _in_order(found, forward=query.forward))


def fetch_ranges(
    consumer: KafkaConsumer, topic: str, clock: Clock, ranges: Ranges, deadline: float
) -> tuple[list[ConsumerRecord], dict[int, int]]:
    """Read ``ranges`` with ``consumer``; see `Fetch`."""
    open_places = [TopicPartition(topic, index) for index in ranges]
    consumer.assign(open_places)
    for place in open_places:
        consumer.seek(place, ranges[place.partition][0])
    records: list[ConsumerRecord] = []
    reached = {index: low for index, (low, _) in ranges.items()}
    while open_places and clock.monotonic() < deadline:
        # Not by pause(): kafka-python 3.0 loses what it holds of a paused partition after a seek.
        consumer.assign(open_places)
        for place, batch in consumer.poll(timeout_ms=_POLL_MS).items():
            high = ranges[place.partition][1]
            records += [record for record in batch if record.offset < high]
        for place in list(open_places):
            low, high = ranges[place.partition]
            position = consumer.position(place, timeout_ms=0) or low
            reached[place.partition] = min(position, high)
            if position >= high:
                open_places.remove(place)
    return records, reached


def written(positions: Mapping[int, int]) -> str:
    """Return ``positions`` as the parameter ``offset`` takes them."""
    return ",".join(f"{index}:{offset}" for index, offset in sorted(positions.items()))


def _read_window(
    fetch: Fetch, span: Span, ranges: Ranges, deadline: float, *, forward: bool
) -> list[ConsumerRecord]:
    records, reached = fetch(ranges, deadline)
    late = any(reached[index] < high for index, (_, high) in ranges.items())
    if late:
        span.stopped_by = f"limit of {_MAX_S:.0f} seconds"
    if forward:
        span.edges |= reached
    elif late:
        return []  # the newest of the window are missing: it was not searched
    else:
        span.edges |= {index: low for index, (low, _) in ranges.items()}
    span.searched += len(records)
    return records


def _page(span: Span, query: MessageQuery, ordered: list[ConsumerRecord]) -> MessagePage:
    shown, cut = ordered[: query.limit], ordered[query.limit :]
    edges = span.edges
    for record in cut:  # the next page begins with what did not fit
        if query.forward:
            edges[record.partition] = min(edges[record.partition], record.offset)
        else:
            edges[record.partition] = max(edges[record.partition], record.offset + 1)
    low, high = (span.starts, edges) if query.forward else (edges, span.starts)
    older = any(low[index] > begin for index, (begin, _) in span.bounds.items())
    newer = any(high[index] < end for index, (_, end) in span.bounds.items())
    return MessagePage(
        topic=span.topic,
        partitions=tuple(sorted(span.bounds)),
        messages=tuple(show_message(each, _PAGE_BYTES // query.limit) for each in shown),
        searched=span.searched,
        available=sum(end - begin for begin, end in span.bounds.values()),
        stopped_by=span.stopped_by,
        older=written(low) if older else None,
        newer=written(high) if newer else None,
    )


def _in_order(records: Iterable[ConsumerRecord], *, forward: bool) -> list[ConsumerRecord]:
    """Sort by time, but never against the offsets of a partition: producers' clocks may jump."""
    keyed = []
    seen: dict[int, int] = {}
    for record in sorted(records, key=lambda each: int(each.offset), reverse=not forward):
        last = seen.get(record.partition, record.timestamp)
        seen[record.partition] = (max if forward else min)(last, record.timestamp)
        keyed.append((seen[record.partition], record.partition, record.offset, record))
    keyed.sort(key=lambda each: each[:3], reverse=not forward)
    return [each[3] for each in keyed]
