"""Each wrong parameter gives one message that names it; right ones mean what they say."""

from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.exceptions import BadRequest

from kafka_monitor.query import parse_query


def test_nothing_given_means_the_last_fifty() -> None:
    query = parse_query({})
    assert (query.origin, query.limit, query.partition, query.search) == ("end", 50, None, "")
    assert not query.forward


def test_fields_left_empty_in_the_form_count_as_absent() -> None:
    given = dict.fromkeys(("from", "partition", "offset", "time", "limit", "search"), " ")
    assert parse_query(given) == parse_query({})


@pytest.mark.parametrize(
    ("written", "positions"),
    [("7", {None: 7}), ("0:7", {0: 7}), ("0:7,12:9", {0: 7, 12: 9}), (" 0:7 , 1:8 ", {0: 7, 1: 8})],
)
def test_offsets(written: str, positions: dict[int | None, int]) -> None:
    query = parse_query({"from": "offset", "offset": written})
    assert query.offset == positions
    assert query.forward


@pytest.mark.parametrize(
    ("written", "millis"),
    [
        ("1738324800000", 1738324800000),
        ("2025-01-31T12:00:00Z", 1738324800000),
        ("2025-01-31T12:00", 1738324800000),
        ("2025-01-31T13:00:00+01:00", 1738324800000),
        ("2025-01-31", 1738281600000),
    ],
)
def test_times(written: str, millis: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)
    assert parse_query({"from": "time", "time": written}).time == moment


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"form": "end"}, "unknown parameter 'form'; type one of from, limit"),
        ({"from": "middle"}, "from='middle' is wrong; type one of end, beginning"),
        ({"limit": "0"}, "limit='0' is wrong; type a whole number from 1 to 500"),
        ({"limit": "501"}, "from 1 to 500"),
        ({"limit": "9" * 400}, "from 1 to 500"),
        ({"limit": "²"}, "from 1 to 500"),
        ({"partition": "-1"}, "partition='-1' is wrong"),
        ({"from": "offset"}, "from=offset needs offset="),
        ({"from": "before", "offset": "x"}, "partition:offset for each partition"),
        ({"from": "offset", "offset": "-5"}, "offset='-5' is wrong"),
        ({"from": "offset", "offset": "9223372036854775808"}, "is wrong"),
        ({"from": "time"}, "from=time needs time="),
        ({"from": "time", "time": "noon"}, "time='noon' is wrong; type 2025-01-31T12:00:00Z"),
        ({"from": "time", "time": "1960-01-01"}, "is wrong; type 2025"),
        ({"from": "time", "time": "0001-01-01T00:00:00+23:00"}, "is wrong; type 2025"),
        ({"search": "x" * 201}, "is wrong; type at most 200 characters"),
        ({"x" * 500: "1"}, "unknown parameter 'xxx"),
        ({"from": "offset", "offset": "0:1:2"}, "partition:offset for each partition"),
    ],
)
def test_wrong_input_is_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_query(given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
