"""Scenarios run where there is what they need, and are left out with the reason elsewhere."""

from pathlib import Path

import pytest
from tests import molecule
from tests.molecule import Scenario

_CLUSTER = Scenario("kafka", "cluster")
_REGISTRY = Scenario("images", "cluster")
_ANYWHERE = Scenario("kafka", "default")


@pytest.fixture(autouse=True)
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a machine without a cluster and without Docker."""
    for name in ("KUBECONFIG", "E2E_CLUSTER_VARIABLES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(molecule, "_docker", lambda words: False)


def test_each_scenario_asks_for_what_a_machine_can_have() -> None:
    scenarios = molecule.discover([])
    assert {_CLUSTER, _REGISTRY, _ANYWHERE} <= set(scenarios)
    reasons = {scenario: scenario.lacking for scenario in scenarios}
    assert reasons[_ANYWHERE] == ""
    assert reasons[_CLUSTER] == reasons[_REGISTRY] == "KUBECONFIG names no cluster"
    assert reasons[Scenario("images", "default")] == "no Docker daemon answers"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "E2E_CLUSTER_VARIABLES names no file of variables (registry: ...)"),
        ("", "vars.yml names no registry"),
        ("target: minikube\n", "vars.yml names no registry"),
        ("registry: host/path\n", "no Docker daemon answers"),
    ],
)
def test_images_of_ours_need_a_registry_besides_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, reason: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", "config")
    if told is not None:
        (tmp_path / "vars.yml").write_text(told)
        monkeypatch.setenv("E2E_CLUSTER_VARIABLES", str(tmp_path / "vars.yml"))
    assert _CLUSTER.lacking == ""
    assert _REGISTRY.lacking.endswith(reason)


@pytest.mark.parametrize(
    ("told", "installed", "reason"),
    [
        (None, True, "E2E_CLUSTER_VARIABLES names no file of variables with target: minikube"),
        ("", True, "E2E_CLUSTER_VARIABLES names no file of variables with target: minikube"),
        ("registry: host/path\n", True, "names no file of variables with target: minikube"),
        ("target: minikube\n", False, "minikube is not installed"),
        ("target: minikube\n", True, ""),
    ],
)
def test_a_cluster_of_minikube_is_made_where_one_is_meant(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: str | None,
    installed: bool,
    reason: str,
) -> None:
    if told is not None:
        (tmp_path / "vars.yml").write_text(told)
        monkeypatch.setenv("E2E_CLUSTER_VARIABLES", str(tmp_path / "vars.yml"))
    monkeypatch.setattr("shutil.which", lambda name: name if installed else None)
    lacking = Scenario("minikube", "cluster").lacking
    assert lacking.endswith(reason)
    assert bool(lacking) == bool(reason)


def test_with_all_that_is_needed_nothing_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vars.yml").write_text("registry: host/path\ntarget: minikube\n")
    monkeypatch.setenv("KUBECONFIG", "config")
    monkeypatch.setenv("E2E_CLUSTER_VARIABLES", str(tmp_path / "vars.yml"))
    monkeypatch.setattr(molecule, "_docker", lambda words: True)
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert {scenario.lacking for scenario in molecule.discover([])} == {""}


def test_a_role_without_a_scenario_is_named() -> None:
    with pytest.raises(SystemExit, match="no scenario for: nonsense"):
        molecule.discover(["kafka", "nonsense"])
