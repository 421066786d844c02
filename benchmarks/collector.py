"""The collector's rates into a real Kafka, beside a bare loop of the same client and settings.

``python -m benchmarks.collector``: starts ZooKeeper and Kafka of its own. A tick's way is the whole
one but for the network: a venue's recorded form of answer is parsed, assembled, validated, encoded,
written to the spool, read from it, sent, acknowledged, and taken off the spool.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psutil
from tests.support.jars import provide_jars
from tests.support.kafka_cluster import KafkaCluster

from benchmarks.floors import percentile
from benchmarks.table import Row, render
from common.clock import SystemClock, from_micros
from common.lifecycle import Deadline
from common.wire import Tick, encode
from data_collector.delivery import Delivery, Topics
from data_collector.desk import Desk
from data_collector.parts import producer_of
from data_collector.schedule import Schedule
from data_collector.settings import CollectorSettings
from data_collector.spool import Entry, Kind, Spool, SpoolOptions
from data_collector.validation import Limits, Validator
from data_collector.venues import ADAPTERS

__all__ = ["measure"]

_SYMBOLS = tuple(f"S{number}X-USD" for number in range(8))
_TICKS = 24_000
_ROUNDS = 3
_IN_FLIGHT = 16  # polls, when the schedule is fast
_SHARE = 0.8  # of the bare loop
_OUTAGE = 3600 * len(_SYMBOLS)
_DAY = 86_400 * len(_SYMBOLS)
_START_US = 1_767_225_600_000_000
_PARTITIONS = 3


class Market(SystemClock):
    """Answers of Coinbase's form, a second later each time; the wall clock follows them."""

    def __init__(self) -> None:
        self.second = 0

    def now(self) -> datetime:
        """Return the market's time."""
        return from_micros(_START_US) + timedelta(seconds=self.second)

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


def bare_rate(kafka: KafkaCluster, settings: CollectorSettings, payloads: list[bytes]) -> float:
    """Messages a second of a loop over ``send`` and the wait for the last acknowledgement."""
    topic = fresh_topics(kafka).ticks
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


def fresh_topics(kafka: KafkaCluster) -> Topics:
    """Return new, empty topics."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    kafka.create_topics([name], _PARTITIONS)
    kafka.create_topics([f"{name}-dlq"])
    return Topics(name, f"{name}-dlq")


class Line:
    """Desk, spool and delivery as in a collector."""

    def __init__(self, kafka: KafkaCluster, settings: CollectorSettings, directory: Path) -> None:
        self.market = Market()
        self._adapter = ADAPTERS["coinbase"]
        self.spool = Spool(SpoolOptions(directory), self.market)
        topics = fresh_topics(kafka)
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
                self.market.second += 1
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


def recorded(seconds: int) -> list[dict[str, dict[str, bytes]]]:
    """Return the answers of so many seconds, by symbol."""
    market, found = Market(), []
    for _ in range(seconds):
        market.second += 1
        found.append({symbol: market.answers(symbol) for symbol in _SYMBOLS})
    return found


def wait(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Return when ``true``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def collector_rate(kafka: KafkaCluster, settings: CollectorSettings) -> float:
    """Ticks a second from the venue's answer to the last acknowledgement."""
    with tempfile.TemporaryDirectory() as name:
        line = Line(kafka, settings, Path(name))
        answers = recorded(_TICKS // len(_SYMBOLS))
        line.start()
        start = time.perf_counter()
        asyncio.run(line.collect(answers))
        wait(lambda: line.spool.pending == 0)
        seconds = time.perf_counter() - start
        line.close()
        return _TICKS / seconds


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        kafka = KafkaCluster(provide_jars(), Path(folder))
        kafka.start()
        settings = CollectorSettings(kafka_bootstrap_servers=(kafka.bootstrap,))
        payloads = [b"x" * 380] * _TICKS
        import logging

        for _ in range(2):
            print("bare", bare_rate(kafka, settings, payloads), flush=True)
            if len(sys.argv) > 1:
                import cProfile, pstats

                threading.setprofile_all_threads
            print("collector", collector_rate(kafka, settings), flush=True)
        kafka.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
