"""What a person sees of a lifecycle command: steps, their time, one clear message on failure."""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: lifecycle
type: stdout
short_description: Steps with a mark and their time, and one clear message on failure
description:
  - C(✔) changed something, C(-) found it as it should be, C(✖) failed.
    Long steps show that they move.
  - Releases the lock that the action C(lifecycle_lock) took, however the playbook ends.
"""

_SILENT = ("include_tasks", "include_role", "import_role", "set_fact", "assert", "meta",
           "validate_argument_spec", "user_input", "lifecycle_lock", "support_on_failure",
           "pause")  # fmt: skip
_FETCHING = ("maven_jars", "async_status", "command")
_NOISE = re.compile(r"^(?:Task failed: |Module failed: |Action failed: )+")
_FIRST_BEAT_S = 3.0
_BEATS_S = (1.0, 10.0)  # on a terminal, in a file
_FOLLOW_POLL_S = 0.25
_BUNDLE_S = 120.0
_CLEAR = "\r\x1b[K"
_GARBAGE = 100_000  # new objects between two looks for cycles


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """The only output of the playbooks, unless -v asks for more."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "lifecycle"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Each task copies variables by the ten thousand: looking for cycles among them as often as
        # is the default takes a seventh of a command's time. Workers inherit this.
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        self._terminal = sys.stdout.isatty()
        self._pulse = Pulse(self._terminal)
        self._title = ""
        self._begun = time.monotonic()
        self._step_begun = self._begun
        self._item_faults: list[str] = []
        self._support: list[str] = []

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._title = play.get_name()
        self._say(self._title, constants.COLOR_HIGHLIGHT)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        self._step_begun = time.monotonic()
        self._item_faults = []
        if short_action(task) not in _SILENT:
            self._pulse.start(step_name(task), fetches=short_action(task) in _FETCHING)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, is_conditional=False)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._pulse.stop()
        task, answer = result.task, result.result
        action = short_action(task)
        self._handle_warnings(answer)
        if action == "lifecycle_lock" and answer.get("path"):
            release_at_exit(Path(answer["path"]))
        elif action == "support_on_failure":
            self._support = list(answer["support_command"])
        elif action == "debug":
            self._say(str(answer.get("msg", "")))
        elif action not in _SILENT:
            self._step("✔" if answer.get("changed") else "-", task)
        if self._display.verbosity:
            self._display.display(self._dump_results(answer))
        if self._display.verbosity == 0 and answer.get("diff") and constants.DIFF_ALWAYS:
            self._display.display(self._get_diff(answer["diff"]))
        if answer.get("follow"):
            self._follow(answer["follow"], answer.get("pattern", ""))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._pulse.stop()
        answer = result.result
        self._handle_warnings(answer)
        if ignore_errors:
            return
        self._step("✖", result.task)
        if is_rescued(result.task) and not self._display.verbosity:
            return  # the rescue reports the cause
        faults = self._item_faults or [message_of(answer)]
        for line in dict.fromkeys(line for fault in faults for line in fault.splitlines()):
            self._say(f"    {line}", constants.COLOR_ERROR)
        if self._display.verbosity:
            self._display.display(self._dump_results(answer), color=constants.COLOR_ERROR)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.v2_runner_on_failed(result)

    def v2_runner_on_skipped(self, result: Any) -> None:  # noqa: ARG002
        self._pulse.stop()

    def v2_runner_item_on_failed(self, result: Any) -> None:
        label = result.result.get("_ansible_item_label", "")
        self._item_faults.append(
            f"{label}: {message_of(result.result)}" if label else message_of(result.result)
        )

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._pulse.stop()
        total = time.monotonic() - self._begun
        failed = False
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            failed |= bool(counts["failures"] or counts["unreachable"])
            self._say(
                f"{self._title}: {'FAILED' if failed else 'done'} in {total:.1f} s "
                f"(ok={counts['ok']} changed={counts['changed']} failed={counts['failures']} "
                f"skipped={counts['skipped']} rescued={counts['rescued']})",
                constants.COLOR_ERROR if failed else constants.COLOR_OK,
            )
        release()
        if failed and self._support:
            self._say(made_bundle(self._support), constants.COLOR_HIGHLIGHT)

    def _step(self, mark: str, task: Any) -> None:
        seconds = time.monotonic() - self._step_begun
        colors = {"✔": constants.COLOR_CHANGED, "✖": constants.COLOR_ERROR}
        self._say(f"  {mark} {step_name(task)}  {seconds:.1f} s", colors.get(mark))

    def _say(self, text: str, color: str | None = None) -> None:
        self._display.display(text, color=color)

    def _follow(self, what: dict[str, Any], pattern: str) -> None:
        """Print new lines until Ctrl-C, which ends the command in good order."""
        wanted = re.compile(pattern)
        try:
            for prefix, line in lines_of(what):
                if wanted.search(line):
                    sys.stdout.write(f"{prefix}{line}\n")
                    sys.stdout.flush()
        except (KeyboardInterrupt, BrokenPipeError):
            return


