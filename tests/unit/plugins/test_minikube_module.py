"""The module against stand-in commands: what it runs, what it says, what it reports."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest
from tests.support import fake_minikube

ansible.module_utils.__path__.append(str(Path(__file__).parents[3] / "plugins" / "module_utils"))
from plugins.module_utils import minikube_commands  # noqa: E402 - needs the path above
from plugins.modules import minikube  # noqa: E402 - needs the path above

OPTIONS: dict[str, Any] = {
    "profile": "minikube", "state": "running", "cpus": 4, "memory": 6144, "runtime": "docker",
    "kubernetes_version": "", "addons": ["metrics-server"], "extra_args": [], "force": True,
    "allow_recreate": False, "start_timeout": 60.0, "api_patience": 0.1,
}  # fmt: skip


class EndedError(Exception):
    """The module's end: ``result`` is what it reports."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result.get("msg", ""))
        self.result = result


class FakeModule:
    def __init__(self, options: dict[str, Any], *, check_mode: bool) -> None:
        self.params = {**OPTIONS, **options}
        self.check_mode = check_mode

    def exit_json(self, **result: Any) -> None:
        raise EndedError({"failed": False, **result})

    def fail_json(self, **result: Any) -> None:
        raise EndedError({"failed": True, **result})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path))
    monkeypatch.setattr(minikube, "_POLL_S", 0.01)
    return tmp_path


