"""The real processes of a soak run, and what is done to them."""

import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from kafka import KafkaProducer
from tests.integration.collector_bench import Service, free_port
from tests.soak.plan import SYMBOLS, Plan
from tests.support.kafka_cluster import TOPICS, KafkaCluster

from common.clock import SystemClock, to_micros
from common.kafka import make_producer

__all__ = ["PRICES", "Happening", "Stage"]

PRICES = TOPICS[0]
_PARTITIONS = 3
_COLLECTORS = 2
_NO_LIMIT = resource.RLIM_INFINITY
_RUBBISH = (b"rubbish", b"{}", b'{"schema_version": 99}', b"\xff\xfe", b'{"price": "NaN"}')


@dataclass(frozen=True)
class Happening:
    """What was really done, by the wall clock in microseconds."""

    what: str
    from_us: int
    to_us: int


@dataclass
class Stage:
    """Kafka, ZooKeeper, simulator, two collectors, forecaster; what is killed starts anew."""

    folder: Path
    kafka: KafkaCluster
    database_url: str
    interval_s: float
    speed: float
    seed: int
    say: Callable[[str], None]
    happened: list[Happening] = field(default_factory=list)
    collectors: list[Service] = field(default_factory=list)
    rubbish: int = 0
    _started: int = 0

    def open(self, plan: Plan) -> None:
        """Start everything; the timeline of the exchanges begins with the simulator."""
        self.kafka.create_topics(TOPICS, _PARTITIONS)
        timeline = self.folder / "faults.yml"
        timeline.write_text(yaml.safe_dump(list(plan.exchange)))
        self._source = random.Random(self.seed)
        self._port = free_port()
        self.forecaster = self._start_forecaster()
        self.simulator = self._start(
            "exchange_simulator",
            {
                "SIMULATOR_PORT": str(self._port),
                "SIMULATOR_SEED": str(self.seed),
                "SIMULATOR_RATE_LIMIT_FACTOR": "0",
                "REPLAY_SPEED": str(self.speed),
                "SYMBOLS": ",".join(SYMBOLS),
                "FAULTS_FILE": str(timeline),
                "LEDGER_FILE": str(self.ledger),
            },
        )
        self.simulator.wait_ready("active")
        self.collectors = [self._start_collector() for _ in range(_COLLECTORS)]

    @property
    def ledger(self) -> Path:
        """Return the file of what the simulator delivered."""
        return self.folder / "ledger.jsonl"

    @property
    def spools(self) -> Path:
        """Return the directory of the collectors' spools."""
        return self.folder / "spool"

    @property
    def collector_logs(self) -> Sequence[Path]:
        """Return the logs of all collectors that there ever were."""
        return sorted(self.folder.glob("data_collector-*.log"))

    def play(self, plan: Plan) -> None:
        """Do what the plan says, and return at its end."""
        begun = time.monotonic()
        for event in plan.events:
            time.sleep(max(0.0, begun + event.at_s - time.monotonic()))
            self.say(f"{time.monotonic() - begun:7.1f} s  {event.what}")
            from_us = to_micros(SystemClock().now())
            self._do(event.what, event.for_s)
            to_us = to_micros(SystemClock().now())
            self.happened.append(Happening(event.what, from_us, to_us))
        time.sleep(max(0.0, begun + plan.seconds - time.monotonic()))

    def _do(self, what: str, for_s: float) -> None:
        subject, _, how = what.replace("'s ", " ").partition(" ")
        if what == "rubbish in the topic":
            self._send_rubbish()
        elif how == "frozen":
            self.kafka.freeze(subject)
            time.sleep(for_s)
            self.kafka.freeze(subject, thaw=True)
        elif what == "kafka killed":
            self.kafka.kill()
            time.sleep(for_s)
            self.kafka.start()
        elif what == "zookeeper killed":
            self.kafka.kill_zookeeper()
            time.sleep(for_s)
            self.kafka.restart_zookeeper()
        elif how == "disk full":
            self._fill_disk(subject, for_s)
        elif subject == "collector":
            number = self._source.randrange(len(self.collectors))
            self.collectors[number].end(signal.SIGKILL)
            time.sleep(for_s)
            self.collectors[number] = self._start_collector()
        else:
            self.forecaster.end(signal.SIGKILL)
            time.sleep(for_s)
            self.forecaster = self._start_forecaster()

    def _fill_disk(self, subject: str, for_s: float) -> None:
        """Let no file of the process grow for a while: unlike a small disk it needs no root."""
        services = self.collectors if subject == "collector" else [self.forecaster]
        for limit in (4096, _NO_LIMIT):
            for service in services:
                resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (limit, _NO_LIMIT))
            if limit != _NO_LIMIT:
                time.sleep(for_s)

    def _send_rubbish(self) -> None:
        producer: KafkaProducer = make_producer([self.kafka.bootstrap], "rubbish")
        for number, payload in enumerate(_RUBBISH):
            producer.send(PRICES, payload, key=b"X", partition=number % _PARTITIONS).get(30)
        producer.close(timeout=5)
        self.rubbish += len(_RUBBISH)

    def stop_collecting(self) -> None:
        """Stop the collectors in good order, then the simulator; a last one empties the spools."""
        for service in self.collectors:
            service.end()
        self.simulator.end()
        last = self._start_collector()
        self._wait(lambda: gauge(last, "data_collector_spool_records") == 0, 120)
        last.end()

    def finish(self, stored: Callable[[], bool], patience_s: float) -> None:
        """Wait until the forecaster has ``stored`` everything, then stop it."""
        self._wait(stored, patience_s)
        self.forecaster.end()

    def close(self) -> None:
        """End whatever still runs."""
        everything = [
            *self.collectors,
            *(getattr(self, n, None) for n in ("forecaster", "simulator")),
        ]
        for service in everything:
            if service is not None and service.process.poll() is None:
                service.end(signal.SIGKILL)

    def _wait(self, true: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not true() and time.monotonic() < end:
            time.sleep(0.5)

    def _start_collector(self) -> Service:
        url = f"http://127.0.0.1:{self._port}"
        environment = {
            "EXCHANGES": "kraken,binance",  # all symbols in one request of the first
            "KRAKEN_REST_URL": f"{url}/kraken",
            "BINANCE_REST_URL": f"{url}/binance",
            "POLL_INTERVAL_S": str(self.interval_s),
            "RATE_LIMIT_FACTOR": "100000",
            "MAX_POLLS_IN_FLIGHT": "1",  # so fast, a later answer would overtake
            "SPOOL_DIR": str(self.spools),
        }
        return self._start("data_collector", environment)

    def _start_forecaster(self) -> Service:
        environment = {
            "DATABASE_URL": self.database_url,
            "MODEL_DIR": str(self.folder / "models"),
            "LEADER_LOCK_FILE": str(self.folder / "forecaster.lock"),
            "TRAIN_ENABLED": "false",
        }
        return self._start("bitcoin_forecast_app", environment)

    def _start(self, package: str, environment: dict[str, str]) -> Service:
        self._started += 1
        log = self.folder / f"{package}-{self._started:03d}.log"
        common = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "SYMBOLS": ",".join(SYMBOLS),
            "FEED": "simulated",
        }
        return PipedService(package, log, {**common, **environment})


class PipedService(Service):
    """Its log is written by a thread of ours: a limit on its files does not touch it."""

    def __init__(self, package: str, log: Path, environment: dict[str, str]) -> None:
        super().__init__(package, log, environment, output=subprocess.PIPE)
        self._pump = threading.Thread(target=self._copy, daemon=True)
        self._pump.start()

    def _copy(self) -> None:
        source = self.process.stdout
        assert source is not None
        with source, self.log.open("ab") as target:
            while data := os.read(source.fileno(), 1 << 16):
                target.write(data)
                target.flush()

    def end(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Return the seconds that it took to end; its log is whole then."""
        seconds = super().end(how)
        self._pump.join(10)
        return seconds


def gauge(service: Service, name: str) -> int | None:
    """Return the value of a metric without labels; None where the process does not answer."""
    for line in service.metrics().splitlines():
        if line.startswith(f"{name} "):
            return int(float(line.split()[1]))
    return None
