"""What every role must have: a specification that equals its defaults, and a scenario."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_ROLES = sorted(path.parents[1] for path in _ROOT.glob("roles/*/tasks/main.yml"))
_MOLECULE = _ROOT / ".config" / "molecule" / "config.yml"

each_role = pytest.mark.parametrize("role", _ROLES, ids=lambda role: role.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def specified(role: Path) -> dict[str, Any]:
    """Return the options of all entry points of a role."""
    entries = load(role / "meta" / "argument_specs.yml")["argument_specs"].values()
    return {name: option for entry in entries for name, option in entry.get("options", {}).items()}


def test_there_are_roles() -> None:
    assert {"java", "kafka", "service", "zookeeper"} <= {role.name for role in _ROLES}


@each_role
def test_specified_defaults_are_the_defaults(role: Path) -> None:
    file = role / "defaults" / "main.yml"
    defaults = (load(file) or {}) if file.exists() else {}
    options = specified(role)
    assert {name: option["default"] for name, option in options.items() if "default" in option} == (
        defaults
    )


@each_role
def test_options_are_described_and_begin_with_the_role(role: Path) -> None:
    for name, option in specified(role).items():
        assert name.startswith(f"{role.name}_"), name
        assert option["description"], name
        assert option["type"], name


@each_role
def test_a_scenario_converges_and_verifies(role: Path) -> None:
    scenario = role / "molecule" / "default"
    converge, verify = load(scenario / "converge.yml"), load(scenario / "verify.yml")
    assert (scenario / "molecule.yml").exists()
    assert role.name in yaml.safe_dump(converge)
    tasks = yaml.safe_dump(verify) + "".join(
        file.read_text() for file in scenario.glob("tasks/*.yml")
    )
    assert "ansible.builtin.assert" in tasks or "failed_when" in tasks


@each_role
def test_a_cluster_is_always_named(role: Path) -> None:
    """Whoever changes the current context meanwhile leads no command elsewhere."""
    for file in role.glob("tasks/**/*.yml"):
        for name, arguments in modules_of(load(file)):
            if name.startswith(("kubernetes.core.", "community.okd.")):
                assert (arguments or {}).get("context"), f"{file}: {name}"


@each_role
def test_a_job_in_the_background_has_an_interpreter_of_a_plain_path(role: Path) -> None:
    """Ansible's job runner takes a space in the path of the virtual environment for an end."""
    for file in role.glob("tasks/**/*.yml"):
        for task in load(file):
            if "async" in task:
                interpreter = task.get("vars", {}).get("ansible_python_interpreter")
                assert interpreter == "{{ ansible_playbook_python | realpath }}", task["name"]


def modules_of(tasks: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield each task's keys and what they hold, those in blocks included."""
    for task in tasks:
        yield from task.items()
        for part in ("block", "rescue", "always"):
            yield from modules_of(task.get(part, []))


def test_scenarios_try_check_mode_first_and_idempotence() -> None:
    steps = load(_MOLECULE)["scenario"]["test_sequence"]
    assert steps == [
        "destroy",
        "create",
        "prepare",
        "check",
        "converge",
        "idempotence",
        "verify",
        "destroy",
    ]
