import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.unit.bitcoin_forecast_app.synthetic import market
from tests.unit.bitcoin_forecast_app.test_network import random_network

from bitcoin_forecast_app import train as training
from bitcoin_forecast_app.model import Model
from bitcoin_forecast_app.models import main as models
from bitcoin_forecast_app.registry import Registry
from bitcoin_forecast_app.start import Start
from bitcoin_forecast_app.train import (
    BUSY,
    NOT_ENOUGH,
    WITH_PARENT,
    TrainSettings,
    judge,
    split,
)
from common.clock import SystemClock, from_micros
from common.store import make_engine, upgrade_schema
from common.store.writer import save_ticks
from common.wire import Tick


def scores(candidate: float, in_service: float, none: float) -> dict[str, dict[str, float]]:
    named = {"candidate": candidate, "in_service": in_service, "none": none}
    return {name: {"mean": value} for name, value in named.items()}


@pytest.mark.parametrize(
    ("figures", "has_current", "expected"),
    [
        ((0.90, 0.95, 0.95), False, "candidate"),
        ((0.95, 0.95, 0.95), False, "none"),
        ((0.9495, 0.95, 0.95), False, "none"),  # within the margin: no change for noise
        ((0.90, 0.93, 0.95), True, "candidate"),
        ((0.94, 0.93, 0.95), True, "in_service"),
        ((0.98, 0.97, 0.95), True, "none"),  # withdrawn: it has fallen behind
        ((float("nan"), 0.97, 0.98), True, "in_service"),
    ],
)
def test_what_goes_into_service(
    figures: tuple[float, float, float], has_current: bool, expected: str
) -> None:
    chosen, reason = judge(scores(*figures), has_current=has_current)
    assert chosen == expected
    assert f"{figures[1]:.4f}" in reason


def test_the_held_out_window_is_the_newest_and_never_trained_on() -> None:
    series = market(2_000)
    train, warm, held_out = split(series)
    assert len(held_out) == 400
    assert [*train, *held_out] == series
    assert warm[-1] == train[-1]


def fill(url: str, seconds: int) -> None:
    start = SystemClock().now().replace(microsecond=0) - timedelta(seconds=seconds)
    first = market(1)[0].time_us
    shift = int(start.timestamp()) * 1_000_000 - first
    engine = make_engine(url)
    upgrade_schema(engine)
    with engine.begin() as connection:
        save_ticks(
            connection,
            [
                Tick(
                    symbol="BTC-USD",
                    venue="coinbase",
                    feed="simulated",
                    sequence=o.time_us + shift,
                    event_time=from_micros(o.time_us + shift + 1),
                    receive_time=from_micros(o.time_us + shift + 30_000),
                    price=Decimal(str(o.mid)),
                    bid=Decimal(str(o.bid)),
                    ask=Decimal(str(o.ask)),
                    bid_size=Decimal(str(round(o.bid_size, 6))),
                    ask_size=Decimal(str(round(o.ask_size, 6))),
                )
                for o in market(seconds)
            ],
        )
    engine.dispose()


def train(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/store.db",
        "MODEL_DIR": str(tmp_path / "models"),
        "FEED": "simulated",
        "PYTHONPATH": "services",
    }
    theirs, ours = os.pipe()  # as the service starts it: open until the run has ended
    try:
        return subprocess.run(
            [sys.executable, "-m", "bitcoin_forecast_app.train", WITH_PARENT],
            env=os.environ | settings,
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(ours)


def test_too_few_ticks_are_said_to_be_too_few(tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path}/store.db", 100)
    run = train(tmp_path)
    assert run.returncode == NOT_ENOUGH
    assert "100 ticks stored of feed simulated, 600 needed" in run.stdout


def test_a_run_writes_a_version_with_its_scores_and_its_reason(tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path}/store.db", 1_500)
    run = train(tmp_path)
    assert run.returncode == 0, run.stderr
    registry = Registry(tmp_path / "models", "simulated")
    (version,) = registry.versions()
    manifest = registry.manifest(version)
    assert manifest == registry.last_training()
    assert msgspec.json.decode(run.stdout.splitlines()[-1])["version"] == version
    assert manifest["rows"] == 1_200
    assert 0.5 < manifest["scores"]["candidate"]["mean"] < 1.05
    assert manifest["reason"].startswith("promoted" if manifest["promoted"] else "refused")
    assert registry.load(version).version == version
    assert registry.current == (version if manifest["promoted"] else "")


def bad_model(version: str) -> Model:
    """Return a model that is far from every market."""
    start = Start.empty()
    return Model(version, random_network(2.0), start)


def in_service(tmp_path: Path) -> Registry:
    """Return a registry where a bad model was promoted."""
    registry = Registry(tmp_path / "models", "simulated")
    version = "20200101T000000Z-000000"
    registry.save(bad_model(version), {"version": version, "promoted": True})
    registry.switch(version)
    return registry


def test_a_model_that_has_fallen_behind_is_withdrawn_when_none_is_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    fill(url, 900)
    registry = in_service(tmp_path)
    monkeypatch.setattr(training, "train_model", lambda _series, version, _seed: bad_model(version))
    settings = TrainSettings(database_url=url, model_dir=tmp_path / "models", feed="simulated")
    manifest = training.run(settings, registry, SystemClock())
    assert manifest["reason"].startswith("refused, and the one in service is withdrawn")
    assert manifest["replaces"] == "20200101T000000Z-000000"
    assert registry.current == ""
    assert registry.load_current() is None
    assert manifest["version"] in registry.versions()


def test_one_run_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("DATABASE_URL", "sqlite:///x"), ("FEED", "simulated")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setattr(os, "nice", lambda _by: 0)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)
    with Registry(tmp_path, "simulated").training():
        assert models(["retrain"]) == BUSY
    said = capsys.readouterr().out
    assert f"a training run is under way (process {os.getpid()})" in said
    with Registry(tmp_path, "simulated").training():
        pass  # free again
