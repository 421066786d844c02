"""What the admin client answers, as the views show it; faults that one broker cannot show."""

import pytest
from tests.unit.kafka_monitor.fake_admin import FakeAdmin

from kafka_monitor.errors import BadInputError, NotFoundError
from kafka_monitor.groups import describe_group, describe_groups
from kafka_monitor.positions import locate
from kafka_monitor.query import parse_query
from kafka_monitor.topics import describe_cluster, describe_topic, find_topic

ADMIN = FakeAdmin()


def test_cluster() -> None:
    cluster = describe_cluster(ADMIN)
    assert [broker.id for broker in cluster.brokers] == [0, 1]
    assert [broker.controller for broker in cluster.brokers] == [False, True]
    first = cluster.brokers[0]
    assert (first.leaders, first.replicas, first.size) == (2, 2, 200)
    assert (first.disk_free, first.disk_total) == (400, 1000)
    assert (cluster.topics, cluster.partitions, cluster.messages) == (3, 4, 23)
    assert (cluster.under_replicated, cluster.offline) == (2, 1)
    assert cluster.size == 100 + 200 + 200 + 100


def test_topic_with_a_lost_replica_and_a_lost_leader() -> None:
    topic = describe_topic(ADMIN, "prices").topic
    healthy, lost = topic.partitions
    assert (healthy.index, healthy.leader, healthy.begin, healthy.end) == (0, 0, 5, 25)
    assert (healthy.replicas, healthy.isr, healthy.size) == ((0, 1, 2), (0, 1), 100)
    assert (lost.leader, lost.begin, lost.end, lost.isr) == (None, None, None, ())
    assert (topic.messages, topic.size, topic.replication) == (20, 300, 3)
    assert (topic.under_replicated, topic.offline) == (2, 1)


def test_configuration_says_what_differs_and_hides_secrets() -> None:
    config = describe_topic(ADMIN, "prices").config
    assert [(each.name, each.value, each.default, each.source) for each in config] == [
        ("retention.ms", "60000", "604800000", "topic"),
        ("secret", None, None, "topic"),
        ("segment.bytes", "1000", "1073741824", "broker"),
        ("cleanup.policy", "delete", "delete", "default"),
    ]


def test_unknown_names() -> None:
    with pytest.raises(NotFoundError, match="no topic 'nope'"):
        describe_topic(ADMIN, "nope")
    with pytest.raises(NotFoundError, match="no consumer group 'nope'"):
        describe_group(ADMIN, "nope")


def test_groups() -> None:
    left, new, readers = describe_groups(ADMIN)
    assert (readers.id, readers.state, readers.assignor, readers.lag) == (
        "readers",
        "Stable",
        "range",
        5,
    )
    owned, leaderless = readers.offsets
    assert (owned.committed, owned.end, owned.lag, owned.member) == (20, 25, 5, "reader-0")
    assert (leaderless.committed, leaderless.end, leaderless.lag) == (3, None, None)
    assert readers.members[0].partitions == ("prices/0",)
    assert readers.members[0].host == "10.0.0.9"
    # A topic that was deleted has no lag; an offset beyond the end is no negative lag.
    assert [(each.topic, each.end, each.lag) for each in left.offsets] == [
        ("deleted", None, None),
        ("quiet", 0, 0),
    ]
    assert (new.lag, new.offsets, new.members[0].partitions) == (None, (), ())


@pytest.mark.parametrize(
    ("given", "starts"),
    [
        ({}, {0: 25}),
        ({"from": "beginning"}, {0: 5}),
        ({"from": "offset", "offset": "7", "partition": "0"}, {0: 7}),
        ({"from": "before", "offset": "0:25"}, {0: 25}),
        ({"from": "time", "time": "500"}, {0: 15}),
        ({"from": "time", "time": "2000"}, {0: 25}),
    ],
)
def test_where_reading_begins(given: dict[str, str], starts: dict[int, int]) -> None:
    span = locate(ADMIN, find_topic(ADMIN, "prices"), parse_query(given))
    assert span.starts == starts
    assert span.bounds == {0: (5, 25)}  # the partition without leader is left out


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"from": "offset", "offset": "26"}, BadInputError, "prices/0 has 5 to 25"),
        ({"from": "offset", "offset": "4"}, BadInputError, "offset 4 is out of range"),
        ({"from": "offset", "offset": "1:0"}, NotFoundError, "no partition 1 that can be read"),
        ({"partition": "2"}, NotFoundError, "no partition 2; type one from 0 to 1"),
    ],
)
def test_positions_that_do_not_exist(
    given: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        locate(ADMIN, find_topic(ADMIN, "prices"), parse_query(given))
