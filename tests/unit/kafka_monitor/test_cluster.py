"""What the admin client answers, as the views show it; faults that one broker cannot show."""

from typing import Any

import pytest
from tests.unit.kafka_monitor.fake_admin import FakeAdmin
from werkzeug.exceptions import BadRequest, NotFound

from kafka_monitor.cluster import View, cluster, group, groups, topic
from kafka_monitor.messages import locate
from kafka_monitor.query import parse_query

ADMIN = FakeAdmin()


def take(view: View, *names: str) -> tuple[Any, ...]:
    return tuple(view[name] for name in names)


def test_cluster() -> None:
    found = cluster(ADMIN)
    assert [broker["id"] for broker in found["brokers"]] == [0, 1]
    assert [broker["controller"] for broker in found["brokers"]] == [False, True]
    assert take(found["brokers"][0], "host", "port") == ("host0", 9092)
    assert take(found["brokers"][0], "leaders", "replicas", "size") == (2, 2, 200)
    assert take(found, "topics", "partitions", "messages") == (3, 4, 23)
    assert take(found, "under_replicated", "offline") == (2, 1)
    assert found["size"] == 100 + 200 + 200 + 100


def test_topic_with_a_lost_replica_and_a_lost_leader() -> None:
    found = topic(ADMIN, "prices")["topic"]
    healthy, lost = found["partitions"]
    assert take(healthy, "index", "leader", "begin", "end") == (0, 0, 5, 25)
    assert take(healthy, "replicas", "isr", "size") == ([0, 1, 2], [0, 1], 100)
    assert healthy["sizes"] == {0: 100, 1: 200}
    assert take(lost, "leader", "begin", "end", "isr") == (None, None, None, [])
    assert take(found, "messages", "size", "replication") == (20, 300, 3)
    assert take(found, "under_replicated", "offline") == (2, 1)


def test_configuration_says_what_differs_and_hides_secrets() -> None:
    config = topic(ADMIN, "prices")["config"]
    assert [take(each, "name", "value", "default", "source") for each in config] == [
        ("retention.ms", "60000", "604800000", "topic"),
        ("secret", None, None, "topic"),
        ("segment.bytes", "1000", "1073741824", "broker"),
        ("cleanup.policy", "delete", "delete", "default"),
    ]


def test_unknown_names() -> None:
    with pytest.raises(NotFound, match="no topic 'nope'"):
        topic(ADMIN, "nope")
    with pytest.raises(NotFound, match="no consumer group 'nope'"):
        group(ADMIN, "nope")


def test_groups() -> None:
    left, new, readers = groups(ADMIN)
    assert take(readers, "id", "state", "assignor", "lag") == ("readers", "Stable", "range", 5)
    assert group(ADMIN, "readers") == readers
    owned, leaderless = readers["offsets"]
    assert take(owned, "committed", "end", "lag", "member") == (20, 25, 5, "reader-0")
    assert take(leaderless, "committed", "end", "lag") == (3, None, None)
    assert readers["members"][0]["partitions"] == ["prices/0"]
    assert readers["members"][0]["host"] == "10.0.0.9"
    # A topic that was deleted has no lag; an offset beyond the end is no negative lag.
    assert [take(each, "topic", "end", "lag") for each in left["offsets"]] == [
        ("deleted", None, None),
        ("quiet", 0, 0),
    ]
    assert (new["lag"], new["offsets"], new["members"][0]["partitions"]) == (None, [], [])


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
    span = locate(ADMIN, "prices", parse_query(given))
    assert span.starts == starts
    assert span.bounds == {0: (5, 25)}  # the partition without leader is left out


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"from": "offset", "offset": "26"}, BadRequest, "prices/0 has 5 to 25"),
        ({"from": "offset", "offset": "4"}, BadRequest, "offset 4 is out of range"),
        ({"from": "offset", "offset": "1:0"}, NotFound, "no partition 1 that can be read"),
        ({"partition": "2"}, NotFound, "no partition 2; type one from 0 to 1"),
    ],
)
def test_positions_that_do_not_exist(
    given: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        locate(ADMIN, "prices", parse_query(given))
