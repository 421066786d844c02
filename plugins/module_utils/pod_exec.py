"""Running a command in a pod, by the API's exec."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.kube_api import Kube, KubeError


def run_in_pod(
    kube: Kube, namespace: str, pod: str, command: list[str], limit_s: float
) -> tuple[int, str, str]:
    """Return (exit code, output, errors) of ``command`` in a pod's first container.

    Raises `KubeError` when the pod is not there or runs nothing, or no end comes in ``limit_s``.
    """
    from kubernetes import client
    from kubernetes.stream import stream

    try:
        channel: Any = stream(
            client.CoreV1Api(kube.api).connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=command,
            stderr=True,
            stdin=False,
            stdout=True,
            tty=False,
            _preload_content=False,
            _request_timeout=limit_s,
        )
        channel.run_forever(timeout=limit_s)
        output, errors = channel.read_stdout(timeout=1), channel.read_stderr(timeout=1)
        unfinished = channel.is_open()
        verdict = "" if unfinished else channel.read_channel(3)
        channel.close()
    except Exception as error:
        raise KubeError(f"cannot run {command[0]} in {pod}: {_first_line(error)}") from error
    if unfinished:
        raise KubeError(f"{command[0]} in {pod}: no end within {limit_s:.0f} s")
    return _exit_code(verdict), output, errors


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
