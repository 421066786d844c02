"""One holder at a time; a dead holder is nobody."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from plugins.action import lifecycle_lock
from plugins.callback import lifecycle


@pytest.fixture
def other() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        yield psutil.Process(child.pid)
        child.kill()


def test_the_lock_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "instances" / "default" / "lock.json"
    assert lifecycle_lock.acquire(path, psutil.Process(), "build.yml") is None
    held = lifecycle_lock.read(path)
    assert held is not None
    assert (held["pid"], held["playbook"]) == (psutil.Process().pid, "build.yml")
    assert path.stat().st_mode & 0o077 == 0


def test_a_second_command_learns_who_holds_it(tmp_path: Path, other: psutil.Process) -> None:
    path = tmp_path / "lock.json"
    lifecycle_lock.acquire(path, other, "build.yml")
    holder = lifecycle_lock.acquire(path, psutil.Process(), "shutdown.yml")
    assert holder is not None
    message = lifecycle_lock.held(holder, "default")
    assert f"build.yml, pid {other.pid}, since " in message
    assert "holds instance 'default'; wait for it or end it" in message


def test_a_dead_holder_is_taken_over(tmp_path: Path, other: psutil.Process) -> None:
    path = tmp_path / "lock.json"
    lifecycle_lock.acquire(path, other, "build.yml")
    other.kill()
    other.wait()
    assert lifecycle_lock.acquire(path, psutil.Process(), "startup.yml") is None


def test_a_later_process_of_the_same_pid_is_not_the_holder(
    tmp_path: Path, other: psutil.Process
) -> None:
    path = tmp_path / "lock.json"
    lifecycle_lock.acquire(path, other, "build.yml")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "create_time": content["create_time"] - 100}))
    assert lifecycle_lock.acquire(path, psutil.Process(), "startup.yml") is None


@pytest.mark.parametrize("content", ["", "{", '{"pid": "many"}', "[]"])
def test_a_damaged_lock_is_taken_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lock.json"
    path.write_text(content)
    assert lifecycle_lock.acquire(path, psutil.Process(), "startup.yml") is None


def test_the_end_of_the_playbook_releases_it_and_leaves_no_empty_directory(tmp_path: Path) -> None:
    home = tmp_path / "bitcoin-prediction"
    path = home / "instances" / "default" / "lock.json"
    lifecycle_lock.acquire(path, psutil.Process(), "build.yml")
    lifecycle.release_at_exit(path)
    lifecycle.release()
    assert not home.exists()


def test_a_lock_that_was_taken_over_is_not_released(tmp_path: Path, other: psutil.Process) -> None:
    path = tmp_path / "lock.json"
    lifecycle_lock.acquire(path, other, "startup.yml")
    lifecycle.release_at_exit(path)
    lifecycle.release()
    assert path.exists()
