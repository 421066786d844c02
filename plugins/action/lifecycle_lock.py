"""One lifecycle command at a time for each instance: a lock file that names its holder.

The `lifecycle` callback releases the lock when the playbook ends, also when it fails. A lock whose
holder is gone (killed, or its pid now another process) is taken over.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from ansible import context
from ansible.plugins.action import ActionBase

_SAME_START_S = 0.05  # the kernel's clock ticks are 10 ms


class ActionModule(ActionBase):  # type: ignore[misc]
    """Arguments: ``path`` of the lock file and ``instance`` for the message."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the lock for the ansible-playbook process, or fail at once."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        path = Path(self._task.args["path"])
        if self._task.check_mode:
            return {**result, "changed": False}
        try:
            # Tasks run in a child of the process that the lock stands for.
            other = acquire(path, psutil.Process(os.getppid()), _playbook())
        except OSError as error:
            return {**result, "failed": True, "msg": unwritable(path, error)}
        if other:
            return {**result, "failed": True, "msg": held(other, self._task.args["instance"])}
        return {**result, "changed": False, "path": str(path)}


def _playbook() -> str:
    return os.path.basename((context.CLIARGS.get("args") or ("a playbook",))[0])


def held(holder: dict[str, Any], instance: str) -> str:
    """Return the message that names the holder."""
    since = datetime.datetime.fromisoformat(holder["since"]).astimezone()
    return (
        f"another lifecycle command ({holder['playbook']}, pid {holder['pid']}, "
        f"since {since:%H:%M:%S}) holds instance '{instance}'; "
        f"wait for it or end it (kill {holder['pid']})"
    )


def unwritable(path: Path, error: OSError) -> str:
    """Return the message for a data home that cannot be written."""
    return (
        f"cannot write {path.parent}: {error.strerror}. "
        "Make it writable, or choose another data home: export XDG_DATA_HOME=DIRECTORY"
    )


def acquire(path: Path, holder: psutil.Process, playbook: str) -> dict[str, Any] | None:
    """Take the lock for ``holder``; return the living holder when it is someone else's."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mine = {
        "pid": holder.pid,
        "create_time": holder.create_time(),
        "playbook": playbook,
        "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),  # noqa: TID251
    }
    with _guard(path.parent):
        current = read(path)
        if current and current["pid"] != holder.pid and is_alive(current):
            return current
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(mine, file)
    return None


def read(path: Path) -> dict[str, Any] | None:
    """Return the lock's content; None when there is none or it was never finished."""
    try:
        content = json.loads(path.read_text())
        return {"pid": int(content["pid"]), **content}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(lock: dict[str, Any]) -> bool:
    """Return whether the very process that took the lock still runs."""
    try:
        started: float = psutil.Process(lock["pid"]).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(started - float(lock["create_time"])) < _SAME_START_S


@contextmanager
def _guard(directory: Path) -> Iterator[None]:
    """Let one process at a time look at the lock and change it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
