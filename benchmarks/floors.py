"""What the same work costs at the least on this machine, now."""

import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from benchmarks import ROOT

__all__ = ["bare_install", "empty_play", "percentile", "relay_latencies", "timed"]

_LOCKS = (
    "requirements/controller.txt",
    *(
        f"services/{name}/requirements.txt"
        for name in (
            "data_collector",
            "exchange_simulator",
            "bitcoin_forecast_app",
            "web_app",
            "kafka_monitor",
        )
    ),
)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that ``action`` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def percentile(values: list[float], level: float) -> float:
    """Return the nearest-rank percentile; ``level`` is between 0 and 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(level * len(ordered)))]


def bare_install() -> float:
    """Seconds that uv alone needs to install every locked package of a build, one after another."""
    uv = str(Path(sys.executable).parent / "uv")

    def install() -> None:
        with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
            for number, lock in enumerate(_LOCKS):
                venv = f"{folder}/{number}"
                subprocess.run([uv, "venv", "-q", venv], check=True)
                target = ["--python", f"{venv}/bin/python", "--require-hashes", "-r", lock]
                subprocess.run([uv, "pip", "install", "-q", *target], check=True, cwd=ROOT)

    return timed(install)


def empty_play() -> float:
    """Seconds that Ansible needs for a play with one module and nothing to do."""
    play = "- hosts: localhost\n  connection: local\n  gather_facts: false\n"
    play += "  tasks:\n    - ansible.builtin.ping:\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.yml"
        path.write_text(play)
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,"]
        variables = ["-e", f"ansible_python_interpreter={sys.executable}"]
        environment = {**os.environ, "ANSIBLE_CONFIG": f"{folder}/none.cfg"}
        return timed(
            lambda: subprocess.run(
                [*command, *variables, str(path)],
                check=True,
                capture_output=True,
                env=environment,
                cwd=folder,
            )
        )


def relay_latencies(bootstrap: str, messages: int = 60) -> list[float]:
    """Milliseconds from reading a message to the broker's acknowledgement of one sent in reply.

    A bare loop of the same client with the same settings, at ten messages a second, on a topic of
    its own that is deleted afterwards.
    """
    from kafka.admin import KafkaAdminClient, NewTopic

    topic = f"benchmark-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 2, 1)])
    latencies: list[float] = []
    options = {"bootstrap_servers": bootstrap, "acks": "all", "enable_idempotence": True}
    source, relay = KafkaProducer(**options), KafkaProducer(**options)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=100)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_end()
    consumer.position(TopicPartition(topic, 0))

    def feed() -> None:
        for _ in range(messages):
            source.send(topic, b"x" * 400, partition=0)
            time.sleep(0.1)

    feeder = threading.Thread(target=feed)
    feeder.start()
    end = time.monotonic() + messages * 0.1 + 10
    while len(latencies) < messages and time.monotonic() < end:
        for records in consumer.poll(timeout_ms=200).values():
            for _ in records:
                start = time.perf_counter()
                relay.send(topic, b"x" * 2000, partition=1).get(timeout=5)
                latencies.append((time.perf_counter() - start) * 1000)
    feeder.join()
    for client in (source, relay, consumer):
        client.close()
    admin.delete_topics([topic])
    admin.close()
    return latencies
