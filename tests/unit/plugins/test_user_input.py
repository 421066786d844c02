"""What users may give with -e, and what they are told when it is wrong."""

from pathlib import Path
from typing import Any

import pytest
from plugins.action.user_input import check_input, convert, names_in_files

OPTIONS: dict[str, dict[str, Any]] = {
    "web_app_port": {"type": "port", "help": "port of the page", "example": "5002"},
    "tail": {"type": "int", "default": 50, "min": 1, "max": 1000, "help": "lines", "example": "9"},
    "replay_speed": {"type": "float", "min": 0.1, "help": "speed", "example": "10"},
    "follow": {"type": "bool", "default": False, "help": "go on", "example": "true"},
    "service": {"choices": ["web-app", "kafka-ui"], "help": "a service", "example": "web-app"},
    "instance": {"default": "default", "pattern": "[a-z]+", "help": "a name", "example": "demo"},
    "replay_file": {"type": "path", "help": "a recording", "example": "/path"},
}


def faults_of(extra: dict[str, Any], accepts: list[str] | None = None) -> list[str]:
    return check_input(extra, OPTIONS, accepts or list(OPTIONS), {"kafka_heap"})[1]


def test_values_are_typed_and_defaults_are_filled_in() -> None:
    extra = {"web_app_port": "5002", "follow": "YES", "replay_speed": "2.5"}
    values, faults = check_input(extra, OPTIONS, list(OPTIONS), set())
    assert faults == []
    assert (values["web_app_port"], values["follow"], values["replay_speed"]) == (5002, True, 2.5)
    assert (values["tail"], values["instance"], values["service"]) == (50, "default", None)


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("web_app_port", "http", ["web_app_port=http", "whole number", "-e web_app_port=5002"]),
        ("web_app_port", "70000", ["70000", "1024", "65535"]),
        ("web_app_port", "80", ["out of range"]),
        ("tail", "0", ["tail=0", "from 1 to 1000"]),
        ("replay_speed", "nan", ["out of range"]),
        ("replay_speed", "fast", ["replay_speed=fast", "a number"]),
        ("follow", "maybe", ["neither true nor false"]),
        ("service", "webapp", ["'webapp'", "web-app, kafka-ui", "Did you mean web-app?"]),
        ("instance", "Not/valid", ["Not/valid", "a name"]),
        ("replay_file", "/no/such/file", ["/no/such/file"]),
    ],
)
def test_a_wrong_value_is_explained(name: str, raw: str, words: list[str]) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        convert(name, raw, OPTIONS[name])
    for word in words:
        assert word in str(caught.value)


def test_a_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recording.csv").touch()
    monkeypatch.chdir(tmp_path)
    found = convert("replay_file", "recording.csv", OPTIONS["replay_file"])
    assert found == str(tmp_path / "recording.csv")


def test_paths_are_of_the_kind_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def told(kind: str, path: Path) -> str:
        spec = {"type": "path", "kind": kind, "example": "/path"}
        return str(convert("to", str(path), spec))

    assert told("file", tmp_path / "file") == str(tmp_path / "file")
    assert told("directory", tmp_path) == str(tmp_path)
    assert told("new", tmp_path / "not-yet") == str(tmp_path / "not-yet")
    for kind, path, words in (
        ("file", tmp_path, "is a directory, not a file"),
        ("directory", tmp_path / "file", "is no directory"),
        ("new", tmp_path / "nowhere" / "file", f"there is no {tmp_path}/nowhere"),
    ):
        with pytest.raises(ValueError, match=words):
            told(kind, path)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    (fault,) = faults_of({"web_app_prot": "5002"})
    assert "unknown variable web_app_prot" in fault
    assert "did you mean web_app_port?" in fault


def test_an_option_of_another_playbook_is_refused() -> None:
    (fault,) = faults_of({"tail": "5"}, accepts=["instance"])
    assert "tail has no meaning for this playbook; it takes: instance" in fault


def test_one_file_of_options_serves_every_playbook() -> None:
    files = {"mine.yml": {"tail": 5}, "empty.yml": None}
    filed = names_in_files(["instance=a", "@mine.yml", "@empty.yml"], files.get)
    assert filed == {"tail"}
    values, faults = check_input({"tail": 5}, OPTIONS, ["instance"], filed)
    assert faults == []
    assert "tail" not in values


def test_variables_of_roles_and_of_ansible_pass() -> None:
    assert faults_of({"kafka_heap": "512m", "ansible_python_interpreter": "python3"}) == []


def test_a_required_option_says_how_to_give_it() -> None:
    options = {**OPTIONS, "service": {**OPTIONS["service"], "required": True}}
    _, faults = check_input({}, options, ["service"], set())
    assert faults == ["service is missing: a service. Type: -e service=web-app"]


def test_a_required_option_with_a_wrong_value_is_one_fault() -> None:
    options = {**OPTIONS, "service": {**OPTIONS["service"], "required": True}}
    _, faults = check_input({"service": "nope"}, options, ["service"], set())
    assert len(faults) == 1
    assert "unknown service 'nope'" in faults[0]


def test_all_faults_are_told_at_once() -> None:
    assert len(faults_of({"tail": "x", "follow": "x", "nonsense": "x"})) == 3


def test_a_secret_is_checked_but_never_repeated() -> None:
    options = {"web_token": {"secret": True, "pattern": ".{16}", "help": "long", "example": "X"}}
    values, faults = check_input({"web_token": "sixteen-letters."}, options, ["web_token"], set())
    assert (values, faults) == ({"web_token": "sixteen-letters."}, [])
    _, faults = check_input({"web_token": "hush"}, options, ["web_token"], set())
    assert "not shown" in faults[0]
    assert "hush" not in faults[0]
