"""The collector's rates into a real Kafka, beside a bare loop of the same client and settings.

``python -m benchmarks.collector``: starts ZooKeeper and Kafka of its own. A tick's way is the whole
one but for the network: a venue's recorded form of answer is parsed, assembled, validated, encoded,
written to the spool, read from it, sent, acknowledged, and taken off the spool.
"""

import asyncio
import gc
import logging
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import psutil
from kafka.admin import KafkaAdminClient, NewTopic
from tests.integration.collector_bench import Service, bench_in
from tests.support.jars import provide_jars
from tests.support.kafka_cluster import KafkaCluster

from benchmarks.floors import percentile
from benchmarks.table import Row, render
from common.clock import SystemClock, from_micros
from common.lifecycle import Deadline
from common.log import configure_logging
from data_collector import app  # noqa: F401 - memory is that of the whole collector
from data_collector.delivery import Delivery, Topics
from data_collector.desk import Desk
from data_collector.parts import producer_of
from data_collector.settings import CollectorSettings
from data_collector.spool import Spool, SpoolOptions
from data_collector.validation import Limits, Validator
from data_collector.venues import ADAPTERS

__all__ = ["measure"]

_SYMBOLS = tuple(f"S{number}X-USD" for number in range(8))
_TICKS = 24_000
_ROUNDS = 7
_IN_FLIGHT = 16  # polls, when the schedule is fast
_SHARE = 0.8  # of the bare loop
_OUTAGE = 3600 * len(_SYMBOLS)
_DAY = 86_400 * len(_SYMBOLS)
_START_US = 1_767_225_600_000_000
_PARTITIONS = 3
_POLLS_S = 30.0


class Market(SystemClock):
    """Answers of Coinbase's form, a second later each time; the wall clock follows them."""

    def __init__(self, second: int = 0) -> None:
        self.second = second - 1
        self.go_on()

    def go_on(self) -> None:
        """Let a second pass."""
        self.second += 1
        self._now = from_micros(_START_US) + timedelta(seconds=self.second)

    def now(self) -> datetime:
        """Return the market's time."""
        return self._now

    def answers(self, symbol: str) -> dict[str, bytes]:
        """Return the bodies of the venue's three requests."""
        price = 64_000 + self.second % 100 / 100
        moment = self.now().isoformat().replace("+00:00", "Z")
        trade = {"trade_id": self.second, "side": "buy", "size": "0.01", "price": str(price)}
        ticker = {**trade, "time": moment, "bid": f"{price - 1:.2f}", "ask": f"{price + 1:.2f}"}
        book = {
            "bids": [[f"{price - 1:.2f}", "0.5", 3]],
            "asks": [[f"{price + 1:.2f}", "0.25", 2]],
            "time": moment,
        }
        bodies = {"ticker": ticker, "book": book, "trades": [trade]}
        return {f"{name}:{symbol}": msgspec.json.encode(body) for name, body in bodies.items()}


def bare_rate(settings: CollectorSettings, payloads: list[bytes]) -> float:
    """Messages a second of a loop over ``send`` and the wait for the last acknowledgement."""
    topic = fresh_topics(settings.kafka_bootstrap_servers[0]).ticks
    producer = producer_of(settings)
    producer.partitions_for(topic)
    keys = [symbol.encode() for symbol in _SYMBOLS]
    start = time.perf_counter()
    for number, payload in enumerate(payloads):
        producer.send(topic, payload, keys[number % len(keys)])
    producer.flush()
    seconds = time.perf_counter() - start
    producer.close()
    return len(payloads) / seconds


