"""The platform as a user meets it: playbooks typed in a checkout, URLs, and what is kept."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from kafka import KafkaConsumer, TopicPartition
from tests.unit.bitcoin_forecast_app.test_registry import model

from bitcoin_forecast_app.registry import Registry

ROOT = Path(__file__).parents[2]
TOPICS = ("bitcoin-prices", "bitcoin-predictions", "bitcoin-prices-dlq")
MARKER = "BITCOIN_PREDICTION_INSTANCE_DIR"
LIMIT_S = 600  # seconds for one command
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Run:
    """One playbook run: exit code, everything printed, and the seconds it took."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """Return the number of changed tasks that the recap reports."""
        counts = re.findall(r"changed=(\d+)", self.output)
        assert counts, f"no recap in:\n{self.output}"
        return int(counts[-1])


@dataclass(frozen=True)
class Facts:
    """What must survive every mode but delete."""

    last_sequence: int
    ticks: int
    predictions: int
    end_offsets: dict[str, int]
    model_version: str


@dataclass
class LocalPlatform:
    """An instance on the `local` target with its own checkout, data home and ports."""

    checkout: Path
    data_home: Path
    instance: str = "e2e"
    ports: dict[str, int] = field(default_factory=dict)

    target = "local"

    @property
    def directory(self) -> Path:
        """Return the instance's directory."""
        return self.data_home / "bitcoin-prediction" / "instances" / self.instance

    @property
    def web(self) -> str:
        """Return the address of the web application."""
        return f"http://127.0.0.1:{self.ports['web_app_port']}"

    @property
    def kafka_ui(self) -> str:
        """Return the address of the Kafka UI."""
        return f"http://127.0.0.1:{self.ports['kafka_ui_port']}"

    @property
    def kafka_ui_health(self) -> str:
        """Return where Kafka's UI says that it is well."""
        return f"{self.kafka_ui}/health"

    def environment(self) -> dict[str, str]:
        """Return the environment of a user's shell in the checkout."""
        return {
            **os.environ,
            "XDG_DATA_HOME": str(self.data_home),
            "ANSIBLE_CONFIG": str(self.checkout / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def command(self, playbook: str, *arguments: str, **variables: object) -> list[str]:
        """Return the command line that runs ``playbook`` on this instance."""
        known = {"instance": self.instance, "target": self.target, **variables}
        return [
            str(Path(sys.executable).parent / "ansible-playbook"),
            playbook,
            *arguments,
            *(part for key, value in known.items() for part in ("-e", f"{key}={value}")),
        ]

    def run(self, playbook: str, *arguments: str, **variables: object) -> Run:
        """Run ``playbook`` to its end; standard input is closed, as in a script."""
        start = time.monotonic()
        result = subprocess.run(
            self.command(playbook, *arguments, **variables),
            cwd=self.checkout,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        return Run(result.returncode, result.stdout, time.monotonic() - start)

    def succeed(self, playbook: str, *arguments: str, **variables: object) -> Run:
        """Run ``playbook`` and require success; its output is the failure's message."""
        run = self.run(playbook, *arguments, **variables)
        assert run.code == 0, run.output
        return run

    def health(self) -> dict[str, Any]:
        """Return the answer of ``/api/health``."""
        answer = httpx.get(f"{self.web}/api/health", timeout=5)
        body: dict[str, Any] = answer.json()
        return body

    def query(self, sql: str) -> Any:
        """Return the first row of ``sql`` on the store, read-only."""
        (path,) = (self.directory / "data" / "store").glob("*.sqlite3")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as store:
            return store.execute(sql).fetchone()

    def end_offsets(self) -> dict[str, int]:
        """Return the number of messages ever written to each topic."""
        bootstrap = f"127.0.0.1:{self.ports['kafka_port']}"
        with closing(KafkaConsumer(bootstrap_servers=bootstrap)) as consumer:
            partitions = [
                TopicPartition(topic, number)
                for topic in TOPICS
                for number in sorted(consumer.partitions_for_topic(topic) or ())
            ]
            ends = consumer.end_offsets(partitions)
        totals = dict.fromkeys(TOPICS, 0)
        for partition, end in ends.items():
            totals[partition.topic] += end
        return totals

    def facts(self) -> Facts:
        """Return what is kept now."""
        last, count = self.query("SELECT max(sequence), count(*) FROM ticks")
        (predictions,) = self.query(
            f"SELECT count(*) FROM predictions WHERE sequence <= {int(last or 0)}"
        )
        return Facts(
            last_sequence=last,
            ticks=count,
            predictions=predictions,
            end_offsets=self.end_offsets(),
            model_version=self.health()["model_version"],
        )

    def require_kept(self, before: Facts) -> None:
        """Assert that nothing of ``before`` is gone."""
        kept = f"WHERE sequence <= {before.last_sequence}"
        assert self.query(f"SELECT count(*) FROM ticks {kept}") == (before.ticks,)
        (predictions,) = self.query(f"SELECT count(*) FROM predictions {kept}")
        assert predictions >= before.predictions
        after = self.end_offsets()
        assert all(after[topic] >= end for topic, end in before.end_offsets.items())
        # At first the page has heard of none.
        what = f"the model {before.model_version} or what a later training decided"
        wait_until(lambda: self.has_kept_model(before.model_version), 20, what)

    def has_kept_model(self, version: str) -> bool:
        """Return whether ``version`` is in service, or a training since has decided otherwise."""
        answer = httpx.get(f"{self.web}/api/v1/models", timeout=5).json()
        last = answer["last_training"] or {"version": "", "promoted": False, "reason": ""}
        changed = last["promoted"] or "withdrawn" in last["reason"]
        decided = changed and trained(last["version"]) > trained(version)
        return decided or trained(self.health()["model_version"]) == trained(version)

    def last_sequence(self) -> int:
        """Return the sequence of the newest stored tick, in microseconds."""
        return int(self.query("SELECT coalesce(max(sequence), 0) FROM ticks")[0])

    def last_predicted(self) -> int:
        """Return the sequence of the newest tick with a stored prediction, in microseconds."""
        return int(self.query("SELECT coalesce(max(sequence), 0) FROM predictions")[0])

    def wait_for_new_prediction(self, limit_s: float = 30) -> float:
        """Wait until a tick newer than now has its prediction; return the seconds it took."""
        start, newest = time.monotonic(), self.last_predicted()
        wait_until(lambda: self.last_predicted() > newest, limit_s, "a new prediction")
        return time.monotonic() - start

    def put_model(self, version: str) -> None:
        """Put a model of ours in service, as a training run does."""
        save_model(self.directory / "data" / "models", version)

    def model_in_service(self) -> str:
        """Return the version that the forecaster is to use; empty for none."""
        return Registry(self.directory / "data" / "models", "simulated").current

    def widen(self) -> None:
        """Have more than one of something, where the target knows how."""

    def remembered(self) -> dict[str, int]:
        """Return how many of what sleeps there were, where the target keeps a record of it."""
        return {}

    @contextmanager
    def most_replicas(self) -> Iterator[dict[str, int]]:
        """Count replicas meanwhile, where they may be taken back at once; here they are not."""
        yield {}

    def processes(self) -> dict[int, psutil.Process]:
        """Return the instance's processes by pid, the supervisor included."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARKER) == str(self.directory):
                    found[process.pid] = process
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def untouched(self, besides: str = "") -> dict[Any, Any]:
        """Return what differs as soon as any service but ``besides`` was started anew."""
        return {pid: name for pid, name in self.process_names().items() if name != besides}

    def require_shut(self, mode: str, before: dict[Any, str]) -> None:
        """Assert that a shutdown went as far as ``mode`` says, and no further."""
        now = self.process_names()
        if mode == "pause":
            assert now.keys() == before.keys()
            assert {p.status() for p in self.processes().values()} == {psutil.STATUS_STOPPED}
        elif mode == "services":
            assert {"zookeeper", "kafka"} <= set(now.values())
            assert not {"data-collector", "bitcoin-forecast-app", "web-app"} & set(now.values())
        else:
            assert self.processes() == {}

    def require_back(self, mode: str, before: dict[Any, str], replicas: dict[str, int]) -> None:
        """Assert that a startup brought back as much as there was."""
        assert self.workloads().keys() >= replicas.keys()
        if mode == "pause":
            assert self.process_names().keys() == before.keys()

    def workloads(self) -> dict[str, int]:
        """Return how many processes of each service there are."""
        return dict(Counter(self.process_names().values()))

    def process_names(self) -> dict[int, str]:
        """Return the service's name of each process; a trainer, which comes and goes, is none."""
        names = {}
        for pid, process in self.processes().items():
            try:
                if not is_trainer(process):
                    names[pid] = process.environ().get("SERVICE_NAME", process.name())
            except psutil.Error:
                continue
        return names

    def record(self) -> dict[str, Any]:
        """Return the instance's record."""
        record: dict[str, Any] = json.loads((self.directory / "instance.json").read_text())
        return record


def wait_until(condition: Callable[[], Answer], limit_s: float, what: str) -> Answer:
    """Return the first true answer of ``condition``; errors while waiting count as not yet."""
    end = time.monotonic() + limit_s
    last: object = None
    while time.monotonic() < end:
        try:
            answer = condition()
        except (httpx.HTTPError, sqlite3.Error, ValueError, KeyError) as error:
            last = error
        else:
            if answer:
                return answer
            last = answer
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come within {limit_s} s; last seen: {last!r}")


def is_trainer(process: psutil.Process) -> bool:
    """Return whether ``process`` is a training run of the forecaster."""
    return "bitcoin_forecast_app.train" in process.cmdline()


def trained(version: str | None) -> str:
    """Return a model's version, which begins with its time; empty where none was trained."""
    return version if version and version[0].isdigit() else ""


def save_model(directory: Path, version: str) -> None:
    """Write a model that was promoted, and put it in service."""
    registry = Registry(directory, "simulated")
    reason = {"version": version, "promoted": True, "reason": "promoted: a test"}
    registry.save(model(version), reason)
    registry.switch(version)


def copy_checkout(destination: Path) -> Path:
    """Copy what git tracks (and new files it does not ignore) to ``destination``, as a clone."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        source = ROOT / name
        if source.is_file():
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return destination
