"""The views, each a function from what the URL says to what is shown, as HTML or JSON."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from common.clock import Clock
from kafka_monitor.groups import describe_group, describe_groups
from kafka_monitor.link import KafkaLink
from kafka_monitor.model import Cluster, Group, Groups, MessagePage, TopicDetail, Topics
from kafka_monitor.positions import locate
from kafka_monitor.query import parse_query
from kafka_monitor.readers import ReaderPool
from kafka_monitor.reading import fetch_ranges, read_page
from kafka_monitor.tail import Tail
from kafka_monitor.topics import (
    LogDirs,
    describe_cluster,
    describe_topic,
    describe_topics,
    find_topic,
)

__all__ = ["Views"]

Parameters = Mapping[str, str]


@dataclass
class Views:
    """Raise `kafka_monitor.errors.MonitorError` or `kafka.errors.KafkaError`."""

    link: KafkaLink
    readers: ReaderPool
    tails: ReaderPool
    clock: Clock
    stopping: Callable[[], bool] = lambda: False

    def cluster(self, _given: Parameters) -> Cluster:
        """Return brokers and totals."""
        return describe_cluster(self.link.admin)

    def topics(self, _given: Parameters) -> Topics:
        """Return all topics."""
        admin = self.link.admin
        return Topics(tuple(describe_topics(admin, LogDirs.of(admin.describe_log_dirs()))))

    def topic(self, _given: Parameters, name: str) -> TopicDetail:
        """Return one topic with its configuration."""
        return describe_topic(self.link.admin, name)

    def groups(self, _given: Parameters) -> Groups:
        """Return all consumer groups."""
        return Groups(tuple(describe_groups(self.link.admin)))

    def group(self, _given: Parameters, name: str) -> Group:
        """Return one consumer group."""
        return describe_group(self.link.admin, name)

    def messages(self, given: Parameters, name: str) -> MessagePage:
        """Return the page of messages that ``given`` asks for."""
        query = parse_query(given)
        span = locate(self.link.admin, find_topic(self.link.admin, name), query)
        with self.readers.borrow() as consumer:
            fetch = partial(fetch_ranges, consumer, name, self.clock)
            return read_page(fetch, span, query, self.clock)

    @contextmanager
    def tail(
        self, given: Parameters, name: str, last_event_id: str | None
    ) -> Iterator[Iterator[bytes]]:
        """Lend a consumer to the events from the end on, or from where the client was."""
        if last_event_id:
            given = {**given, "from": "offset", "offset": last_event_id}
        query = parse_query(given)
        span = locate(self.link.admin, find_topic(self.link.admin, name), query)
        with self.tails.borrow() as consumer:
            tail = Tail(consumer, name, span.starts, query.search, self.clock)
            yield tail.events(self.stopping, self.link.check)