class Pulse:
    """Says, while a step takes long, that it still moves: seconds, and bytes written."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, name: str, *, fetches: bool) -> None:
        """Begin to watch a step; bytes are of interest where something is fetched."""
        self.stop()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, args=(name, self._stop, fetches), daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End it, before anything else is printed."""
        if self._thread:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def _beat(self, name: str, stop: threading.Event, fetches: bool) -> None:
        begun, used = time.monotonic(), _disk_used()
        shown = False
        while not stop.wait(_FIRST_BEAT_S if not shown else _BEATS_S[not self._terminal]):
            shown = True
            written = max(0, _disk_used() - used) / 1e6
            bytes_text = f", {written:.0f} MB written" if fetches else ""
            text = f"    … {name}: {time.monotonic() - begun:.0f} s{bytes_text}"
            _write(f"{_CLEAR}{text}" if self._terminal else f"{text}\n")
        if shown and self._terminal:
            _write(_CLEAR)


def _write(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever read our output has gone
        sys.stdout.write(text)
        sys.stdout.flush()


def _disk_used() -> int:
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~")
    try:
        return shutil.disk_usage(home).used
    except OSError:
        return 0


def made_bundle(command: list[str]) -> str:
    """Make a support bundle; return the lines that say where it is, or why there is none."""
    try:
        done = subprocess.run(  # noqa: S603 - the project's own playbook, no shell
            command, capture_output=True, text=True, timeout=_BUNDLE_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no support bundle could be made: {error}"
    lines = [line for line in done.stdout.splitlines() if line.startswith("Support bundle:")]
    return "\n".join(lines) or "no support bundle could be made. Type: ansible-playbook support.yml"


def short_action(task: Any) -> str:
    """Return the action's name without its collection."""
    return str(task.action).rpartition(".")[2]


def step_name(task: Any) -> str:
    """Return a task's name for people: role, colon, what it does."""
    return str(task.get_name()).replace(" : ", ": ", 1)


def is_rescued(task: Any) -> bool:
    """Return whether a failure of ``task`` is caught by a rescue around it."""
    parent = task._parent  # noqa: SLF001 - Ansible offers no other way
    child = task
    while parent is not None:
        rescue = getattr(parent, "rescue", None) or []
        # Copies are compared by identifier: what runs is rarely the object that was parsed.
        if rescue and child._uuid not in {task._uuid for task in rescue}:  # noqa: SLF001
            return True
        child, parent = parent, getattr(parent, "_parent", None)
    return False


def message_of(answer: dict[str, Any]) -> str:
    """Return the one message of a failed result."""
    text = _NOISE.sub("", str(answer.get("msg") or "failed without a message")).strip()
    errors = str(answer.get("stderr") or answer.get("module_stderr") or "").strip()
    return f"{text}\n{errors}" if errors and errors not in text else text


def lines_of(what: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return (prefix, line) of ``files`` or of ``pods``, for ever."""
    if "pods" not in what:
        return new_lines(what["files"])
    import ansible.module_utils  # a callback knows nothing of the project's own without this

    shared = str(Path(__file__).parents[1] / "module_utils")
    if shared not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(shared)
    from ansible.module_utils.pod_lines import new_pod_lines

    lines: Iterator[tuple[str, str]] = new_pod_lines(**what["pods"])
    return lines


def new_lines(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (prefix, line) as lines are added to ``files`` (prefix to path), across rotations."""
    places: dict[str, tuple[int, int]] = {}
    for path in files.values():
        places[path] = _place(path)
    while True:
        for prefix, path in files.items():
            inode, offset = places[path]
            now_inode, size = _place(path)
            if now_inode != inode or size < offset:
                offset = 0
            if size > offset:
                with open(path, "rb") as file:
                    file.seek(offset)
                    whole = file.read(size - offset).rpartition(b"\n")[0]
                offset += len(whole) + 1 if whole else 0
                for line in whole.decode(errors="replace").splitlines():
                    yield prefix, line
            places[path] = (now_inode, offset)
        time.sleep(_FOLLOW_POLL_S)


def _place(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_ino, status.st_size


_held: list[Path] = []


def release_at_exit(path: Path) -> None:
    """Remember the lock; it goes when the playbook ends, also by Ctrl-C."""
    if not _held:
        atexit.register(release)
    _held.append(path)


def release() -> None:
    """Remove the lock if it is still this process's, and directories that it alone kept."""
    while _held:
        path = _held.pop()
        try:
            if json.loads(path.read_text())["pid"] == os.getpid():
                path.unlink()
                for directory in (path.parent, *path.parents[1:3]):
                    directory.rmdir()
        except (OSError, ValueError, KeyError):
            continue  # gone with its instance, taken over, or the directory is in use
