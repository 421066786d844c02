"""Replicas share the symbols through a consumer group, also while Kafka is away."""

import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.collector_bench import Bench, Service, bench_in, eventually
from tests.support.kafka_cluster import KafkaCluster

pytestmark = pytest.mark.integration

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD")


@pytest.fixture
def bench(kafka: KafkaCluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    kafka.start()
    name, listed = request.node.name, ",".join(SYMBOLS)
    with bench_in(tmp_path, kafka, name, partitions=3, SYMBOLS=listed) as bench:
        yield bench


def replica(bench: Bench, disk: Path, slot: int = 0) -> Service:
    """Start a collector whose spool is on a disk of its own, as on another machine."""
    return bench.collector(SYMBOLS=",".join(SYMBOLS), SPOOL_DIR=str(disk), SLOT=str(slot))


def symbols(collector: Service) -> set[str]:
    share = collector.get("/status")[1].get("share", {"symbols": []})
    return set(share["symbols"])


def shared(*collectors: Service) -> bool:
    """Return whether each symbol has exactly one collector, and each collector has some."""
    shares = [symbols(each) for each in collectors]
    return all(shares) and sorted(s for share in shares for s in share) == sorted(SYMBOLS)


def test_two_replicas_take_a_share_each_and_the_other_s_when_one_is_killed(
    bench: Bench, tmp_path: Path
) -> None:
    first = replica(bench, tmp_path / "a")
    eventually(lambda: symbols(first) == set(SYMBOLS), "all symbols with the only one")
    second = replica(bench, tmp_path / "b", 1)
    eventually(lambda: shared(first, second), "a share for each")
    second.wait_delivered(6)
    time.sleep(2)  # what lingered has ended
    counts = len(bench.sequences()), len(set(bench.sequences()))
    second.wait_delivered(8)
    repeats_then = counts[0] - counts[1]
    now = bench.sequences()
    assert len(now) - len(set(now)) == repeats_then  # nothing twice while both are there
    first.end(signal.SIGKILL)
    killed_at = time.monotonic()
    eventually(lambda: symbols(second) == set(SYMBOLS), "all symbols with the one that is left")
    assert time.monotonic() - killed_at < 10
    second.wait_delivered(8)
    second.end()
    for symbol in SYMBOLS:
        found = sorted(set(bench.sequences(symbol)))
        longest = max(after - before for before, after in pairwise(found))
        assert longest <= 10_000_000 + bench.missed_us, symbol


def test_a_topic_that_is_made_after_the_collector_has_joined_is_shared_soon(
    bench: Bench, kafka: KafkaCluster, tmp_path: Path
) -> None:
    topic = f"{bench.topics[0]}-later"
    early = bench.collector(
        TOPIC_PRICES=topic, COLLECTOR_GROUP=topic, SPOOL_DIR=str(tmp_path / "a")
    )
    eventually(lambda: topic in early.log.read_text(), "a word about the topic")
    time.sleep(3)
    assert symbols(early) == set()
    kafka.create_topics([topic], 3)
    eventually(lambda: bool(symbols(early)), "a share of the new topic", 15)
    early.wait_delivered(2)
    early.end()


def test_rolling_hand_over_between_machines_loses_no_second(bench: Bench, tmp_path: Path) -> None:
    first = replica(bench, tmp_path / "a")
    first.wait_ready("active")
    second = replica(bench, tmp_path / "b", 1)
    eventually(lambda: shared(first, second), "a share for each")
    first.wait_delivered(8)
    took = first.end()
    assert took < 6
    eventually(lambda: symbols(second) == set(SYMBOLS), "all symbols with the successor", 2)
    second.wait_delivered(12)
    second.end()
    for symbol in SYMBOLS:
        bench.assert_handed_over(2, symbol)


def test_a_successor_on_another_machine_judges_its_first_tick_by_what_was_published(
    bench: Bench, tmp_path: Path
) -> None:
    first = replica(bench, tmp_path / "a")
    first.wait_ready("active")
    first.wait_delivered(8)
    first.end()
    bench.fault(kind="absurd", value="jump")
    second = replica(bench, tmp_path / "b", 1)

    def refused() -> set[str]:
        letters = bench.read(bench.topics[1])
        return {letter["symbol"] for letter in letters if letter["reason"] == "jump"}

    before = len(bench.sequences())
    eventually(lambda: refused() == set(SYMBOLS), "a refused jump of each symbol")
    second.end()
    assert len(bench.sequences()) == before


def test_a_frozen_kafka_changes_no_share_and_loses_nothing(
    bench: Bench, kafka: KafkaCluster, tmp_path: Path
) -> None:
    first, second = replica(bench, tmp_path / "a"), replica(bench, tmp_path / "b", 1)
    eventually(lambda: shared(first, second), "a share for each")
    second.wait_delivered(4)
    time.sleep(2)
    before = symbols(first), symbols(second)
    assert kafka.pid is not None
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        time.sleep(9)  # beyond the session
        assert (symbols(first), symbols(second)) == before
        assert first.get("/health/ready")[0] == 200
        assert second.get("/health/ready")[0] == 200
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    eventually(lambda: shared(first, second), "a share for each again")
    first.wait_delivered(4)
    second.wait_delivered(4)
    first.end()
    second.end()
    for symbol in SYMBOLS:
        bench.assert_handed_over(5, symbol)


def test_while_kafka_is_away_a_successor_on_the_same_disk_collects_on(
    bench: Bench, kafka: KafkaCluster
) -> None:
    first = bench.collector(SYMBOLS="BTC-USD,ETH-USD")
    first.wait_ready("active")
    first.wait_delivered(6)
    kafka.stop()
    time.sleep(2)
    first.end(signal.SIGKILL)
    second = bench.collector(SYMBOLS="BTC-USD,ETH-USD", SLOT="1")
    second.wait_ready("active")
    assert second.get("/status")[1]["share"]["presumed"] is True
    time.sleep(2)
    kafka.start()
    second.wait_delivered(12)
    eventually(lambda: second.get("/status")[1]["share"]["joined"], "a member of the group")
    second.end()
    bench.assert_once()  # nobody else was there


def test_one_that_knows_nothing_collects_everything_where_kafka_cannot_be_asked(
    bench: Bench, kafka: KafkaCluster
) -> None:
    kafka.stop()
    collector = bench.collector()
    collector.wait_ready("active")
    assert symbols(collector) == {"BTC-USD", "ETH-USD"}
    kafka.start()
    collector.wait_delivered(4)
    collector.end()
    assert bench.sequences("ETH-USD")


def test_a_group_that_refuses_us_does_not_keep_us_from_collecting(bench: Bench) -> None:
    collector = bench.collector(COLLECTOR_SESSION_S="1")  # below what the broker allows
    collector.wait_ready("active")
    collector.wait_delivered(4)
    assert "InvalidSessionTimeout" in collector.get("/status")[1]["share"]["last_error"]
    collector.end()


def test_a_survivor_delivers_what_the_killed_one_left_on_the_shared_disk(
    bench: Bench, kafka: KafkaCluster
) -> None:
    first = bench.collector()
    first.wait_ready("active")
    second = bench.collector(SLOT="1")
    eventually(lambda: second.get("/health/ready")[0] == 200, "the second replica ready")
    first.wait_delivered(4)
    kafka.stop()
    time.sleep(3)
    first.end(signal.SIGKILL)
    eventually(lambda: symbols(second) == {"BTC-USD", "ETH-USD"}, "the survivor has all", 5)
    time.sleep(2)
    kafka.start()
    second.wait_delivered(14)
    eventually(lambda: "adopted a spool" in second.log.read_text(), "an adopted spool", 1)
    second.end()
    for symbol in ("BTC-USD", "ETH-USD"):
        bench.assert_handed_over(3, symbol)
