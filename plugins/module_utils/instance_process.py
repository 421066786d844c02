"""Processes of an instance: a process is a pid and a start time, found by its environment."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARKER = "BITCOIN_PREDICTION_INSTANCE_DIR"
DAEMON = "supervisor"
_POLL_S = 0.05


@dataclass(frozen=True)
class Member:
    """One process of an instance and the service it belongs to."""

    service: str
    process: psutil.Process

    def describe(self) -> dict[str, object]:
        """Return what the playbooks show; a process that has gone meanwhile has no status."""
        try:
            status = str(self.process.status())
        except psutil.NoSuchProcess:
            status = "gone"
        return {
            "service": self.service,
            "pid": self.process.pid,
            "create_time": self.process.create_time(),
            "status": status,
        }


def find_members(
    instance_dir: str, processes: Iterable[psutil.Process] | None = None
) -> list[Member]:
    """Return every process whose environment names ``instance_dir``, oldest first.

    Children inherit the marker, so whole trees are found, orphans included.
    """
    wanted = str(Path(instance_dir))
    members = []
    for process in processes if processes is not None else psutil.process_iter():
        try:
            environment = process.environ()
            if environment.get(MARKER) == wanted and process.status() != psutil.STATUS_ZOMBIE:
                members.append(Member(environment.get("SERVICE_NAME", "unknown"), process))
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's
    return sorted(members, key=lambda member: member.process.create_time())


def daemon_of(members: Iterable[Member]) -> psutil.Process | None:
    """Return the supervisor among ``members``, if it lives."""
    return next((m.process for m in members if m.service == DAEMON), None)


def answering_daemon(members: Iterable[Member]) -> psutil.Process | None:
    """Return the supervisor when it lives and can answer, that is, unless it is frozen."""
    daemon = daemon_of(members)
    return daemon if daemon and not is_frozen(daemon) else None


def orphans_of(members: Sequence[Member]) -> list[Member]:
    """Return the members that no living supervisor of this instance looks after."""
    daemon = daemon_of(members)
    if daemon is None:
        return list(members)
    family = {daemon.pid, *(child.pid for child in daemon.children(recursive=True))}
    return [member for member in members if member.process.pid not in family]


def in_order(members: Iterable[Member], order: Sequence[str]) -> list[list[Member]]:
    """Group ``members`` by ``order`` (service names); those not named come first, together."""
    groups: dict[int, list[Member]] = {}
    for member in members:
        position = order.index(member.service) if member.service in order else -1
        groups.setdefault(position, []).append(member)
    return [groups[position] for position in sorted(groups)]


def is_frozen(process: psutil.Process) -> bool:
    """Return whether ``process`` is stopped by SIGSTOP."""
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def freeze(members: Iterable[Member], timeout_s: float) -> list[Member]:
    """Stop ``members`` by SIGSTOP; return those that were running. Raises `TimeoutError`."""
    moved = _signal_those(members, signal.SIGSTOP, lambda process: not is_frozen(process))
    _wait(moved, is_frozen, timeout_s, "do not freeze")
    return moved


def thaw(members: Iterable[Member], timeout_s: float) -> list[Member]:
    """Continue ``members`` by SIGCONT; return those that were frozen. Raises `TimeoutError`."""
    moved = _signal_those(members, signal.SIGCONT, is_frozen)
    _wait(moved, lambda process: not is_frozen(process), timeout_s, "do not thaw")
    return moved


def end(members: Sequence[Member], timeout_s: float) -> list[Member]:
    """End ``members`` by SIGTERM, and by SIGKILL after ``timeout_s``; return them."""
    _signal_those(members, signal.SIGTERM, lambda _: True)
    _signal_those(members, signal.SIGCONT, lambda _: True)  # a frozen one would never see SIGTERM
    _, alive = psutil.wait_procs([member.process for member in members], timeout=timeout_s)
    for process in alive:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=timeout_s)
    return list(members)


def _signal_those(
    members: Iterable[Member], number: signal.Signals, wanted: Callable[[psutil.Process], bool]
) -> list[Member]:
    return [m for m in members if wanted(m.process) and _send(m.process, number)]


def _send(process: psutil.Process, number: signal.Signals) -> bool:
    try:
        process.send_signal(number)  # psutil refuses when the pid was given to another process
    except psutil.NoSuchProcess:
        return False
    return True


def _wait(
    members: Sequence[Member],
    done: Callable[[psutil.Process], bool],
    timeout_s: float,
    complaint: str,
) -> None:
    deadline = time.monotonic() + timeout_s
    left = [m for m in members if m.process.is_running() and not done(m.process)]
    while left:
        if time.monotonic() > deadline:
            names = ", ".join(f"{m.service} (pid {m.process.pid})" for m in left)
            raise TimeoutError(f"{names} {complaint} within {timeout_s:g} s")
        time.sleep(_POLL_S)
        left = [m for m in left if m.process.is_running() and not done(m.process)]