def converge(*, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    with pytest.raises(EndedError) as ended:
        minikube.Converger(FakeModule(options, check_mode=check_mode)).converge()
    return ended.value.result


def test_a_cluster_is_made_and_the_second_run_changes_nothing(machine: Path) -> None:
    fake_minikube.install(machine, "absent")

    first = converge()
    second = converge()

    assert first["changed"]
    assert first["steps"] == [
        "there is no cluster: create the cluster",
        "enable the addon metrics-server",
    ]
    assert not second["changed"]
    assert fake_minikube.read(machine)["calls"] == ["start", "addons enable metrics-server"]


def configure(machine: Path, driver: str, runtime: str) -> None:
    profile = machine / ".minikube" / "profiles" / "minikube"
    profile.mkdir(parents=True)
    config = {"Driver": driver, "CPUs": 4, "Memory": 6144}
    config |= {"KubernetesConfig": {"ContainerRuntime": runtime}}
    (profile / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("state", ["running", "absent"])
def test_a_cluster_of_another_driver_is_left_alone(machine: Path, state: str) -> None:
    fake_minikube.install(machine, "removed-volume")  # no container of Docker's, no volume
    configure(machine, "kvm2", "docker")
    result = converge(state=state, allow_recreate=True)
    assert result["failed"]
    assert "was made with the driver kvm2" in result["msg"]
    assert "-e minikube_profile=bitcoin" in result["msg"]
    assert fake_minikube.read(machine)["calls"] == []


def test_a_node_without_a_profile_may_be_of_another_user(machine: Path) -> None:
    fake_minikube.install(machine, "profile-dir-gone")
    result = converge()
    assert result["failed"]
    assert "-e minikube_profile=NAME" in result["msg"]
    assert "delete" not in fake_minikube.read(machine)["calls"]


def test_a_cluster_keeps_its_runtime(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_minikube.install(machine, "stopped")
    configure(machine, "docker", "containerd")
    started: list[list[str]] = []
    run = minikube_commands.run

    def watch(argv: list[str], limit_s: float) -> minikube_commands.Outcome:
        if "start" in argv:
            started.append(argv)
        return run(argv, limit_s)

    monkeypatch.setattr(minikube, "run", watch)
    result = converge()
    assert "--container-runtime=containerd" in started[0]
    assert result["notes"] == ["the cluster has the runtime containerd, and keeps it"]


def test_check_mode_names_the_first_step_and_does_nothing(machine: Path) -> None:
    fake_minikube.install(machine, "paused")
    result = converge(check_mode=True)
    assert result["changed"]
    assert result["steps"] == ["paused: unpause all namespaces"]
    assert fake_minikube.read(machine)["calls"] == []


@pytest.mark.parametrize("state", ["paused", "stopped", "absent"])
def test_the_other_states_are_reached_from_running(machine: Path, state: str) -> None:
    fake_minikube.install(machine, "running")
    assert converge(state=state)["changed"]
    assert fake_minikube.read(machine)["state"] == state
    assert not converge(state=state)["changed"]


def test_a_lost_container_is_healed_with_its_data(machine: Path) -> None:
    fake_minikube.install(machine, "removed", addons=["metrics-server"])
    result = converge()
    assert result["now"] == "running"
    assert "delete" not in fake_minikube.read(machine)["calls"]


def test_what_only_deletion_would_help_is_refused_with_what_to_type(machine: Path) -> None:
    fake_minikube.install(machine, "apiserver-gone", heals=False)
    result = converge()
    assert result["failed"]
    assert "tried:" in result["msg"]
    assert "-e allow_recreate=true" in result["msg"]
    assert "delete" not in fake_minikube.read(machine)["calls"]


def test_with_permission_it_is_deleted_and_made_anew(machine: Path) -> None:
    fake_minikube.install(machine, "profile-broken-json", addons=["metrics-server"])
    result = converge(allow_recreate=True)
    assert result["now"] == "running"
    assert fake_minikube.read(machine)["calls"][0] == "delete"


@pytest.mark.parametrize(
    ("facts", "options", "said"),
    [
        ({"state": "docker-down"}, {}, "sudo systemctl start docker"),
        ({"state": "absent", "version": "v1.25.2"}, {}, "too old"),
        ({"state": "absent", "cpus": 2}, {}, "-e minikube_cpus=2 -e minikube_memory=6144"),
        ({"state": "absent", "memory": 5 << 30}, {}, "-e minikube_cpus=4 -e minikube_memory=4608"),
        ({"state": "absent", "memory": 3 << 30}, {}, "-e target=local"),
        ({"state": "absent", "start_fails": 29}, {}, "RSRC_INSUFFICIENT_CORES"),
        ({"state": "absent", "start_fails": 57}, {}, "-e minikube_force=true"),
        ({"state": "absent"}, {"state": "paused"}, "ansible-playbook build.yml"),
    ],
)
def test_each_mistake_is_one_message(
    machine: Path, facts: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    fake_minikube.install(machine, **facts)
    result = converge(**options)
    assert result["failed"]
    assert said in result["msg"]


def test_root_needs_leave(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_minikube.install(machine, "absent")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "-e minikube_force=true" in converge(force=False)["msg"]
    assert fake_minikube.read(machine)["calls"] == []


@pytest.mark.parametrize("tool", ["minikube", "kubectl"])
def test_a_missing_command_is_named_with_how_to_install_it(
    machine: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    fake_minikube.install(machine, "absent")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else f"/usr/bin/{name}")
    message = converge()["msg"]
    assert f"`{tool}` is missing" in message
    assert "https://" in message


def test_a_command_that_hangs_ends_at_its_limit() -> None:
    outcome = minikube_commands.run(["sleep", "5"], 0.05)
    assert outcome.code == 124


def test_minikube_is_asked_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """In French it says `Fermeture en raison de`, and no advice of ours would fit."""
    for name in ("LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.setenv(name, "fr_FR.UTF-8")
    assert minikube_commands.run(["sh", "-c", 'echo "$LC_ALL"'], 5.0).out == "C.UTF-8\n"


def test_the_size_of_an_existing_cluster_is_told(machine: Path) -> None:
    fake_minikube.install(machine, "running", addons=["metrics-server"])
    profile = machine / ".minikube" / "profiles" / "minikube"
    profile.mkdir(parents=True)
    (profile / "config.json").write_text(json.dumps({"CPUs": 2, "Memory": 4096}))
    assert "2 CPUs and 4096 MiB" in converge()["notes"][0]
