"""The lifecycle's figures on an instance of its own, from a fresh checkout to its removal."""

import json
import os
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from kafka import KafkaConsumer, TopicPartition
from tests.e2e.conftest import PORTS, free_ports
from tests.e2e.load import RequestLoad, StreamClients
from tests.e2e.local_platform import LocalPlatform, copy_checkout, is_trainer, wait_until

from benchmarks.floors import bare_install, empty_play, percentile, relay_latencies, timed
from benchmarks.table import Row

__all__ = ["GIB", "change", "fresh_platform", "measure"]

Platform = TypeVar("Platform", bound=LocalPlatform)

GIB = 1024**3
_TRAINED_WITHIN_S = 780  # the first training begins after ten minutes of ticks


@contextmanager
def fresh_platform(kind: type[Platform]) -> Iterator[Platform]:
    """A checkout, data home and ports of its own; everything is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="bp", dir=Path.home()) as folder:
        checkout = copy_checkout(Path(folder) / "checkout")
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        platform = kind(checkout, Path(folder) / "h", instance="bench", ports=ports)
        try:
            yield platform
        finally:
            platform.run("shutdown.yml", mode="delete", confirm="true")
            for process in platform.processes().values():
                process.kill()


def measure() -> Iterator[Row]:
    """Yield the rows as they are measured."""
    with fresh_platform(LocalPlatform) as platform:
        yield build_from_nothing(platform)
        platform.wait_for_new_prediction(60)
        floor = empty_play()
        yield from unchanged(platform, floor)
        yield latency(platform)
        yield from pause_and_resume(platform, floor)
        yield from stop_and_start(platform, floor)
        yield rolled_under_load(platform, floor)
        yield from memory(platform)


def build_from_nothing(platform: LocalPlatform) -> Row:
    """``make build`` in a fresh clone, against uv installing the same packages."""
    floor = bare_install()
    variables = {"instance": platform.instance, "market_data": "simulated", **platform.ports}
    arguments = " ".join(f"-e {name}={value}" for name, value in variables.items())
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "ANSIBLE_CONFIG", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")
    }
    seconds = timed(
        lambda: subprocess.run(
            ["make", "build", f"ARGS={arguments}"],
            cwd=platform.checkout,
            env={**environment, "XDG_DATA_HOME": str(platform.data_home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    )
    met = seconds <= floor + 45
    return Row("make build, fresh clone", seconds, floor, "uv alone", "floor + 45 s", met=met)


def unchanged(platform: LocalPlatform, floor: float) -> Iterator[Row]:
    """Commands that find nothing to do."""
    what = "an empty play"
    again = platform.succeed("build.yml")
    met = again.changed == 0 and again.seconds <= 15
    label = f"build.yml again (changed={again.changed})"
    yield Row(label, again.seconds, floor, what, "15 s, changed=0", met=met)
    update = platform.succeed("update.yml", service="web-app")
    met = update.changed == 0 and update.seconds <= 5
    label = f"update, source unchanged (changed={update.changed})"
    yield Row(label, update.seconds, floor, what, "5 s", met=met)


def pause_and_resume(platform: LocalPlatform, floor: float) -> Iterator[Row]:
    """Freeze and thaw; no process may be replaced."""
    before = platform.untouched()
    pause = platform.succeed("shutdown.yml", mode="pause")
    yield Row("pause", pause.seconds, floor, "an empty play", "5 s", met=pause.seconds <= 5)
    resume = platform.succeed("startup.yml")
    met = resume.seconds <= 5 and platform.untouched() == before
    yield Row("startup after pause", resume.seconds, floor, "an empty play", "5 s", met=met)
    platform.wait_for_new_prediction(60)


def stop_and_start(platform: LocalPlatform, floor: float) -> Iterator[Row]:
    """Stop everything, then start it: the playbook, the first tick and the first prediction."""
    platform.succeed("shutdown.yml", mode="stop")
    last_tick, last_predicted = platform.last_sequence(), platform.last_predicted()
    start = time.time()  # noqa: TID251 - compared with file times
    seconds = timed(
        lambda: (
            platform.succeed("startup.yml"),
            wait_until(lambda: platform.last_predicted() > last_predicted, 60, "a prediction"),
        )
    )
    label = "startup after stop, to a new prediction"
    yield Row(label, seconds, floor, "an empty play", "25 s", met=seconds <= 25)
    for what, service, table, aim, last in (
        ("first tick stored", "data-collector", "ticks", 3.0, last_tick),
        ("first prediction stored", "bitcoin-forecast-app", "predictions", 5.0, last_predicted),
    ):
        (process,) = processes_of(platform, service)
        up = process.create_time()
        assert up > start
        # Of what was collected after the service's own start: what waited for it is older.
        since = max(last, int(up * 1e6))
        (first,) = platform.query(f"SELECT min(sequence) FROM {table} WHERE sequence > {since}")
        after = first / 1e6 - up
        label = f"{what}, after {service}'s start"
        yield Row(label, after, 1.0, "one poll", f"{aim:.0f} s", met=after <= aim)


def rolled_under_load(platform: LocalPlatform, floor: float) -> Row:
    """Replace web-app under 50 requests/s and 20 streams."""
    change(platform.checkout / "services" / "web_app" / "__main__.py")
    stream = f"{platform.web}/api/v1/stream?symbol=BTC-USD"
    with StreamClients(stream) as clients, RequestLoad(f"{platform.web}/api/health") as load:
        time.sleep(2)
        update = platform.succeed("update.yml", service="web-app")
        time.sleep(3)
    missed = sum(
        seen != list(range(seen[0], seen[-1] + 1, 1_000_000)) for seen in clients.sequences if seen
    )
    label = (
        f"update web-app under load ({len(load.failures)} of {load.answered} requests failed, "
        f"{missed} of {len(clients.sequences)} streams missed an event)"
    )
    met = update.seconds <= 15 and not load.failures and not missed
    return Row(label, update.seconds, floor, "an empty play", "15 s, 0 failed, 0 missed", met=met)


def latency(platform: LocalPlatform, seconds: float = 60.0) -> Row:
    """From a tick's receipt by the forecaster to Kafka's acknowledgement of its prediction.

    By the forecaster's own clock, as the relay beside it is; the records' times, each that of its
    producer's send, show the same with the tick's way through Kafka before it.
    """
    bootstrap = f"127.0.0.1:{platform.ports['kafka_port']}"
    time.sleep(seconds)
    since = (time.time() - seconds) * 1000  # noqa: TID251 - Kafka's record time
    sent: dict[str, dict[int, int]] = {}
    with closing(KafkaConsumer(bootstrap_servers=bootstrap)) as consumer:
        for topic in ("bitcoin-prices", "bitcoin-predictions"):
            sent[topic] = _send_times(consumer, topic, since)
    delays = [
        float(sent["bitcoin-predictions"][sequence] - at)
        for sequence, at in sent["bitcoin-prices"].items()
        if sequence in sent["bitcoin-predictions"]
    ]
    assert len(delays) > seconds / 2
    own = _forecaster_status(platform)["latency_ms"]
    floor = relay_latencies(bootstrap)
    seen = f"{statistics.median(delays):.0f}, {percentile(delays, 0.99):.0f}"
    return Row(
        f"tick to prediction, p50 (p99 {own['p99']:.0f} ms, bare relay's "
        f"{percentile(floor, 0.99):.0f} ms; tick sent to prediction sent, p50 and p99: {seen})",
        own["p50"],
        statistics.median(floor),
        "a bare relay with kafka-python",
        "p50 10 ms, p99 50 ms",
        unit="ms",
        met=own["p50"] <= 10 and own["p99"] <= 50,
    )


def _forecaster_status(platform: LocalPlatform) -> dict[str, Any]:
    """Return what the forecaster's `/status` says."""
    (process,) = processes_of(platform, "bitcoin-forecast-app")
    answer = httpx.get(f"http://127.0.0.1:{process.environ()['OPS_PORT']}/status", timeout=5)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def _send_times(consumer: KafkaConsumer, topic: str, since_ms: float) -> dict[int, int]:
    """Return when (ms) the record of each tick's sequence was sent, since ``since_ms``."""
    partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    found = {}
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                if record.timestamp >= since_ms:
                    found[int(json.loads(record.value)["sequence"])] = record.timestamp
    return found


