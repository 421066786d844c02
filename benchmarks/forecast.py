"""The forecaster against a real broker: latency while it trains, many symbols, a training run.

``python -m benchmarks forecast``: takes about five minutes. Each latency is from the tick's arrival
in the service to its prediction's acknowledgement, as the service measures it, beside a bare relay
that does the same with the same client; in brackets the time from sending the tick to reading its
prediction, in another process.
"""

import math
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import psutil
from kafka import TopicPartition
from tests.integration.collector_bench import Service, eventually
from tests.support.jars import provide_jars
from tests.support.kafka_cluster import KafkaCluster
from tests.unit.bitcoin_forecast_app.synthetic import market

from benchmarks.floors import percentile, relay_latencies, timed
from benchmarks.table import Row
from bitcoin_forecast_app.observation import Observation
from common.clock import SystemClock, from_micros, to_micros
from common.kafka import make_consumer, make_producer
from common.store import make_engine, upgrade_schema
from common.store.writer import save_ticks
from common.wire import Prediction, Tick, decode, encode

__all__ = ["measure"]

_HISTORY_S = 3_600
_SECONDS = 60
_SYMBOLS = 64
_DAY_S = 86_400
_RELAY = "a bare relay with kafka-python"


def ticks_of(symbol: str, observations: Sequence[Observation], start_us: int) -> Iterator[Tick]:
    """Yield ticks of a made market, one a second from ``start_us``."""
    for number, o in enumerate(observations):
        sequence = start_us + number * 1_000_000
        yield Tick(
            symbol=symbol,
            venue="coinbase",
            feed="simulated",
            sequence=sequence,
            event_time=from_micros(sequence + 1),
            receive_time=from_micros(sequence + 20_000),
            price=Decimal(str(o.mid)),
            bid=Decimal(str(o.bid)),
            ask=Decimal(str(o.ask)),
            bid_size=Decimal(f"{o.bid_size:.6f}"),
            ask_size=Decimal(f"{o.ask_size:.6f}"),
            buy_volume=Decimal(f"{o.buy_volume:.6f}"),
            sell_volume=Decimal(f"{o.sell_volume:.6f}"),
        )


def fill(url: str, seconds: int) -> None:
    """Store so many seconds up to now."""
    start_us = to_micros(SystemClock().now() - timedelta(seconds=seconds))
    engine = make_engine(url)
    upgrade_schema(engine)
    batch = list(ticks_of("S00-USD", market(seconds), start_us - start_us % 1_000_000))
    for first in range(0, len(batch), 5_000):
        with engine.begin() as connection:
            save_ticks(connection, batch[first : first + 5_000])
    engine.dispose()


class Run:
    """One forecaster with a store and topics of its own."""

    def __init__(self, folder: Path, kafka: KafkaCluster, name: str) -> None:
        self.topics = [f"{name}-{kind}" for kind in ("prices", "predictions", "dlq")]
        kafka.create_topics(self.topics)
        self.kafka = kafka
        self.folder = folder / name
        self.folder.mkdir()
        self.url = f"sqlite:///{self.folder}/store.db"

    @contextmanager
    def service(self, **changes: str) -> Iterator[Service]:
        """Run it until the end of the block."""
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "DATABASE_URL": self.url,
            "MODEL_DIR": str(self.folder / "models"),
            "LEADER_LOCK_FILE": str(self.folder / "lock"),
            "FEED": "simulated",
            "TOPIC_PRICES": self.topics[0],
            "TOPIC_PREDICTIONS": self.topics[1],
            "TOPIC_DLQ": self.topics[2],
        }
        service = Service("bitcoin_forecast_app", self.folder / "log", environment | changes)
        try:
            service.wait_ready("active")
            yield service
        finally:
            service.end()

    def delays(self, symbols: int, seconds: int) -> list[float]:
        """Send ``symbols`` ticks each second; return the milliseconds to each one's prediction."""
        sent: dict[tuple[str, int], float] = {}
        found: dict[tuple[str, int], float] = {}
        reader = threading.Thread(target=self._read, args=(found, symbols * seconds))
        reader.start()
        producer = make_producer([self.kafka.bootstrap], "bench")
        series = [market(seconds, seed=number) for number in range(symbols)]
        for second in range(seconds):
            due = math.ceil(time.monotonic())
            time.sleep(due - time.monotonic())
            now_us = to_micros(SystemClock().now()) // 1_000_000 * 1_000_000
            for number in range(symbols):
                symbol = f"S{number:02d}-USD"
                (tick,) = ticks_of(symbol, series[number][second : second + 1], now_us)
                sent[symbol, now_us] = time.monotonic()
                producer.send(self.topics[0], encode(tick), key=symbol.encode())
        producer.flush(10)
        reader.join()
        producer.close()
        return [1e3 * (found[key] - at) for key, at in sent.items() if key in found]

    def _read(self, found: dict[tuple[str, int], float], count: int) -> None:
        consumer = make_consumer([self.kafka.bootstrap], "bench")
        partition = TopicPartition(self.topics[1], 0)
        consumer.assign([partition])
        consumer.seek_to_end(partition)
        end = time.monotonic() + 3 * _SECONDS
        while len(found) < count and time.monotonic() < end:
            for records in consumer.poll(timeout_ms=200).values():
                for record in records:
                    prediction = decode(record.value, Prediction)
                    key = prediction.symbol, prediction.sequence
                    found.setdefault(key, time.monotonic())
        consumer.close()


