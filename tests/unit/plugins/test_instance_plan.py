"""Decisions about an instance: target, ports, market data, and what forbids going on."""

import socket
from pathlib import Path
from typing import Any

import pytest
from plugins.modules import instance_plan as plan


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {
        "home": str(tmp_path),
        "instance": "default",
        "require_built": False,
        "format_version": 1,
        "target": "auto",
        "targets": ["local"],
        # Below the range from which the system gives out ports to whoever asks for any.
        "ports": {"web_app": 25001, "kafka": 25092, "ops": 25061},
        "given_ports": {},
        "ops_services": ["data-collector", "web-app"],
        "market_data": "",
        "exchanges": [],
        "settings": {},
        "default_settings": {"symbols": "BTC-USD", "replay_file": ""},
        "cluster": {},
        "default_cluster": {"kafka_brokers": 1, "registry": ""},
        "builds_images": True,
        "layers": [],
        "repository_url": "https://a.mirror",
        "free_mb": 1,
        "free_mb_running": 1,
    }


def make(options: dict[str, Any], recorded: dict[str, Any] | None = None) -> dict[str, Any]:
    directory = Path(options["home"], "instances", options["instance"])
    return plan.make_plan(options, directory, recorded or {}, [])


@pytest.mark.parametrize(
    ("wanted", "recorded", "minikube", "expected"),
    [
        ("auto", None, None, "local"),
        ("auto", "local", "/bin/minikube", "local"),
        ("auto", None, "/bin/minikube", "minikube"),
        ("local", "minikube", "/bin/minikube", "local"),
    ],
)
def test_target(wanted: str, recorded: str | None, minikube: str | None, expected: str) -> None:
    target, reason = plan.decide_target(wanted, recorded, ["local", "minikube"], minikube)
    assert target == expected
    assert reason


def test_an_installed_minikube_is_left_alone_by_a_version_that_cannot_use_it() -> None:
    assert plan.decide_target("auto", None, ["local"], "/bin/minikube")[0] == "local"


def test_an_unavailable_target_says_what_to_type(options: dict[str, Any]) -> None:
    (fault,) = plan.target_faults({**options, "target": "cluster"})
    assert "cluster" in fault
    assert "-e target=local" in fault


def test_market_data_is_live_only_when_an_exchange_answers() -> None:
    assert plan.decide_market_data("", {}, lambda: "an.exchange")["feed"] == "live"
    assert plan.decide_market_data("auto", {}, lambda: None)["feed"] == "simulated"


def test_recorded_market_data_is_kept_without_asking_anyone() -> None:
    def nobody_asks() -> str:
        raise AssertionError

    recorded = {"market_data": {"feed": "replay", "reason": "asked for"}}
    assert plan.decide_market_data("", recorded, nobody_asks)["feed"] == "replay"
    assert plan.decide_market_data("live", recorded, nobody_asks)["feed"] == "live"


def test_given_ports_win_over_recorded_ones_and_those_over_the_block(
    options: dict[str, Any],
) -> None:
    options["given_ports"] = {"web_app_port": 25002, "kafka_port": None}
    decided = make(options, {"ports": {"kafka": 25999, "gone": 1}, "port_block": 0})
    assert decided["ports"] == {"web_app": 25002, "kafka": 25999, "ops": 25061}
    assert decided["ops_ports"] == {"data-collector": [25061, 25062], "web-app": [25063, 25064]}


def test_each_further_instance_gets_the_lowest_free_block(options: dict[str, Any]) -> None:
    options["instance"] = "demo2"
    directory = Path(options["home"], "instances", "demo2")
    assert plan.choose_block(options, directory, {}, []) == 1
    assert plan.choose_block(options, directory, {}, [{"port_block": 1}]) == 2
    assert plan.choose_block(options, directory, {"port_block": 7}, []) == 7


def test_a_block_with_a_taken_port_is_passed_over(options: dict[str, Any]) -> None:
    options["instance"] = "demo2"
    with socket.create_server(("127.0.0.1", options["ports"]["web_app"] + 100)):
        assert plan.choose_block(options, Path(options["home"], "instances", "demo2"), {}, []) == 2


def test_settings_are_recorded_over_defaults_and_given_over_recorded(
    options: dict[str, Any],
) -> None:
    recorded = {"settings": {"symbols": "ETH-USD"}}
    assert make(options, recorded)["settings"]["symbols"] == "ETH-USD"
    options["settings"] = {"symbols": "LTC-USD"}
    assert make(options, recorded)["settings"]["symbols"] == "LTC-USD"


def test_the_active_slot_decides_the_endpoint(options: dict[str, Any]) -> None:
    decided = make(options, {"slots": {"web-app": 1}})
    assert decided["endpoints"]["web-app"] == {
        "name": "web-app",
        "process": "web-app:web-app_1",
        "ops_port": 25064,
    }


def test_a_taken_port_is_named_with_its_holder_and_an_alternative(options: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (fault,) = plan.port_faults({"web_app": port, "ops": 25061}, "/nowhere", options)
    assert f"port {port} (web_app_port) is taken by" in fault
    assert "pid" in fault
    assert "-e web_app_port=" in fault


def test_a_port_named_twice_is_refused(options: dict[str, Any]) -> None:
    faults = plan.port_faults({"kafka": 25010, "web_app": 25010, "ops": 25061}, "/nowhere", options)
    assert any("same as kafka_port" in fault for fault in faults)


def test_what_forbids_going_on_is_told_with_what_to_type(options: dict[str, Any]) -> None:
    directory = Path("/tmp/bitcoin-prediction/instances/default")
    (fault,) = plan.host_faults({**options, "require_built": True}, directory, {})
    assert "make build" in fault
    (fault,) = plan.host_faults(options, directory, {"format_version": 2})
    assert "newer version" in fault


def test_a_path_too_long_for_a_socket_is_refused(options: dict[str, Any]) -> None:
    directory = Path("/tmp", "x" * 90)
    (fault,) = plan.host_faults(options, directory, {})
    assert "too long" in fault


def test_too_little_space_is_refused(options: dict[str, Any]) -> None:
    options["free_mb_running"] = 10**9
    (fault,) = plan.space_faults(options, Path(options["home"]), fetching=False)
    assert "MB are needed" in fault


def test_a_dead_network_matters_only_when_something_must_be_fetched(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "unreachable", lambda _address: "no route to host")
    assert plan.needs_faults(options, Path(options["home"])) == []
    options["layers"] = [str(Path(options["home"], "absent"))]
    (fault,) = plan.needs_faults(options, Path(options["home"]))
    assert "no route to host" in fault
    assert "make build" in fault


def test_a_replay_needs_a_recording(options: dict[str, Any]) -> None:
    assert "replay_file" in plan.replay_faults({**options, "market_data": "replay"}, {})[0]
    given = {**options, "settings": {"replay_file": "/a.csv"}}
    assert "market_data=replay" in plan.replay_faults(given, {})[0]
    assert plan.replay_faults({**given, "market_data": "replay"}, {}) == []


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_text("{")
    assert plan.read_record(tmp_path) == {}