def memory(platform: LocalPlatform) -> Iterator[Row]:
    """Resident memory of all processes, shared pages counted once."""
    at_rest, training = 0, 0
    end = time.monotonic() + _TRAINED_WITHIN_S
    while time.monotonic() < end and not (training and at_rest):
        total, trainer = resident(platform)
        at_rest = at_rest if trainer else max(at_rest, total)
        training = max(training, total) if trainer else training
        time.sleep(0.5)
    while time.monotonic() < end and resident(platform)[1]:
        training = max(training, resident(platform)[0])
        time.sleep(0.2)
    floor = platform_floor(platform)
    for label, used, aim in (("at rest", at_rest, 2.0), ("while training", training, 2.8)):
        met = used / GIB <= aim if used else None
        what = "ZooKeeper and Kafka alone"
        yield Row(f"memory {label}", used / GIB, floor, what, f"{aim} GiB", unit="GiB", met=met)


def resident(platform: LocalPlatform) -> tuple[int, bool]:
    """Return (bytes of proportional set size, whether a trainer runs)."""
    total, trainer = 0, False
    for process in platform.processes().values():
        try:
            total += process.memory_full_info().pss
            trainer = trainer or is_trainer(process)
        except psutil.Error:
            continue
    return total, trainer


def platform_floor(platform: LocalPlatform) -> float:
    """Return the GiB of the two Java processes."""
    java = processes_of(platform, "zookeeper", "kafka")
    return sum(process.memory_full_info().pss for process in java) / GIB


def processes_of(platform: LocalPlatform, *services: str) -> list[psutil.Process]:
    """Return the processes of ``services``."""
    names = platform.process_names()
    return [psutil.Process(pid) for pid, name in names.items() if name in services]


def change(path: Path) -> None:
    """Add a line that was built nowhere yet: no cache and no registry has it."""
    path.write_text(f"{path.read_text()}\n# changed: {uuid.uuid4()}\n")
