from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.unit.bitcoin_forecast_app.test_network import random_network

from bitcoin_forecast_app.errors import ArtefactError
from bitcoin_forecast_app.features import EVEN, ODD
from bitcoin_forecast_app.model import Model
from bitcoin_forecast_app.models import main, rollback
from bitcoin_forecast_app.registry import Registry
from bitcoin_forecast_app.start import Start


def model(version: str) -> Model:
    return Model(version, random_network(0.1), Start.empty())


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path, "simulated")
    for version in ("20260101T000000Z-a", "20260102T000000Z-b"):
        registry.save(model(version), {"version": version, "promoted": True})
        registry.switch(version)
    return registry


def test_a_model_comes_back_as_it_was_saved(registry: Registry) -> None:
    assert registry.current == "20260102T000000Z-b"
    loaded = registry.load_current()
    assert loaded is not None
    assert loaded.version == "20260102T000000Z-b"
    for name, weight in model("x").network.weights.items():
        assert np.array_equal(loaded.network.weights[name], weight)


def test_the_same_model_is_the_same_file(registry: Registry) -> None:
    first, second = (registry.manifest(version) for version in registry.versions())
    assert first["sha256"] == second["sha256"]
    assert first["features"] == [*EVEN, *ODD]


def test_nothing_is_in_service_at_first(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "live")
    assert registry.current == ""
    assert registry.load_current() is None
    assert registry.last_training() == {}


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest", "features"])
def test_a_corrupt_model_is_refused_and_the_one_before_is_used(
    registry: Registry, damage: str
) -> None:
    folder = registry.directory / registry.current
    weights, manifest = folder / "weights.npz", folder / "manifest.json"
    content = bytearray(weights.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
    elif damage == "truncate":
        weights.write_bytes(content[:100])
    elif damage == "remove":
        weights.unlink()
    elif damage == "manifest":
        manifest.write_text("{")
    else:
        manifest.write_text(manifest.read_text().replace("imbalance", "something"))
    with pytest.raises(ArtefactError):
        registry.load(registry.current)
    loaded = registry.load_current()
    assert loaded is not None
    assert loaded.version == "20260101T000000Z-a"


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "live")
    broken = model("20260103T000000Z-c")
    broken.network.weights["steps_bias"][0] = np.nan
    registry.save(broken, {"promoted": True})
    with pytest.raises(ArtefactError, match="not finite"):
        registry.load("20260103T000000Z-c")


def test_old_versions_go_but_never_the_one_in_service(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "live")
    for day in range(10, 35):
        registry.save(model(f"202601{day}T000000Z-x"), {"promoted": False})
        registry.switch("20260110T000000Z-x")
    assert len(registry.versions()) == 21
    assert registry.load_current() is not None


def command(tmp_path: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_DIR", str(tmp_path))
        patch.setenv("FEED", "simulated")
        assert main(arguments) == 0
    found: dict[str, Any] = msgspec.json.decode(capsys.readouterr().out)
    return found


def test_rollback_goes_one_back_then_to_the_baseline(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = command(tmp_path, "list", capsys=capsys)
    assert listed["current"] == "20260102T000000Z-b"
    assert [m["version"][:8] for m in listed["models"]] == ["20260102", "20260101"]
    assert command(tmp_path, "rollback", capsys=capsys)["current"] == "20260101T000000Z-a"
    assert command(tmp_path, "rollback", capsys=capsys)["current"] == ""
    named = command(tmp_path, "rollback", "20260102T000000Z-b", capsys=capsys)
    assert named == {"before": "", "current": "20260102T000000Z-b", "changed": True}
    assert registry.current == "20260102T000000Z-b"


def test_rollback_to_what_is_unknown_or_corrupt_changes_nothing(registry: Registry) -> None:
    with pytest.raises(ArtefactError, match="no model nothing; known: 20260102T000000Z-b"):
        rollback(registry, "nothing")
    (registry.directory / "20260101T000000Z-a" / "weights.npz").write_bytes(b"")
    with pytest.raises(ArtefactError):
        rollback(registry, None)
    assert registry.current == "20260102T000000Z-b"
