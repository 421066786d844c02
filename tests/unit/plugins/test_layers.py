"""Layers: named by content, complete or ignored; and what each service needs."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plugins.module_utils import layer
from plugins.modules import (
    code_layer,
    layers_pruned,
    service_plan,
    slot_environment,
    venv_layer,
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in ("common", "web_app"):
        package = tmp_path / "services" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"NAME = {name!r}\n")
        (package / "requirements.txt").write_text("flask==3\n")
    return tmp_path / "services"


def test_a_code_layer_is_named_by_its_content_alone(sources: Path) -> None:
    before = layer.code_hash(sources, ["common", "web_app"])
    (sources / "web_app" / "__pycache__").mkdir()
    (sources / "web_app" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (sources / "web_app" / "requirements.txt").write_text("flask==4\n")
    assert layer.code_hash(sources, ["common", "web_app"]) == before
    (sources / "common" / "__init__.py").write_text("NAME = 'other'\n")
    assert layer.code_hash(sources, ["common", "web_app"]) != before


def test_moving_a_line_between_files_makes_another_layer(sources: Path) -> None:
    (sources / "web_app" / "a.py").write_text("x")
    (sources / "web_app" / "b.py").write_text("")
    before = layer.code_hash(sources, ["web_app"])
    (sources / "web_app" / "a.py").write_text("")
    (sources / "web_app" / "b.py").write_text("x")
    assert layer.code_hash(sources, ["web_app"]) != before


def test_a_code_layer_appears_whole(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "layers" / "code" / "web-app-1"
    target.mkdir(parents=True)
    (target / "leftover.py").touch()  # half-made: no mark
    code_layer.make(target, sources, ["common", "web_app"])
    assert layer.is_complete(target)
    assert (target / "web_app" / "__init__.py").exists()
    assert not (target / "leftover.py").exists()
    assert [path.name for path in target.parent.iterdir()] == ["web-app-1"]


@pytest.mark.parametrize(
    ("active", "running", "same", "expected"),
    [
        (0, [0], True, ("none", 0)),
        (0, [0], False, ("switch", 1)),
        (1, [1], False, ("switch", 0)),
        (1, [], True, ("start", 1)),
        (0, [1], False, ("start", 0)),  # an interrupted update: the recorded slot counts
    ],
)
def test_what_to_do_with_a_service(
    active: int, running: list[int], same: bool, expected: tuple[str, int]
) -> None:
    assert service_plan.decide(active, running, same=same) == expected


def options_of(sources: Path, **more: Any) -> dict[str, Any]:
    home = sources.parent
    return {
        "catalogue": {
            "web-app": {"package": "web_app", "rollout": "share", "environment": {"A": 1}}
        },
        "environment": {"LOG_LEVEL": "INFO"},
        "ops_ports": {"web-app": [6001, 6002]},
        "sources": str(sources),
        "shared": ["common"],
        "layers": str(home / "layers"),
        "slots_dir": str(home / "slots"),
        "active": {},
        "keep_release": False,
        **more,
    }


def fill_slot(sources: Path, plan: dict[str, Any]) -> None:
    file = sources.parent / "slots" / "web-app" / str(plan["slot"]) / "env"
    slot_environment.write(file, slot_environment.text_of(plan["environment"]))


def test_a_service_that_runs_the_present_sources_is_left_alone(sources: Path) -> None:
    options, states = options_of(sources), {"web-app:web-app_0": "RUNNING"}
    first = service_plan.plan_service("web-app", options, {})
    assert (first["action"], first["refill"]) == ("start", True)
    fill_slot(sources, first)
    again = service_plan.plan_service("web-app", options, states)
    assert (again["action"], again["refill"]) == ("none", False)


def test_a_changed_source_or_setting_switches_to_the_other_slot(sources: Path) -> None:
    options, states = options_of(sources), {"web-app:web-app_0": "RUNNING"}
    fill_slot(sources, service_plan.plan_service("web-app", options, {}))
    (sources / "web_app" / "__init__.py").write_text("NAME = 'new'\n")
    plan = service_plan.plan_service("web-app", options, states)
    assert (plan["action"], plan["slot"], plan["ops_port"]) == ("switch", 1, 6002)
    assert plan["environment"]["OPS_PORT"] == "6002"


def test_startup_keeps_the_release_that_ran_as_long_as_it_is_whole(sources: Path) -> None:
    options = options_of(sources, keep_release=True)
    first = service_plan.plan_service("web-app", options, {})
    fill_slot(sources, first)
    for path in (first["code"], first["venv"]):
        Path(path).mkdir(parents=True)
        layer.complete(Path(path))
    (sources / "web_app" / "__init__.py").write_text("NAME = 'new'\n")
    assert service_plan.plan_service("web-app", options, {})["code"] == first["code"]
    (Path(first["venv"]) / layer.MARKER).unlink()
    assert service_plan.plan_service("web-app", options, {})["code"] != first["code"]


def test_layers_go_when_no_instance_names_them(tmp_path: Path) -> None:
    used, unused = (tmp_path / "layers" / "code" / name for name in ("used", "unused"))
    for path in (used, unused):
        path.mkdir(parents=True)
    slot = tmp_path / "instances" / "default" / "slots" / "web-app" / "1"
    slot.mkdir(parents=True)
    (slot / "env").write_text(f"CODE_LAYER={used}\n")
    assert layers_pruned.unused_layers(tmp_path) == [unused]


def test_a_half_made_environment_is_made_anew(tmp_path: Path) -> None:
    target = tmp_path / "venvs" / "web-app-1"
    (target / "bin").mkdir(parents=True)
    commands: list[list[str]] = []

    def run_command(command: list[str]) -> tuple[int, str, str]:
        commands.append(command)
        target.mkdir(parents=True, exist_ok=True)
        return 0, "", ""

    module = SimpleNamespace(
        params={"uv": "uv", "requirements": "lock.txt"}, run_command=run_command
    )
    venv_layer.make(module, target)
    assert not (target / "bin").exists()
    assert [command[:3] for command in commands] == [
        ["uv", "venv", "--quiet"],
        ["uv", "pip", "install"],
    ]
    assert "--require-hashes" in commands[1]
    assert layer.is_complete(target)


def test_a_dead_network_is_recognised() -> None:
    message = venv_layer.explain("lock.txt", "error: Failed to fetch: dns error")
    assert "Is the network up?" in message
    assert "Is the network up?" not in venv_layer.explain("lock.txt", "hash mismatch")


def test_a_slots_environment_survives_the_shell(tmp_path: Path) -> None:
    file = tmp_path / "slots" / "web-app" / "0" / "env"
    environment = {"PLAIN": 1, "SPACED": "a b", "QUOTED": "it's $HOME", "EMPTY": ""}
    text = slot_environment.text_of(environment)
    slot_environment.write(file, text)
    assert slot_environment.holds(file, text)
    assert file.stat().st_mode & 0o077 == 0
    script = f'set -a; . {file}; printf "%s|" "$PLAIN" "$SPACED" "$QUOTED" "$EMPTY"'
    shown = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
    assert shown == "1|a b|it's $HOME||"
    assert service_plan.read_environment(file) == {k: str(v) for k, v in environment.items()}
