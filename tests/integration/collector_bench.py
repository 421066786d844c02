"""The simulator and collectors as real processes, and what they put into Kafka."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from kafka import TopicPartition
from tests.support.kafka_cluster import KafkaCluster

from common.kafka import make_consumer

ROOT = Path(__file__).parents[2]
INTERVAL_US = 1_000_000
LATE_US = 3_500_000  # the collector takes the answer of a poll for so long


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def eventually(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


class Service:
    """One process, its log (written by itself, unless ``output`` says more) and its ops port."""

    def __init__(
        self, package: str, log: Path, environment: dict[str, str], output: int | None = None
    ) -> None:
        self.ops = free_port()
        self.log = log
        variables = {"PYTHONPATH": str(ROOT / "services"), "OPS_PORT": str(self.ops)}
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", package],
                env={"PATH": os.environ["PATH"], **variables, **environment},
                stdout=file if output is None else output,
                stderr=subprocess.STDOUT,
            )

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ops}{path}", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def wait_ready(self, role: str) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            status, body = self.get("/health/ready")
            return status == 200 and body["role"] == role

        eventually(ready, f"{self.log.name} ready as {role}")

    def metrics(self) -> str:
        """Return the metrics as text, empty where the process does not answer."""
        url = f"http://127.0.0.1:{self.ops}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def delivered(self) -> int:
        """Return how many records this process has had acknowledged."""
        text = self.metrics()
        counts = re.findall(r"(?m)^data_collector_delivered_total\{.*\} (.*)$", text)
        return int(sum(map(float, counts)))

    def wait_delivered(self, more: int) -> None:
        wanted = self.delivered() + more
        eventually(lambda: self.delivered() >= wanted, f"{more} more records delivered")

    def end(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Return the seconds that it took to end."""
        started = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(20)
        return time.monotonic() - started


