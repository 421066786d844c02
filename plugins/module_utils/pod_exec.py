"""Running a command in a pod, by the API's exec."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ansible.module_utils.kube_api import Kube, KubeError

_INPUT, _OUTPUT, _ERRORS, _VERDICT = range(4)  # channels of the API's protocol
_SILENT_S = 60.0


def run_in_pod(
    kube: Kube, namespace: str, pod: str, command: list[str], limit_s: float
) -> tuple[int, str, str]:
    """Return (exit code, output, errors) of ``command`` in a pod's first container.

    Raises `KubeError` when the pod is not there or runs nothing, or no end comes in ``limit_s``.
    """
    try:
        channel = _open(kube, namespace, pod, command, stdin=False)
        channel.run_forever(timeout=limit_s)
        output, errors = channel.read_stdout(timeout=1), channel.read_stderr(timeout=1)
        unfinished = channel.is_open()
        verdict = "" if unfinished else channel.read_channel(_VERDICT)
        channel.close()
    except Exception as error:
        raise KubeError(f"cannot run {command[0]} in {pod}: {_first_line(error)}") from error
    if unfinished:
        raise KubeError(f"{command[0]} in {pod}: no end within {limit_s:.0f} s")
    return _exit_code(verdict), output, errors


def stream_to_pod(
    kube: Kube, namespace: str, pod: str, command: list[str], data: Iterator[bytes]
) -> str:
    """Give ``data`` to a command that knows how much is to come; return what it prints."""
    printed: list[bytes] = []
    _exchange(kube, namespace, pod, command, data, printed.append)
    return b"".join(printed).decode(errors="replace")


def stream_from_pod(
    kube: Kube, namespace: str, pod: str, command: list[str], take: Callable[[bytes], object]
) -> None:
    """Hand over what a command prints, piece by piece, however much it is."""
    _exchange(kube, namespace, pod, command, iter(()), take)


def _exchange(
    kube: Kube,
    namespace: str,
    pod: str,
    command: list[str],
    data: Iterator[bytes],
    take: Callable[[bytes], object],
) -> None:
    """Raise `KubeError` unless the command ends well: a cut connection is no end.

    The client's own buffers would keep all that was ever read, so its frames are read here.
    """
    errors, verdict = b"", b""
    try:
        channel = _open(kube, namespace, pod, command, stdin=True)
        channel.sock.settimeout(_SILENT_S)
        for piece in data:
            channel.write_channel(_INPUT, piece)
        for number, piece in _frames(channel.sock):
            if number == _OUTPUT:
                take(piece)
            elif number == _ERRORS:
                errors += piece
            elif number == _VERDICT:
                verdict += piece
        channel.close()
    except Exception as error:
        raise KubeError(f"the connection to {pod} broke: {_first_line(error)}") from error
    code = _exit_code(verdict.decode(errors="replace"))
    if code or not verdict:
        said = errors.decode(errors="replace").strip() or f"exit code {code}"
        raise KubeError(f"{command[0]} in {pod}: {said}")


def _frames(sock: Any) -> Iterator[tuple[int, bytes]]:
    """Yield (channel, data) until the server closes."""
    from websocket import ABNF

    while True:
        kind, frame = sock.recv_data_frame(True)
        if kind == ABNF.OPCODE_CLOSE:
            return
        if kind in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and len(frame.data) > 1:
            yield frame.data[0], bytes(frame.data[1:])


def _open(kube: Kube, namespace: str, pod: str, command: list[str], *, stdin: bool) -> Any:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
    asked = {"stderr": True, "stdin": stdin, "stdout": True, "tty": False}
    query = [(name, str(value).lower()) for name, value in asked.items()]
    return kube.websocket(path, [*query, *(("command", word) for word in command)])


def _exit_code(verdict: str) -> int:
    """Return the exit code that the last message of an exec tells."""
    try:
        status = json.loads(verdict)
    except ValueError:
        return 1
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or []
    codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
    return int(codes[0]) if codes and str(codes[0]).isdigit() else 1


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
