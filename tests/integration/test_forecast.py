"""The forecaster as real processes against a real broker: exactly once, whatever is killed."""

import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from sqlalchemy import func, select, text
from tests.integration.collector_bench import Service, eventually
from tests.support.kafka_cluster import KafkaCluster
from tests.unit.bitcoin_forecast_app.test_registry import model

from bitcoin_forecast_app.registry import Registry
from common.clock import SystemClock, from_micros, to_micros
from common.kafka import make_consumer, make_producer
from common.store import make_engine, upgrade_schema
from common.store.schema import consumer_offsets, models, predictions, scores, ticks
from common.wire import HORIZONS_S, DeadLetter, Prediction, Tick, decode, encode

pytestmark = pytest.mark.integration

_NUMBERS = count()


class Bench:
    """Forecasters of one store and lock, and ticks for them on topics of their own."""

    def __init__(self, directory: Path, kafka: KafkaCluster) -> None:
        number = next(_NUMBERS)
        self._kafka = kafka
        self._directory = directory
        self.topics = [f"forecast-{number}-{name}" for name in ("prices", "predictions", "dlq")]
        kafka.create_topics(self.topics)
        self.url = f"sqlite:///{directory}/store.db"
        self.services: list[Service] = []
        self._producer: KafkaProducer | None = None
        self.sent = 0

    @property
    def producer(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = make_producer([self._kafka.bootstrap], "test")
        return self._producer

    def disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=5)

    def start(self, **changes: str) -> Service:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self._kafka.bootstrap,
            "DATABASE_URL": self.url,
            "MODEL_DIR": str(self._directory / "models"),
            "LEADER_LOCK_FILE": str(self._directory / "lock"),
            "FEED": "simulated",
            "TRAIN_ENABLED": "false",
            "TOPIC_PRICES": self.topics[0],
            "TOPIC_PREDICTIONS": self.topics[1],
            "TOPIC_DLQ": self.topics[2],
        }
        log = self._directory / f"{len(self.services)}.log"
        service = Service("bitcoin_forecast_app", log, environment | changes)
        self.services.append(service)
        return service

    def send(self, ticks_each: int, every_s: float = 1.0, symbols: int = 1) -> None:
        """Send ticks on a schedule of seconds; the price moves by a known pattern."""
        for _ in range(ticks_each):
            now = SystemClock().now()
            schedule = now.replace(microsecond=now.microsecond // 100_000 * 100_000)
            for symbol in range(symbols):
                tick = Tick(
                    symbol=f"T{symbol:02d}-USD",
                    venue="coinbase",
                    feed="simulated",
                    sequence=to_micros(schedule),
                    event_time=schedule + timedelta(microseconds=1),
                    receive_time=now,
                    price=Decimal(60_000 + self.sent * 37 % 11),
                )
                self.producer.send(self.topics[0], encode(tick), key=tick.symbol.encode())
                self.sent += 1
            self.producer.flush(10)
            time.sleep(every_s)

    def count(self, table: Any) -> int:
        engine = make_engine(self.url, read_only=True)
        with engine.connect() as connection:
            found = connection.scalar(select(func.count()).select_from(table)) or 0
        engine.dispose()
        return found

    def stored_all(self) -> bool:
        return self.count(ticks) == self.sent

    def read(self, topic: str) -> list[bytes]:
        """Return every message that is in ``topic`` now."""
        consumer = make_consumer([self._kafka.bootstrap], "test-reader")
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found: list[bytes] = []
        while len(found) < end:
            for records in consumer.poll(timeout_ms=500).values():
                found += [record.value for record in records]
        consumer.close()
        return found

    def published(self) -> dict[tuple[str, int], Prediction]:
        """Return the predictions by natural key; repeats must be equal to the first."""
        found: dict[tuple[str, int], Prediction] = {}
        for payload in self.read(self.topics[1]):
            prediction = decode(payload, Prediction)
            first = found.setdefault((prediction.symbol, prediction.sequence), prediction)
            assert prediction == first
        return found

    def assert_exactly_once(self) -> None:
        """Every tick is stored once; what is published is what is stored."""
        assert self.stored_all()
        published = self.published().values()
        horizons = sum(len(p.horizons) for p in published)
        outcomes = {(p.symbol, o.horizon_s, o.issue_time) for p in published for o in p.outcomes}
        assert horizons == self.count(predictions)
        assert len(outcomes) == self.count(scores)
        engine = make_engine(self.url, read_only=True)
        with engine.connect() as connection:
            offset = connection.scalar(
                select(consumer_offsets.c.next_offset).where(
                    consumer_offsets.c.topic == self.topics[0]
                )
            )
        engine.dispose()
        assert offset == len(self.read(self.topics[0]))

    def close(self) -> None:
        for service in self.services:
            if service.process.poll() is None:
                service.process.kill()
                service.process.wait(10)
        self.disconnect()


@pytest.fixture
def bench(kafka: KafkaCluster, tmp_path: Path) -> Iterator[Bench]:
    kafka.start()
    bench = Bench(tmp_path, kafka)
    try:
        yield bench
    finally:
        bench.close()


def seen(service: Service, text: str) -> Callable[[], bool]:
    return lambda: text in service.log.read_text()


def test_every_tick_is_forecast_stored_published_and_scored(bench: Bench, tmp_path: Path) -> None:
    Registry(tmp_path / "models", "simulated").save(model("20260101T000000Z-aaaaaa"), {"seed": 7})
    service = bench.start()
    service.wait_ready("active")
    bench.send(8)
    eventually(bench.stored_all, "all ticks stored")
    bench.assert_exactly_once()
    published = bench.published()
    assert len(published) == 8
    first, *_, last = published.values()
    assert [f.horizon_s for f in first.horizons] == list(HORIZONS_S)
    assert all(f.target_time > p.issue_time for p in published.values() for f in p.horizons)
    assert {o.horizon_s for o in last.outcomes} >= {5}
    assert bench.count(models) == 1  # shown to whoever cannot read the files
    assert bench.count(scores) > 0
    log = service.log.read_text()
    assert log.count("Made prediction for timestamp ") == 8
    assert ": Actual=600" in log
    status = service.get("/status")[1]
    assert status["model"]["version"] == "online-only"
    assert status["rows_written"]["ticks"] == 8
    assert status["lag"] == 0
    assert status["latency_ms"]["p50"] > 0
    assert service.end() < 10
    assert service.process.returncode == 0


def test_kills_at_any_moment_neither_lose_nor_repeat(bench: Bench) -> None:
    service = bench.start()
    service.wait_ready("active")
    for _ in range(3):
        bench.send(6, every_s=0.2, symbols=3)
        service.end(signal.SIGKILL)
        bench.send(3, every_s=0.1, symbols=3)
        service = bench.start()
        service.wait_ready("active")
    eventually(bench.stored_all, "all ticks stored")
    service.end()
    bench.assert_exactly_once()


def test_a_standby_takes_over_without_losing_a_tick(bench: Bench) -> None:
    active = bench.start()
    active.wait_ready("active")
    bench.send(3)
    standby = bench.start()
    standby.wait_ready("standby")
    bench.send(2)
    assert active.end() < 10
    bench.send(3)
    eventually(bench.stored_all, "all ticks stored")
    assert standby.get("/health/ready")[1]["role"] == "active"
    standby.end()
    bench.assert_exactly_once()
    one_second = [o for p in bench.published().values() for o in p.outcomes if o.horizon_s == 1]
    assert len(one_second) >= 4  # scored on through the hand-over


def test_it_is_started_again_though_another_service_has_brought_a_newer_schema(
    bench: Bench,
) -> None:
    engine = make_engine(bench.url)
    upgrade_schema(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    service = bench.start()
    service.wait_ready("active")
    bench.send(2)
    eventually(bench.stored_all, "all ticks stored")
    service.end()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    refused = bench.start()
    assert refused.process.wait(30) == 1
    assert "unknown to this version" in refused.log.read_text()


def test_it_waits_for_kafka_and_goes_on_when_it_is_back(bench: Bench, kafka: KafkaCluster) -> None:
    service = bench.start()
    service.wait_ready("active")
    bench.send(3)
    bench.disconnect()  # the client leaves sockets open where nobody listens
    kafka.kill()
    eventually(lambda: service.get("/health/ready")[0] == 503, "not ready without Kafka")
    assert service.get("/health/live")[0] == 200
    waiting = bench.start(LEADER_LOCK_FILE=str(Path(bench.url[10:]).parent / "other"))
    eventually(lambda: waiting.get("/health/live")[0] == 200, "live without Kafka")
    assert waiting.get("/health/ready")[0] == 503
    assert waiting.end() < 10
    kafka.start()
    eventually(lambda: service.get("/health/ready")[0] == 200, "ready again")
    bench.send(3)
    eventually(bench.stored_all, "all ticks stored")
    service.end()
    bench.assert_exactly_once()


_TICK = (
    '{"symbol": "T00-USD", "venue": "coinbase", "feed": "simulated", "sequence": 1, '
    '"event_time": "2026-01-01T00:00:00Z", "receive_time": "2026-01-01T00:00:00Z", '
    '"price": PRICE, "schema_version": 1}'
)
_LONG = '"1.' + "0" * 60 + '"'
_WRONG_PRICES = ('"NaN"', "NaN", '"Infinity"', '"-1"', '"1E+999999"', _LONG)
RUBBISH = (
    *(b"rubbish", b"\xff\xfe", b"", b"{}", b'{"schema_version": 99}'),
    *(_TICK.replace("PRICE", price).encode() for price in _WRONG_PRICES),
)


def test_rubbish_goes_to_the_dead_letters_and_stops_nothing(bench: Bench) -> None:
    service = bench.start()
    service.wait_ready("active")
    for payload in RUBBISH:
        bench.producer.send(bench.topics[0], payload, key=b"X")
    bench.send(2)
    eventually(bench.stored_all, "all ticks stored")
    eventually(lambda: len(bench.read(bench.topics[2])) == len(RUBBISH), "the dead letters")
    letters = [decode(payload, DeadLetter) for payload in bench.read(bench.topics[2])]
    assert [letter.payload for letter in letters] == [
        payload.decode("utf-8", "replace") for payload in RUBBISH
    ]
    assert letters[0].origin == f"{bench.topics[0]}/0/0"
    assert "reloading" not in service.log.read_text()


def test_a_tick_that_the_store_refuses_is_found_and_given_up(bench: Bench) -> None:
    service = bench.start()
    service.wait_ready("active")
    engine = make_engine(bench.url)
    with engine.begin() as connection:  # whatever the reason may be
        connection.exec_driver_sql(
            "CREATE TRIGGER refusal BEFORE INSERT ON ticks WHEN NEW.symbol = 'T01-USD' "
            "BEGIN SELECT RAISE(ABORT, 'this one is refused'); END"
        )
    engine.dispose()
    bench.send(1, symbols=3)
    bench.send(2)
    bench.sent -= 1
    eventually(bench.stored_all, "all other ticks stored")
    eventually(lambda: len(bench.read(bench.topics[2])) == 1, "the dead letter")
    letter = decode(bench.read(bench.topics[2])[0], DeadLetter)
    assert letter.origin == f"{bench.topics[0]}/0/1"
    assert "this one is refused" in letter.detail
    assert "T01-USD" in letter.payload
    service.end()


def test_a_backlog_is_caught_up_with_and_nothing_known_is_forecast(bench: Bench) -> None:
    start = SystemClock().now() - timedelta(seconds=600)
    for second in range(590):
        moment = from_micros(to_micros(start) + second * 1_000_000)
        tick = Tick(
            symbol="T00-USD",
            venue="coinbase",
            feed="simulated",
            sequence=to_micros(moment),
            event_time=moment + timedelta(microseconds=1),
            receive_time=moment + timedelta(milliseconds=30),
            price=Decimal(60_000 + second % 7),
        )
        bench.producer.send(bench.topics[0], encode(tick), key=b"T00-USD")
        bench.sent += 1
    bench.producer.flush(20)
    service = bench.start()
    service.wait_ready("active")
    eventually(bench.stored_all, "all ticks stored")
    service.end()
    bench.assert_exactly_once()
    for prediction in bench.published().values():
        assert all(f.target_time > prediction.issue_time for f in prediction.horizons)
    assert 250 < bench.count(predictions) < 600  # of the last five minutes, the open horizons


def test_wrong_settings_are_one_message(bench: Bench) -> None:
    service = bench.start(DATABASE_URL="mysql://x/y", TRAIN_INTERVAL_S="soon")
    assert service.process.wait(30) == 2
    message = service.log.read_text()
    assert message.startswith("wrong settings:")
    assert "DATABASE_URL" in message
    assert "TRAIN_INTERVAL_S" in message
    assert "Traceback" not in message