class Bench:
    """A simulator, collectors of one group and one spool's home, and topics of their own."""

    def __init__(
        self,
        directory: Path,
        kafka: KafkaCluster,
        name: str,
        market: dict[str, str],
        partitions: int = 1,
    ) -> None:
        self._directory = directory
        self._kafka = kafka
        self.topics = f"{name}-prices", f"{name}-dlq"
        self._group = name
        self._partitions = partitions
        kafka.create_topics(self.topics[:1], partitions)
        kafka.create_topics(self.topics[1:])
        self._services: list[Service] = []
        self._port = free_port()
        self.simulator = self._start(
            "exchange_simulator", {"SIMULATOR_PORT": str(self._port), **_LIFTED, **market}
        )
        self.simulator.wait_ready("active")

    def collector(self, **changes: str) -> Service:
        url = f"http://127.0.0.1:{self._port}"
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self._kafka.bootstrap,
            "FEED": "simulated",
            "SYMBOLS": "BTC-USD,ETH-USD",
            "TOPIC_PRICES": self.topics[0],
            "TOPIC_DLQ": self.topics[1],
            "COINBASE_REST_URL": f"{url}/coinbase",
            "BINANCE_REST_URL": f"{url}/binance",
            "KRAKEN_REST_URL": f"{url}/kraken",
            "COINBASE_WS_URL": f"ws{url[4:]}/coinbase/ws",
            "BINANCE_WS_URL": f"ws{url[4:]}/binance",
            "KRAKEN_WS_URL": f"ws{url[4:]}/kraken/ws",
            # A machine that is busy with other tests answers late: that is not what is tested.
            "REQUEST_TIMEOUT_S": "4",
            "POLL_DEADLINE_S": "9",
            "MAX_POLLS_IN_FLIGHT": "20",
            "SPOOL_DIR": str(self._directory / "spool"),
            "COLLECTOR_GROUP": self._group,
        }
        return self._start("data_collector", {**environment, **changes})

    def fault(self, **fault: object) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/admin/faults", json.dumps(fault).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200

    def read(self, topic: str) -> list[dict[str, Any]]:
        """Return every message that is in ``topic`` now."""
        return [json.loads(payload) for payload in self.raw(topic)]

    def raw(self, topic: str) -> list[bytes]:
        """Return every payload that is in ``topic`` now."""
        consumer = make_consumer([self._kafka.bootstrap], "bench")
        try:
            count = self._partitions if topic == self.topics[0] else 1
            partitions = [TopicPartition(topic, number) for number in range(count)]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            consumer.seek_to_beginning(*partitions)
            found: list[bytes] = []
            while any(consumer.position(place) < end for place, end in ends.items()):
                for records in consumer.poll(500).values():
                    found += [record.value for record in records]
            return found
        finally:
            consumer.close()

    def sequences(self, symbol: str = "BTC-USD") -> list[int]:
        return [tick["sequence"] for tick in self.read(self.topics[0]) if tick["symbol"] == symbol]

    def assert_complete(self, symbol: str = "BTC-USD") -> None:
        """Every slot once, but for those that a collector said it missed."""
        self.assert_no_hole(self.assert_once(symbol))

    def assert_once(self, symbol: str = "BTC-USD") -> list[int]:
        """Nothing twice, and in order as `assert_in_order`; return it sorted."""
        sequences = self.assert_in_order(symbol)
        assert len(sequences) == len(set(sequences)), "repeated"
        return sequences

    def assert_in_order(self, symbol: str = "BTC-USD") -> list[int]:
        """In order but for what a later poll overtook; return it sorted."""
        sequences = self.sequences(symbol)
        newest = accumulate(sequences, max)
        assert all(last - slot <= LATE_US for last, slot in zip(newest, sequences, strict=True))
        return sorted(sequences)

    def assert_handed_over(self, hand_overs: int, symbol: str = "BTC-USD") -> None:
        """Every slot, as `assert_complete`; for at most 2 s of each hand-over it may be twice."""
        sequences = self.sequences(symbol)
        unique = list(dict.fromkeys(sequences))  # downstream keeps the first of each key
        assert len(sequences) - len(unique) <= 3 * hand_overs
        self.assert_no_hole(sorted(unique))

    def assert_no_hole(self, sequences: list[int]) -> None:
        """Every slot is there, but for those that a collector said it missed."""
        pairs = list(pairwise(sequences))
        missing = {
            slot
            for before, after in pairs
            for slot in range(before + INTERVAL_US, after, INTERVAL_US)
        }
        assert missing <= self._admitted(), sorted(missing)

    @property
    def missed_us(self) -> int:
        """Return how long the slots are that collectors said they missed."""
        return len(self._admitted()) * INTERVAL_US

    def _admitted(self) -> set[int]:
        """Return the slots that collectors logged as missed, as a starved process must."""
        text = "".join(service.log.read_text() for service in self._services)
        found = {int(slot) for slot in re.findall(r"no exchange gave .* sequence=(\d+)", text)}
        for count, first in re.findall(r"polls missed.* polls=(\d+) first=(\d+)", text):
            found |= {int(first) + k * INTERVAL_US for k in range(int(count))}
        return found

    def close(self) -> None:
        for service in self._services:
            if service.process.poll() is None:
                service.process.kill()
                service.process.wait()

    def _start(self, package: str, environment: dict[str, str]) -> Service:
        log = self._directory / f"{package}-{len(self._services)}.log"
        service = Service(package, log, environment)
        self._services.append(service)
        return service


_LIFTED = {"SYMBOLS": "BTC-USD,ETH-USD", "SIMULATOR_RATE_LIMIT_FACTOR": "0"}


@contextmanager
def bench_in(
    directory: Path, kafka: KafkaCluster, name: str, partitions: int = 1, **market: str
) -> Iterator[Bench]:
    """Yield a bench whose processes are ended at the end; ``market`` is for the simulator."""
    bench = Bench(directory, kafka, name, market, partitions)
    try:
        yield bench
    finally:
        bench.close()
