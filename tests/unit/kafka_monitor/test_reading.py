"""Pages: each message exactly once in either direction, whatever the gaps, clocks and sizes."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.consumer.fetcher import ConsumerRecord
from tests.unit.kafka_monitor.records import record
from werkzeug.exceptions import ServiceUnavailable

from common.clock import SystemClock
from kafka_monitor.messages import Ranges, Span, read_page
from kafka_monitor.query import parse_query

Page = dict[str, Any]
Log = Mapping[int, list[ConsumerRecord]]
CLOCK = SystemClock()


class FakeFetch:
    """Answers from memory; beyond ``slow_after`` calls it reaches nothing in time."""

    def __init__(self, log: Log, slow_after: int = 10**9) -> None:
        self._log = log
        self._calls_left = slow_after
        self.asked = 0

    def __call__(
        self, ranges: Ranges, deadline: float
    ) -> tuple[list[ConsumerRecord], dict[int, int]]:
        self._calls_left -= 1
        if self._calls_left < 0:
            return [], {index: low for index, (low, _) in ranges.items()}
        self.asked += sum(high - low for low, high in ranges.values())
        found = [
            each
            for index, (low, high) in ranges.items()
            for each in self._log[index]
            if low <= each.offset < high
        ]
        return found, {index: high for index, (_, high) in ranges.items()}


def bounds_of(log: Log, end: int) -> dict[int, tuple[int, int]]:
    return {index: (records[0].offset if records else end, end) for index, records in log.items()}


def walk(log: Log, end: int, limit: int, *, forward: bool, search: str = "") -> list[Page]:
    bounds = bounds_of(log, end)
    starts = {index: begin if forward else end for index, (begin, end) in bounds.items()}
    origin = "beginning" if forward else "end"
    pages = []
    while True:
        query = parse_query({"from": origin, "limit": str(limit), "search": search})
        page = read_page(FakeFetch(log), Span("t", bounds, starts), query, CLOCK)
        pages.append(page)
        cursor = page["newer" if forward else "older"]
        if cursor is None:
            return pages
        assert len(pages) < 1000
        named = parse_query({"from": "offset", "offset": cursor}).offset or {}
        starts = {index: offset for index, offset in named.items() if index is not None}


logs = st.dictionaries(
    st.integers(min_value=0, max_value=3),
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=30, max_size=30),
    min_size=1,
).map(
    lambda drawn: {
        partition: [
            record(offset, b"even" if offset % 2 == 0 else b"odd", partition=partition, timestamp=t)
            for offset, (kept, t) in enumerate(messages)
            if kept  # what is not kept was compacted away
        ]
        for partition, messages in drawn.items()
    }
)


@given(logs, st.integers(1, 40), st.booleans(), st.sampled_from(["", "EVEN", "nothing"]))
def test_all_pages_together_show_each_match_once(
    log: Log, limit: int, forward: bool, search: str
) -> None:
    pages = walk(log, 30, limit, forward=forward, search=search)
    shown = [(m["partition"], m["offset"]) for page in pages for m in page["messages"]]
    wanted = [
        (each.partition, each.offset)
        for records in log.values()
        for each in records
        if search.lower() in (each.value or b"").decode()
    ]
    assert sorted(shown) == sorted(wanted)
    for partition in log:
        offsets = [offset for index, offset in shown if index == partition]
        assert offsets == sorted(offsets, reverse=not forward)
    assert all(len(page["messages"]) <= limit for page in pages)


def test_the_end_of_several_partitions_is_the_newest_first() -> None:
    log = {
        0: [record(offset, timestamp=10 * offset) for offset in range(100)],
        1: [record(offset, partition=1, timestamp=10 * offset + 5) for offset in range(100)],
    }
    page = walk(log, 100, 4, forward=False)[0]
    assert [(m["partition"], m["offset"]) for m in page["messages"]] == [
        (1, 99),
        (0, 99),
        (1, 98),
        (0, 98),
    ]
    assert (page["older"], page["newer"]) == ("0:98,1:98", None)


def test_a_search_says_how_far_it_came() -> None:
    log = {0: [record(offset, b"x") for offset in range(1000)]}
    bounds = bounds_of(log, 1000)
    query = parse_query({"search": "needle", "limit": "10"})
    page = read_page(FakeFetch(log, slow_after=3), Span("t", bounds, {0: 1000}), query, CLOCK)
    assert page["stopped_by"] == "limit of 4 seconds"
    assert page["searched"] == 10 + 40 + 160
    assert page["older"] == "0:790"
    assert page["available"] == 1000


def test_a_search_ends_at_a_number_of_messages() -> None:
    class Endless(FakeFetch):
        def __call__(
            self, ranges: Ranges, deadline: float
        ) -> tuple[list[ConsumerRecord], dict[int, int]]:
            ((low, high),) = ranges.values()
            return [record(low, b"x")] * (high - low), {0: high}

    query = parse_query({"search": "needle", "from": "beginning"})
    page = read_page(Endless({}), Span("t", {0: (0, 10**9)}, {0: 0}), query, CLOCK)
    assert page["stopped_by"] == "limit of 200,000 messages"
    assert 200_000 <= page["searched"] <= 205_000
    assert page["newer"] == f"0:{page['searched']}"


def test_kafka_that_sends_nothing_is_away() -> None:
    log = {0: [record(0)]}
    with pytest.raises(ServiceUnavailable, match="no message of t within 4 seconds"):
        read_page(
            FakeFetch(log, slow_after=0), Span("t", {0: (0, 1)}, {0: 1}), parse_query({}), CLOCK
        )


def test_a_page_of_few_messages_reads_few() -> None:
    log = {0: [record(offset) for offset in range(10_000)]}
    fetch = FakeFetch(log)
    read_page(fetch, Span("t", {0: (0, 10_000)}, {0: 10_000}), parse_query({"limit": "5"}), CLOCK)
    assert fetch.asked == 5


def test_large_values_are_cut_to_their_share_of_the_page() -> None:
    log = {0: [record(0, b"x" * 1_000_000)]}
    span = Span("t", {0: (0, 1)}, {0: 1})
    many = read_page(FakeFetch(log), span, parse_query({"limit": "500"}), CLOCK)
    alone = read_page(
        FakeFetch(log), Span("t", {0: (0, 1)}, {0: 1}), parse_query({"limit": "1"}), CLOCK
    )
    assert shown(many) == (8000, True)
    assert shown(alone) == (10**6, False)


def shown(page: Page) -> tuple[int, bool]:
    value = page["messages"][0]["value"]
    return len(value["text"]), value["truncated"]


def test_clocks_that_jump_do_not_turn_the_order_of_a_partition() -> None:
    log = {0: [record(0, timestamp=90), record(1, timestamp=10), record(2, timestamp=95)]}
    for forward in (True, False):
        page = walk(log, 3, 10, forward=forward)[0]
        assert [m["offset"] for m in page["messages"]] == ([0, 1, 2] if forward else [2, 1, 0])
