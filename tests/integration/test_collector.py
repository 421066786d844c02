"""Nothing valid is lost, repeated or out of order: across faults of Kafka, exchanges, processes."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.collector_bench import (
    INTERVAL_US,
    Bench,
    Service,
    bench_in,
    eventually,
)
from tests.support.kafka_cluster import KafkaCluster

from common.clock import SystemClock
from common.wire import DeadLetter, Tick, decode

RECORDINGS = Path(__file__).parents[3] / "shared" / "data" / "binance_btcusdt"

pytestmark = pytest.mark.integration


@pytest.fixture
def bench(kafka: KafkaCluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    kafka.start()
    with bench_in(tmp_path, kafka, request.node.name) as bench:
        yield bench


def test_ticks_of_every_symbol_reach_kafka_on_the_grid(bench: Bench) -> None:
    collector = bench.collector()
    collector.wait_ready("active")
    collector.wait_delivered(12)
    assert collector.end() < 10
    assert collector.process.returncode == 0
    for symbol in ("BTC-USD", "ETH-USD"):
        bench.assert_complete(symbol)
        assert all(slot % INTERVAL_US == 0 for slot in bench.sequences(symbol))
    for payload in bench.raw(bench.topics[0]):
        tick = decode(payload, Tick)
        assert tick.feed == "simulated"
        assert tick.bid_size is not None
    log = collector.log.read_text()
    assert f"Saved data to kafka://{bench.topics[0]}: timestamp=" in log
    assert ", close=" in log


def test_kafka_killed_and_back_loses_and_repeats_nothing(bench: Bench, kafka: KafkaCluster) -> None:
    collector = bench.collector()
    collector.wait_ready("active")
    collector.wait_delivered(6)
    kafka.kill()
    eventually(lambda: pending(collector) >= 16, "a filled spool")
    status, body = collector.get("/health/ready")
    assert status == 200, body  # the spool takes the records
    assert "no acknowledgement" in body["checks"]["records"]["detail"]
    kafka.start()
    collector.wait_delivered(30)
    assert "Kafka takes records again" in collector.log.read_text()
    collector.end()
    for symbol in ("BTC-USD", "ETH-USD"):
        bench.assert_complete(symbol)


def test_what_was_spooled_before_a_kill_is_delivered_after(
    bench: Bench, kafka: KafkaCluster
) -> None:
    collector = bench.collector()
    collector.wait_ready("active")
    collector.wait_delivered(6)
    kafka.stop()
    eventually(lambda: pending(collector) >= 16, "a filled spool")
    last = collector.get("/status")[1]["last_ticks"]["BTC-USD"]["sequence"]
    collector.end(signal.SIGKILL)
    kafka.start()
    again = bench.collector()
    again.wait_ready("active")
    again.wait_delivered(20)
    again.end()
    sequences = bench.assert_once()
    assert last in sequences
    # Only the time in which nobody ran may be missing: nothing up to the kill.
    before = [slot for slot in sequences if slot <= last]
    assert len(before) >= 11
    assert before[-1] - before[0] <= (len(before) - 1) * INTERVAL_US + bench.missed_us


def test_a_stop_while_kafka_is_away_is_in_time_and_keeps_the_rest(
    bench: Bench, kafka: KafkaCluster
) -> None:
    collector = bench.collector()
    collector.wait_ready("active")
    collector.wait_delivered(6)
    kafka.stop()
    eventually(lambda: pending(collector) >= 4, "a filled spool")
    last = collector.get("/status")[1]["last_ticks"]["BTC-USD"]["sequence"]
    assert collector.end() < 10
    kafka.start()
    assert last not in bench.sequences()
    again = bench.collector()
    again.wait_ready("active")
    again.wait_delivered(8)
    again.end()
    sequences = bench.assert_once()
    assert last in sequences


def test_hand_over_between_two_replicas_loses_no_slot(bench: Bench) -> None:
    first = bench.collector()
    first.wait_ready("active")
    for slot in ("1", "0", "1"):
        second = bench.collector(SLOT=slot)
        second.wait_ready("standby")
        first.wait_delivered(4)
        first.end()
        second.wait_ready("active")
        first = second
    first.wait_delivered(4)
    first.end()
    for symbol in ("BTC-USD", "ETH-USD"):
        bench.assert_handed_over(3, symbol)


def test_a_killed_replica_is_replaced_by_the_one_that_stands_by(bench: Bench) -> None:
    first = bench.collector()
    first.wait_ready("active")
    second = bench.collector(SLOT="1")
    second.wait_ready("standby")
    first.wait_delivered(6)
    first.end(signal.SIGKILL)
    killed_at = time.monotonic()
    second.wait_delivered(1)
    assert time.monotonic() - killed_at < 10
    second.wait_delivered(6)
    second.end()
    bench.assert_in_order()  # the last one may be there twice: removed by key


def test_faults_of_the_preferred_exchange_leave_no_hole(bench: Bench) -> None:
    collector = bench.collector()
    collector.wait_ready("active")
    for kind in ("rate_limited", "server_error", "reset", "malformed", "absurd", "clock_skew"):
        collector.wait_delivered(6)
        bench.fault(kind=kind, venue="coinbase", for_s=2.0, retry_after_s=1)
        collector.wait_delivered(4)
    collector.wait_delivered(8)
    bench.fault(kind="region", venue="coinbase", for_s=10.0)
    eventually(lambda: state(collector, "coinbase") == "refused", "coinbase given up for good")
    collector.end()
    bench.assert_complete()
    venues = {tick["venue"] for tick in bench.read(bench.topics[0])}
    assert venues >= {"coinbase", "binance"}
    letters = [decode(payload, DeadLetter) for payload in bench.raw(bench.topics[1])]
    assert {"malformed", "jump", "clock_skew"} <= {letter.reason for letter in letters}
    assert all(letter.origin == "data-collector:coinbase" for letter in letters)


def test_an_answer_that_a_later_poll_overtakes_is_collected_too(bench: Bench) -> None:
    collector = bench.collector()
    collector.wait_ready("active")
    collector.wait_delivered(4)
    for _ in range(5):
        time.sleep((1.8 - SystemClock().now().microsecond / 1e6) % 1)  # a second is about to begin
        for venue in ("coinbase", "binance"):  # the third answers when the next second is there
            bench.fault(kind="slow", venue=venue, for_s=1.0, delay_s=2.0)
        time.sleep(4)
        if _late(collector):
            break
    collector.wait_delivered(4)
    assert _late(collector)
    collector.end()
    for symbol in ("BTC-USD", "ETH-USD"):
        bench.assert_complete(symbol)
    letters = [decode(payload, DeadLetter) for payload in bench.raw(bench.topics[1])]
    assert "out_of_order" not in {letter.reason for letter in letters}


def _late(collector: Service) -> bool:
    return "data_collector_late_ticks_total{" in collector.metrics()


def test_streams_give_the_same_ticks_on_the_same_grid(bench: Bench) -> None:
    collector = bench.collector(COLLECTOR_MODE="stream")
    collector.wait_ready("active")
    collector.wait_delivered(8)
    assert collector.get("/status")[1]["mode"] == "stream"
    bench.fault(kind="reset", venue="coinbase", for_s=1.5)
    collector.wait_delivered(16)
    collector.end()
    for symbol in ("BTC-USD", "ETH-USD"):
        bench.assert_complete(symbol)
    ticks = [decode(payload, Tick) for payload in bench.raw(bench.topics[0])]
    assert {tick.venue for tick in ticks} >= {"coinbase", "binance"}
    assert all(tick.sequence % INTERVAL_US == 0 for tick in ticks)
    assert any(tick.buy_volume for tick in ticks)
    assert all(tick.bid_size is not None for tick in ticks)


def test_a_recording_is_collected_with_its_clock_skew(kafka: KafkaCluster, tmp_path: Path) -> None:
    recording = RECORDINGS / "usdm_20240808_bbo.parquet"
    if not recording.exists():
        pytest.skip(f"no recordings at {RECORDINGS}")
    kafka.start()
    options = {"REPLAY_FILE": str(recording), "REPLAY_SPEED": "2", "SYMBOLS": "BTC-USD"}
    with bench_in(tmp_path, kafka, "replay", 1, **options) as bench:
        collector = bench.collector(FEED="replay", SYMBOLS="BTC-USD")
        collector.wait_ready("active")
        collector.wait_delivered(12)
        skew = collector.get("/status")[1]["clock_skew_s"]["coinbase"]
        market = bench.simulator.get("/status")[1]["market"]
        collector.end()
        bench.assert_complete()
        ticks = [decode(payload, Tick) for payload in bench.raw(bench.topics[0])]
    assert 1.0 < skew < 1.6  # as recorded: 1.2 to 1.3 s ahead of the recorder's clock
    assert market["file"] == recording.name
    assert {tick.feed for tick in ticks} == {"replay"}
    assert all(61_000 < tick.mid < 62_500 for tick in ticks)


def pending(collector: Service) -> int:
    """Return how many records wait in the spool; 0 where the collector does not say."""
    spool = collector.get("/status")[1].get("spool", {"pending": 0})
    return int(spool["pending"])


def state(collector: Service, venue: str) -> str:
    return str(collector.get("/status")[1]["exchanges"][venue]["state"])
