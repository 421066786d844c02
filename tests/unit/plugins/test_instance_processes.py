"""Real processes, found by their environment, frozen, thawed and ended in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from plugins.module_utils import instance_process as instance
from plugins.modules.instance_plan import describe_mode

Start = Callable[..., psutil.Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    children = []

    def begin(service: str, code: str = "import time; time.sleep(60)") -> psutil.Process:
        environment = {**os.environ, instance.MARKER: str(tmp_path), "SERVICE_NAME": service}
        child = subprocess.Popen([sys.executable, "-c", code], env=environment)
        children.append(child)
        return psutil.Process(child.pid)

    yield begin
    for child in children:
        child.kill()
        child.wait()


def members_of(directory: Path, count: int) -> list[instance.Member]:
    """Return the members once ``count`` of them have begun to run their program."""
    end = time.monotonic() + 10
    while len(found := instance.find_members(str(directory))) < count:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def test_only_marked_processes_are_members(start: Start, tmp_path: Path) -> None:
    process = start("web-app")
    (member,) = members_of(tmp_path, 1)
    assert (member.service, member.process.pid) == ("web-app", process.pid)
    assert instance.find_members(str(tmp_path / "other")) == []


def test_freezing_and_thawing_keep_the_pid(start: Start, tmp_path: Path) -> None:
    process = start("kafka")
    members = members_of(tmp_path, 1)
    assert [m.process.pid for m in instance.freeze(members, 5)] == [process.pid]
    assert process.status() == psutil.STATUS_STOPPED
    assert instance.freeze(members, 5) == []
    assert [m.process.pid for m in instance.thaw(members, 5)] == [process.pid]
    assert not instance.is_frozen(process)


def test_a_frozen_process_is_ended_too(start: Start, tmp_path: Path) -> None:
    process = start("kafka")
    members = members_of(tmp_path, 1)
    instance.freeze(members, 5)
    instance.end(members, 5)
    assert not process.is_running()


def test_one_that_ignores_the_polite_signal_is_killed(start: Start, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = start(
        "web-app",
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)",
    )
    while not ready.exists():
        time.sleep(0.02)
    instance.end(members_of(tmp_path, 1), 0.3)
    assert not process.is_running()


def test_order_is_kept_and_the_unnamed_go_first(start: Start, tmp_path: Path) -> None:
    for service in ("zookeeper", "kafka", "web-app"):
        start(service)
    groups = instance.in_order(members_of(tmp_path, 3), ["kafka", "zookeeper"])
    assert [[m.service for m in group] for group in groups] == [
        ["web-app"],
        ["kafka"],
        ["zookeeper"],
    ]


def test_without_a_supervisor_everyone_is_an_orphan(start: Start, tmp_path: Path) -> None:
    start("kafka")
    assert len(instance.orphans_of(members_of(tmp_path, 1))) == 1


def test_children_of_the_supervisor_are_no_orphans(start: Start, tmp_path: Path) -> None:
    sleep = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    spawn = f"import subprocess, sys; subprocess.run({sleep})"
    daemon = start(instance.DAEMON, spawn)
    stray = start("kafka")
    orphans = instance.orphans_of(members_of(tmp_path, 3))
    assert [orphan.process.pid for orphan in orphans] == [stray.pid]
    for child in daemon.children():
        child.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("services", "freeze", "mode"),
    [
        ([], False, "stopped"),
        (["kafka"], False, "damaged"),
        (["supervisor", "kafka", "zookeeper"], False, "services"),
        (["supervisor", "kafka", "web-app"], False, "running"),
        (["supervisor", "kafka", "web-app"], True, "paused"),
    ],
)
def test_the_mode_follows_from_the_processes(
    start: Start, tmp_path: Path, services: list[str], freeze: bool, mode: str
) -> None:
    for service in services:
        start(service)
    members = members_of(tmp_path, len(services))
    if freeze:
        instance.freeze(members, 5)
    assert describe_mode({"instance": "x"}, members)["mode"] == mode
    assert describe_mode({}, members)["mode"] == "absent"
    instance.thaw(members, 5)
