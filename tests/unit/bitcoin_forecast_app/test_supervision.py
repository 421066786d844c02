"""Models while the service runs: picked up, refused; trained on schedule and on drift."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.bitcoin_forecast_app.test_edges import outcome
from tests.unit.bitcoin_forecast_app.test_registry import model

from bitcoin_forecast_app import train
from bitcoin_forecast_app.engine import Key
from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.model import Model
from bitcoin_forecast_app.models import rollback
from bitcoin_forecast_app.registry import Registry
from bitcoin_forecast_app.scoreboard import Scoreboard
from bitcoin_forecast_app.settings import ForecastSettings
from bitcoin_forecast_app.supervision import Supervision
from bitcoin_forecast_app.training import Trainer

OLD, NEW = "20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb"


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Active:
    """What supervision sees of the worker."""

    def __init__(self) -> None:
        self.stored_ticks = 1_000
        self.scoreboards: dict[Key, Scoreboard] = {}
        self.model: Model | None = None

    def use(self, model: Model | None) -> None:
        self.model = model

    @property
    def version(self) -> str:
        return self.model.version if self.model else ""


class Asked:
    """A trainer that notes whether it was told of drift."""

    def __init__(self) -> None:
        self.drifting: list[bool] = []

    def poll(self, ticks: int, *, drifting: bool = False) -> None:
        self.drifting.append(drifting)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.registry = Registry(folder, "simulated")
        for version in (OLD, NEW):
            self.registry.save(model(version), {"version": version, "promoted": True})
            self.registry.switch(version)
        self.clock, self.worker, self.trainer = Time(), Active(), Asked()
        self.supervision = Supervision(
            self.worker,  # type: ignore[arg-type]
            self.registry,
            self.trainer,  # type: ignore[arg-type]
            Metrics(CollectorRegistry()),
            self.clock,
        )

    def turn(self) -> str:
        """Let a second pass; return the version in use."""
        self.clock.sleep(1.0)
        self.supervision()
        return self.worker.version


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_rollback_is_followed_within_a_second_and_without_a_restart(bench: Bench) -> None:
    assert bench.turn() == NEW
    assert rollback(bench.registry, None)["current"] == OLD
    assert bench.turn() == OLD
    assert rollback(bench.registry, "none")["current"] == ""
    assert bench.turn() == ""
    assert rollback(bench.registry, NEW, dry_run=True)["changed"]
    assert bench.turn() == ""
    rollback(bench.registry, NEW)
    assert bench.turn() == NEW


@pytest.mark.parametrize("damage", ["weights.npz", "manifest.json"])
def test_a_corrupt_model_that_is_put_in_service_is_replaced_by_the_one_before(
    bench: Bench, damage: str
) -> None:
    (bench.registry.directory / NEW / damage).write_bytes(b"rubbish")
    assert bench.turn() == OLD
    (bench.registry.directory / OLD / damage).write_bytes(b"rubbish")
    bench.registry.switch(OLD)
    assert bench.turn() == ""


def test_drift_is_a_model_that_is_behind_the_baseline_over_the_last_hour(bench: Bench) -> None:
    board = bench.worker.scoreboards[Key("simulated", "BTC-USD")] = Scoreboard()
    for second in range(250):
        board.add(outcome(second, crps=1.0, baseline=0.8))
    bench.turn()
    for second in range(250, 400):
        board.add(outcome(second, crps=1.0, baseline=0.8))
    bench.turn()
    for second in range(400, 4_000):
        board.add(outcome(second, crps=0.7, baseline=0.8))
    bench.turn()
    assert bench.trainer.drifting == [False, True, False]  # too few, behind, ahead again
    for second in range(4_000, 8_000):
        board.add(outcome(second, crps=1.0, baseline=0.8))
    rollback(bench.registry, "none")
    bench.turn()
    assert bench.trainer.drifting[-1] is False  # no model is in service, so none drifts


class Run:
    """A training process that ends when the test says so."""

    pid = 1

    def __init__(self) -> None:
        self.code: int | None = None
        self.output = b""
        self.killed = False

    def poll(self) -> int | None:
        return self.code

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        return self.output, b""

    def kill(self) -> None:
        self.killed, self.code = True, -9

    def end(self, code: int, **manifest: Any) -> None:
        self.code, self.output = code, json.dumps(manifest).encode()


class School:
    """A trainer whose processes are kept."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.runs: list[Run] = []
        self.clock = Time()
        settings = ForecastSettings(
            database_url="sqlite:///x", model_dir=folder, leader_lock_file=folder / "lock"
        )
        self.settings = settings
        self.start()
        patch.setattr("subprocess.Popen", self._start)

    def start(self, trained_at: datetime | None = None) -> None:
        """Be a new process."""
        metrics = Metrics(CollectorRegistry())
        self.trainer = Trainer(self.settings, self.clock, metrics)
        self.trainer.resume(trained_at)

    def _start(self, *_arguments: Any, **_options: Any) -> Run:
        self.runs.append(Run())
        return self.runs[-1]

    def pass_time(self, seconds: float, *, drifting: bool = False, ticks: int = 600) -> int:
        """Return how many runs there have been after so many seconds, a poll in each."""
        for _ in range(int(seconds)):
            self.clock.sleep(1.0)
            self.trainer.poll(ticks, drifting=drifting)
        return len(self.runs)


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    with pytest.MonkeyPatch.context() as patch:
        yield School(tmp_path, patch)


def test_training_begins_when_enough_is_stored_then_every_quarter_of_an_hour(
    school: School,
) -> None:
    assert school.pass_time(60, ticks=599) == 0
    assert school.pass_time(1) == 1
    school.runs[0].end(0, promoted=True, reason="promoted: better")
    assert school.pass_time(890) == 1
    assert school.trainer.last_result == "promoted: better"
    assert school.pass_time(20) == 2


def test_a_restart_brings_no_training_forward(school: School) -> None:
    school.start(school.clock.now() - timedelta(seconds=300))
    assert school.pass_time(590) == 0
    assert school.pass_time(20) == 1
    school.start(school.clock.now() - timedelta(days=2))
    assert school.pass_time(1) == 2


def test_drift_brings_the_next_run_forward(school: School) -> None:
    school.pass_time(1)
    school.runs[0].end(0, promoted=False, reason="refused: worse")
    assert school.pass_time(110, drifting=True) == 1
    assert school.trainer.last_result == "refused: worse"
    assert school.pass_time(20, drifting=True) == 2


def test_what_had_too_little_is_tried_again_soon(school: School) -> None:
    school.pass_time(1)
    school.runs[0].end(train.NOT_ENOUGH, error="too little")
    assert school.pass_time(55) == 1
    assert school.trainer.last_result == "too little"
    assert school.pass_time(10) == 2
    school.runs[1].end(0, promoted=True, reason="promoted: better")
    assert school.pass_time(890) == 2


def test_a_run_that_hangs_is_ended(school: School) -> None:
    assert school.pass_time(590) == 1
    assert school.trainer.running
    assert [run.killed for run in school.runs] == [False]
    school.pass_time(30)
    assert school.runs[0].killed
    assert school.trainer.last_result == "failed with signal 9 (Killed)"


def test_a_run_that_breaks_tells_its_exit_code(school: School) -> None:
    school.pass_time(1)
    school.runs[0].end(1)
    school.pass_time(1)
    assert school.trainer.last_result == "failed with exit code 1"
