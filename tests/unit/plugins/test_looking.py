"""Logs, status and readiness: what is read, and what people are told."""

import re
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plugins.filter.human import human_bytes, human_seconds
from plugins.module_utils import observation
from plugins.modules import json_record, log_lines, services_ready, system_status

LINE = re.compile("")


def test_the_last_lines_are_read_across_rotated_parts(tmp_path: Path) -> None:
    log = tmp_path / "web-app.log"
    log.write_text("5 yes\n6 no\n7 yes\n")
    (tmp_path / "web-app.log.1").write_text("3 yes\n4 yes\n")
    (tmp_path / "web-app.log.2").write_text("1 yes\n2 yes\n")
    assert log_lines.last_matching(log, LINE, 2) == ["6 no", "7 yes"]
    assert log_lines.last_matching(log, re.compile("yes"), 4) == [
        "3 yes",
        "4 yes",
        "5 yes",
        "7 yes",
    ]
    assert log_lines.last_matching(tmp_path / "none.log", LINE, 5) == []


def test_long_logs_are_read_from_their_end_in_blocks(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("".join(f"{number:06d} {'é' * 40}\n" for number in range(5000)))
    lines = list(log_lines.backwards(log))
    assert len(lines) == 5000
    assert (lines[0][:6], lines[-1][:6]) == ("004999", "000000")


def test_lines_of_several_services_are_merged_by_time() -> None:
    found = {
        "a | ": ["2026-01-01T00:00:01Z one", "  more of one", "2026-01-01T00:00:03Z three"],
        "b | ": ["2026-01-01 00:00:02,5 two"],
    }
    assert [line[4:].split()[-1] for line in log_lines.merge(found)] == [
        "one",
        "one",
        "two",
        "three",
    ]


def test_crashes_since_the_supervisors_start_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "supervisord.log"
    crash = "INFO exited: {} (terminated by SIGKILL; not expected)\n"
    log.write_text(
        crash.format("kafka")
        + "INFO supervisord started with pid 7\n"
        + crash.format("kafka")
        + crash.format("web-app_1")
        + crash.format("web-app_0")
        + "INFO exited: zookeeper (exit status 0; expected)\n"
    )
    assert observation.restarts(log) == {"kafka": 1, "web-app": 2}


def test_the_store_is_read_without_a_lock(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite3"
    with sqlite3.connect(file) as store:
        store.executescript(
            "CREATE TABLE ticks (feed, symbol, sequence, event_time);"
            "CREATE TABLE predictions (feed, symbol, horizon_s, issue_time, model_version);"
            "INSERT INTO ticks VALUES ('live', 'BTC-USD', 1, 10), ('live', 'BTC-USD', 2, 20);"
            "INSERT INTO predictions VALUES ('live', 'BTC-USD', 1, 21, 'v7');"
        )
    store.close()
    facts = observation.store_facts(file, "live", ["BTC-USD"])
    assert facts["rows"] == {"ticks": 2, "predictions": 1, "scores": None}
    assert (facts["last_tick_us"], facts["last_prediction_us"]) == (20, 21)
    assert facts["model_version"] == "v7"
    assert observation.store_facts(tmp_path / "none", "live", ["BTC-USD"]) == {}


def test_what_was_committed_since_the_ends_were_asked_for_is_no_negative_lag() -> None:
    class Client:
        def list_groups(self) -> list[dict[str, str]]:
            return [{"group_id": "reader"}]

        def list_group_offsets(self, groups: list[str]) -> dict[str, dict[str, Any]]:
            offsets = {"ahead": 12, "behind": 7, "unread": -1, "of others": 5}
            return {g: {k: SimpleNamespace(offset=n) for k, n in offsets.items()} for g in groups}

    ends = {"ahead": 11, "behind": 10, "unread": 4}
    assert observation.group_lags(Client(), ends) == {"reader": 3}


def status_of(**changes: Any) -> dict[str, Any]:
    return {
        "mode": "running",
        "services": {"web-app": {"state": "running", "ready": True}},
        "kafka": {"groups": {"forecast": 0}},
        "tick_age_s": 1.0,
        "urls": {"Page": 200},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mode": "paused"}, ["paused", "startup.yml"]),
        ({"services": {"web-app": {"state": "fatal"}}}, ["web-app is fatal", "startup.yml"]),
        (
            {"services": {"web-app": {"state": "running", "ready": False, "reason": "no store"}}},
            ["not ready: no store", "logs.yml -e service=web-app"],
        ),
        ({"kafka": {"error": "refused"}}, ["Kafka does not answer: refused"]),
        ({"kafka": {"groups": {"forecast": 500}}}, ["forecast is 500 messages behind"]),
        ({"tick_age_s": 100.0}, ["100 s old"]),
        ({"tick_age_s": None}, ["no tick is stored yet"]),
        ({"urls": {"Page": 0}}, ["Page does not answer"]),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: list[str]) -> None:
    options = {"startup": "ansible-playbook startup.yml", "logs": "ansible-playbook logs.yml"}
    (problem,) = system_status.problems(status_of(**changes), options)
    for word in words:
        assert word in problem


def test_nothing_is_wrong_when_all_is_well() -> None:
    assert system_status.problems(status_of(), {"startup": "", "logs": ""}) == []


def test_failing_checks_are_named() -> None:
    checks = {"kafka": {"ok": False, "detail": "refused"}, "store": {"ok": True, "detail": ""}}
    assert services_ready.describe({"status": "failing", "checks": checks}) == "kafka: refused"
    assert services_ready.describe({"status": "failing"}) == "failing"


def test_records_are_merged_and_damage_is_forgotten(tmp_path: Path) -> None:
    old = {"slots": {"web-app": 0, "kafka-ui": 1}, "target": "local"}
    assert json_record.merged(old, {"slots": {"web-app": 1}}) == {
        "slots": {"web-app": 1, "kafka-ui": 1},
        "target": "local",
    }
    (tmp_path / "broken.json").write_text("{")
    assert json_record.read(tmp_path / "broken.json") == {}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (1.25e6, "1.2 MB"), (2.5e9, "2.5 GB")],
)
def test_bytes_for_people(count: float, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (1.23, "1.2 s"), (59, "59 s"), (120, "2 min"), (7200, "2 h"), (2e5, "2 d")],
)
def test_durations_for_people(seconds: float | None, text: str) -> None:
    assert human_seconds(seconds) == text
