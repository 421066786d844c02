import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from common.clock import SystemClock
from common.leader import LeaderLock
from common.lifecycle import Deadline

HOLD = """
import sys, time
from pathlib import Path
from common.leader import LeaderLock
assert LeaderLock(Path(sys.argv[1])).try_acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_only_one_holds_it_and_the_file_names_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    first, second = LeaderLock(path), LeaderLock(path)
    assert first.try_acquire()
    assert not second.try_acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    first.release()
    assert second.try_acquire()
    first.close()
    second.close()


def test_a_killed_holder_is_succeeded_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    env = {**os.environ, "PYTHONPATH": "services"}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, env=env
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = LeaderLock(path)
        assert not lock.try_acquire()
        threading.Timer(0.2, holder.send_signal, [signal.SIGKILL]).start()
        start = time.monotonic()
        assert lock.acquire(threading.Event())
        assert time.monotonic() - start < 5
        lock.close()


def test_waiting_ends_when_told_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held, waiting = LeaderLock(path), LeaderLock(path)
    assert held.try_acquire()
    stop = threading.Event()
    stop.set()
    assert not waiting.acquire(stop)
    held.close()
    waiting.close()


def test_a_deadline_is_shared_and_never_negative() -> None:
    deadline = Deadline(SystemClock(), budget_s=0.01)
    assert 0 < deadline.remaining() <= 0.01
    time.sleep(0.02)
    assert deadline.remaining() == 0.0