def fresh_topics(bootstrap: str) -> Topics:
    """Return new, empty topics."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    topics = Topics(name, f"{name}-dlq")
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(name, _PARTITIONS, 1), NewTopic(topics.dead_letters, 1, 1)])
        admin.wait_for_topics(list(topics), timeout_ms=20_000)
    return topics


class Line:
    """Desk, spool and delivery as in a collector."""

    def __init__(self, settings: CollectorSettings, directory: Path) -> None:
        self.market = Market()
        self._adapter = ADAPTERS["coinbase"]
        self.spool = Spool(SpoolOptions(directory), self.market)
        topics = fresh_topics(settings.kafka_bootstrap_servers[0])
        clock = self.market
        self.delivery = Delivery(lambda: producer_of(settings), topics, clock, os.abort)
        self.delivery.add(self.spool)
        limits = Validator(Limits())
        self.desk = Desk(self.spool, limits, "simulated", clock, self.delivery.wake)

    def start(self) -> None:
        """Connect, and return when it is done."""
        self.delivery.start()
        wait(lambda: self.delivery.connected)

    async def collect(self, answers: list[dict[str, dict[str, bytes]]]) -> None:
        """Take in ``answers``, each of one second; several polls may be under way, as in life."""
        coming = iter(answers)

        async def poll_on() -> None:
            for bodies in coming:
                self.market.go_on()
                sequence = _START_US + self.market.second * 1_000_000
                for symbol, body in bodies.items():
                    seen = self._adapter.parse(symbol, body)
                    self.desk.accept(symbol, "coinbase", seen, sequence)
                await self.desk.flush()

        await asyncio.gather(*(poll_on() for _ in range(_IN_FLIGHT)))

    def close(self) -> None:
        """End; everything must be delivered."""
        self.delivery.stop(Deadline(self.market, 10))
        assert self.spool.pending == 0
        self.spool.close()


def recorded(seconds: int, after: int = 0) -> list[dict[str, dict[str, bytes]]]:
    """Return the answers of so many seconds, by symbol."""
    market, found = Market(after), []
    for _ in range(seconds):
        market.go_on()
        found.append({symbol: market.answers(symbol) for symbol in _SYMBOLS})
    return found


def wait(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Return when ``true``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def collector_rate(settings: CollectorSettings) -> float:
    """Ticks a second from the venue's answer to the last acknowledgement."""
    with tempfile.TemporaryDirectory() as name:
        line = Line(settings, Path(name))
        answers = recorded(_TICKS // len(_SYMBOLS))
        line.start()
        gc.collect()
        gc.freeze()  # as the collector does, so that the answers prepared here are not its burden
        start = time.perf_counter()
        asyncio.run(line.collect(answers))
        wait(lambda: line.spool.pending == 0)
        seconds = time.perf_counter() - start
        gc.unfreeze()
        line.close()
        return _TICKS / seconds


def replay_seconds(settings: CollectorSettings) -> tuple[float, list[bytes]]:
    """Seconds to deliver the spool of an outage of one hour, and what it held."""
    with tempfile.TemporaryDirectory() as name:
        line = Line(settings, Path(name))
        asyncio.run(line.collect(recorded(_OUTAGE // len(_SYMBOLS))))
        held = [record.entry.value for record in line.spool.read(line.spool.cursor, _OUTAGE)]
        assert len(held) == _OUTAGE
        start = time.perf_counter()
        line.start()
        wait(lambda: line.spool.pending == 0)
        seconds = time.perf_counter() - start
        line.close()
        return seconds, held


def resident_mb(bootstrap: str, ticks: int) -> float:
    """MB of a process of its own that has the whole collector loaded, after so many ticks."""
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "benchmarks.collector"]
    finished = subprocess.run(
        [*command, bootstrap, str(ticks)], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(finished.stdout.split()[-1])


def run_day(bootstrap: str, ticks: int) -> None:
    """Collect ``ticks`` as fast as can be, then print this process's resident memory."""
    settings = CollectorSettings(kafka_bootstrap_servers=(bootstrap,))
    log_into_the_void()
    with tempfile.TemporaryDirectory() as name:
        line = Line(settings, Path(name))
        line.start()
        asyncio.run(collect_hours(line, ticks // len(_SYMBOLS)))
        wait(lambda: line.spool.pending == 0)
        line.close()
    print(psutil.Process().memory_info().rss / 1e6)


async def collect_hours(line: Line, seconds: int) -> None:
    """Collect so many seconds of all symbols, of which five minutes at a time are prepared."""
    for done in range(0, seconds, 300):
        await line.collect(recorded(min(300, seconds - done), done))
        await asyncio.to_thread(wait, lambda: line.spool.pending == 0)


def poll_start_ms(kafka: KafkaCluster) -> tuple[float, float, int]:
    """p99 of how late polls of a real collector start, of a bare timer beside it, and their count.

    Eight symbols, ten polls a second, the simulated exchange in a process of its own.
    """
    listed = "BTC-USD,ETH-USD,SOL-USD,XRP-USD,ADA-USD,DOGE-USD,LTC-USD,LINK-USD"
    with (
        tempfile.TemporaryDirectory() as name,
        bench_in(Path(name), kafka, f"polls-{uuid.uuid4().hex[:8]}", SYMBOLS=listed) as bench,
    ):
        fast = {"POLL_INTERVAL_S": "0.1", "RATE_LIMIT_FACTOR": "100", "SYMBOLS": listed}
        collector = bench.collector(**fast)
        collector.wait_ready("active")
        before = lateness(collector)
        floor = asyncio.run(bare_timer())
        after = lateness(collector)
        collector.end()
    counts = {edge: after[edge] - before[edge] for edge in after}
    return quantile(counts, 0.99) * 1000, percentile(floor, 0.99) * 1000, int(counts[math.inf])


async def bare_timer() -> list[float]:
    """How late (s) a loop that only sleeps until each tenth of a second wakes."""
    late = []
    for _ in range(round(_POLLS_S * 10)):
        now = time.time()  # noqa: TID251 - the grid is on the wall clock
        slot = math.floor(now * 10 + 1) / 10
        await asyncio.sleep(slot - now)
        late.append(max(0.0, time.time() - slot))  # noqa: TID251
    return late


def lateness(collector: Service) -> dict[float, float]:
    """Return the histogram of the collector: polls up to each edge (s)."""
    with urllib.request.urlopen(f"http://127.0.0.1:{collector.ops}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    pattern = r'data_collector_poll_lateness_seconds_bucket\{le="(.*?)"\} (\S+)'
    return {float(edge): float(count) for edge, count in re.findall(pattern, text)}


def quantile(counts: dict[float, float], level: float) -> float:
    """Return the quantile of a cumulative histogram, linear within a bucket."""
    wanted, below, lower = level * counts[math.inf], 0.0, 0.0
    for edge, count in sorted(counts.items()):
        if count >= wanted:
            return (
                edge
                if math.isinf(edge)
                else lower + (edge - lower) * (wanted - below) / (count - below)
            )
        below, lower = count, edge
    raise AssertionError("the last bucket holds everything")


def log_into_the_void() -> None:
    """Log as the service does ("Saved data to ..." costs its share), but to nobody."""
    void = Path(os.devnull).open("w")  # noqa: SIM115 - for the process's life
    with redirect_stdout(void):
        configure_logging("data-collector")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


@contextmanager
def own_kafka() -> Iterator[KafkaCluster]:
    """A ZooKeeper and a Kafka of our own."""
    with tempfile.TemporaryDirectory() as folder:
        kafka = KafkaCluster(provide_jars(), Path(folder))
        try:
            kafka.start()
            yield kafka
        finally:
            kafka.close()


def measure() -> Iterator[Row]:
    """Yield the rows as they are measured: medians of rounds that take turns with the floor's."""
    log_into_the_void()
    with own_kafka() as kafka:
        settings = CollectorSettings(kafka_bootstrap_servers=(kafka.bootstrap,))
        seconds, held = replay_seconds(settings)
        floors, rates = [], []
        for _ in range(_ROUNDS):
            floors.append(bare_rate(settings, held))
            rates.append(collector_rate(settings))
        bare = "bare kafka-python producer loop, same settings"
        floor, rate = statistics.median(floors), statistics.median(rates)
        met = rate >= _SHARE * floor
        what = "data-collector: answers to acknowledged ticks"
        yield Row(what, rate, floor, bare, "80 % of the floor", "ticks/s", met=met)
        what = f"data-collector: spool of 1 h x {len(_SYMBOLS)} symbols delivered"
        yield Row(what, seconds, _OUTAGE / floor, bare, "10 s", met=seconds <= 10)
        p99, timer, count = poll_start_ms(kafka)
        what = f"data-collector: start of a poll after its schedule, p99 of {count}"
        yield Row(what, p99, timer, "bare asyncio timer", "20 ms", "ms", met=p99 <= 20)
        idle, day = resident_mb(kafka.bootstrap, 0), resident_mb(kafka.bootstrap, _DAY)
        what = f"data-collector: resident memory after {_DAY:,} ticks"
        yield Row(what, day, idle, "the same process before", "100 MB", "MB", met=day <= 100)


def main() -> int:
    """Measure, or be the process whose memory is measured."""
    if len(sys.argv) == 3:
        run_day(sys.argv[1], int(sys.argv[2]))
        return 0
    found = []
    for row in measure():
        found.append(row)
        print(f"{row.what}: {row.measured:.2f} {row.unit} (floor {row.floor:.2f})", flush=True)
    print(render(found))
    return 0 if all(row.met for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
