"""Files from a pod and into one: whole, or not at all."""

import hashlib
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ansible.module_utils
import pytest
from websocket import ABNF

ansible.module_utils.__path__.append(str(Path(__file__).parents[3] / "plugins" / "module_utils"))
from ansible.module_utils import pod_exec  # noqa: E402 - needs the path above
from ansible.module_utils.kube_api import KubeError  # noqa: E402
from plugins.modules import pod_file  # noqa: E402

CONTENT = bytes(range(256)) * 5_000  # more than one piece, and no text


class Pod:
    """Runs each command on this machine, and speaks the protocol of the API's exec.

    ``cut`` frames are lost at the end, ``flip`` changes a byte on the way.
    """

    def __init__(self) -> None:
        self.cut = 0
        self.flip = False

    def open(self, *given: Any, **_more: Any) -> Any:
        return Exchange(self, given[3])


class Exchange:
    def __init__(self, pod: Pod, command: list[str]) -> None:
        self.pod, self.command, self.sock = pod, command, self
        self.given = b""
        self.frames: list[tuple[int, bytes]] | None = None

    def settimeout(self, _seconds: float) -> None: ...

    def close(self) -> None: ...

    def write_channel(self, number: int, data: bytes) -> None:
        assert number == 0
        self.given += data

    def recv_data_frame(self, _control: bool) -> tuple[int, Any]:
        if self.frames is None:
            self.frames = self._run()
        if not self.frames:
            return ABNF.OPCODE_CLOSE, SimpleNamespace(data=b"")
        number, data = self.frames.pop(0)
        return ABNF.OPCODE_BINARY, SimpleNamespace(data=bytes([number]) + data)

    def _run(self) -> list[tuple[int, bytes]]:
        given = self.given[1:] + b"x" if self.pod.flip else self.given
        done = subprocess.run(self.command, input=given, capture_output=True, check=False)
        printed = done.stdout[:-1] + b"x" if self.pod.flip else done.stdout
        pieces = [(1, printed[n : n + 8_192]) for n in range(0, len(printed), 8_192)]
        causes = {"causes": [{"reason": "ExitCode", "message": str(done.returncode)}]}
        verdict = {"status": "Failure", "details": causes} if done.returncode else {}
        frames = [
            *pieces,
            (2, done.stderr),
            (3, json.dumps(verdict or {"status": "Success"}).encode()),
        ]
        return frames[: len(frames) - self.pod.cut]


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> Pod:
    pod = Pod()

    def run(*given: Any) -> tuple[int, str, str]:
        done = subprocess.run(given[3], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    monkeypatch.setattr(pod_exec, "_open", pod.open)
    monkeypatch.setattr(pod_file, "run_in_pod", run)
    return pod


def fetch(source: Path, file: Path) -> int:
    return pod_file.fetch(None, "space", "pod", str(source), file)


def send(target: Path, file: Path) -> int:
    return pod_file.send(None, "space", "pod", str(target), file)


@pytest.mark.parametrize("content", [CONTENT, b""])
def test_a_file_goes_there_and_back(pod: Pod, tmp_path: Path, content: bytes) -> None:
    mine, theirs, back = tmp_path / "mine", tmp_path / "made" / "there", tmp_path / "back"
    mine.write_bytes(content)
    assert send(theirs, mine) == len(content)
    assert fetch(theirs, back) == len(content)
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert back.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 3])
def test_a_connection_that_was_cut_leaves_no_file(pod: Pod, tmp_path: Path, cut: int) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(CONTENT)
    pod.cut = cut
    with pytest.raises(KubeError):
        fetch(theirs, tmp_path / "back")
    with pytest.raises(KubeError):
        send(tmp_path / "sent", theirs)
    assert {path.name for path in tmp_path.iterdir()} - {"sent"} == {"theirs"}


def test_what_changed_on_the_way_is_refused(pod: Pod, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(CONTENT)
    pod.flip = True
    with pytest.raises(KubeError, match="did not arrive whole"):
        fetch(theirs, tmp_path / "back")
    with pytest.raises(KubeError, match="did not arrive whole"):
        send(tmp_path / "sent", theirs)
    assert not (tmp_path / "back").exists()


def test_a_file_that_is_not_there_is_said(pod: Pod, tmp_path: Path) -> None:
    with pytest.raises(KubeError, match="No such file"):
        fetch(tmp_path / "nothing", tmp_path / "back")
    assert list(tmp_path.iterdir()) == []