def resident_mb(service: Service) -> float:
    """Return the memory of the service's own process."""
    return float(psutil.Process(service.process.pid).memory_info().rss) / 2**20


def latency_while_training(folder: Path, kafka: KafkaCluster) -> Iterator[Row]:
    """One symbol at 1 Hz, a training run always under way."""
    run = Run(folder, kafka, "one")
    fill(run.url, _HISTORY_S)
    begin = [sys.executable, "-c", "import bitcoin_forecast_app.app"]
    path = os.environ | {"PYTHONPATH": "services"}
    bare_s = timed(lambda: subprocess.run(begin, check=True, env=path))
    began = time.monotonic()
    with run.service(TRAIN_INTERVAL_S="0.1") as service:
        warm_s = time.monotonic() - began
        yield Row("start to active, warm", warm_s, bare_s, "the imports", "5 s", met=warm_s <= 5)
        eventually(lambda: bool(service.get("/status")[1]["model"]["training_now"]), "training")
        delays = run.delays(1, _SECONDS)
        own = service.get("/status")[1]["latency_ms"]
        memory = resident_mb(service)
    floor = relay_latencies(kafka.bootstrap)
    assert len(delays) == _SECONDS
    bare = percentile(floor, 0.5), percentile(floor, 0.99)
    seen = f"{percentile(delays, 0.5):.1f}, {percentile(delays, 0.99):.1f}"
    for level, aim, least in (("p50", 10.0, bare[0]), ("p99", 50.0, bare[1])):
        what = f"tick to prediction while training, {level} (sent to read, p50 and p99: {seen})"
        met = own[level] <= aim
        yield Row(what, own[level], least, _RELAY, f"{aim:.0f} ms", unit="ms", met=met)
    met = memory <= 900
    yield Row("memory of the forecaster", memory, 900, "the aim", "900 MB", unit="MB", met=met)


def many_symbols(folder: Path, kafka: KafkaCluster) -> Row:
    """So many symbols at 1 Hz in one process."""
    run = Run(folder, kafka, "many")
    with run.service(TRAIN_ENABLED="false") as service:
        delays = run.delays(_SYMBOLS, _SECONDS // 2)
        status = service.get("/status")[1]
    floor = relay_latencies(kafka.bootstrap)
    own = status["latency_ms"]["p99"]
    kept_up = len(delays) == _SYMBOLS * _SECONDS // 2 and status["lag"] == 0
    seen = f"{percentile(delays, 0.5):.0f}, {percentile(delays, 0.99):.0f}"
    what = f"{_SYMBOLS} symbols at 1 Hz, p99 (sent to read, p50 and p99: {seen})"
    met = kept_up and own <= 250
    least = percentile(floor, 0.99)
    return Row(what, own, least, f"{_RELAY}, one symbol", "250 ms, none late", unit="ms", met=met)


def training_run(folder: Path) -> Iterator[Row]:
    """A run on a day of one symbol at 1 Hz: seconds of one core, and memory."""
    url = f"sqlite:///{folder}/day.db"
    fill(url, _DAY_S)
    settings = {"DATABASE_URL": url, "MODEL_DIR": str(folder / "day"), "FEED": "simulated"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "bitcoin_forecast_app.train"],
        env=os.environ | settings | {"PYTHONPATH": "services"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    met = seconds <= 60
    yield Row("training on 24 h at 1 Hz, CPU", seconds, 60, "the aim", "60 s", unit="s", met=met)
    memory = after.ru_maxrss / 1024
    met = memory <= 900
    yield Row("memory of the trainer, at most", memory, 900, "the aim", "900 MB", "MB", met=met)


def measure() -> Iterator[Row]:
    """Yield the rows as they are measured."""
    with tempfile.TemporaryDirectory(prefix="bp") as name:
        folder = Path(name)
        (folder / "kafka").mkdir()
        kafka = KafkaCluster(provide_jars(), folder / "kafka")
        try:
            kafka.start()
            yield from latency_while_training(folder, kafka)
            yield many_symbols(folder, kafka)
        finally:
            kafka.close()
        yield from training_run(folder)
