"""Questions and orders to an instance's supervisor, over its Unix socket."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from typing import Any

RUNNING_STATES = ("RUNNING", "STARTING")
FAILED_STATES = ("FATAL", "EXITED", "BACKOFF", "UNKNOWN")
_ALREADY = (60, 70)  # ALREADY_STARTED, NOT_RUNNING
_TIMEOUT_S = 3.0  # a frozen supervisor accepts connections and never answers


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002
        return _UnixConnection(self._path)


def program_states(socket_path: str) -> dict[str, dict[str, Any]] | None:
    """Return each program's info by full name (``group:process``), or None when nobody answers."""
    try:
        with _proxy(socket_path) as proxy:
            answers: Any = proxy.supervisor.getAllProcessInfo()
    except (OSError, xmlrpc.client.Error, http.client.HTTPException):
        return None
    return {full_name(answer["group"], answer["name"]): answer for answer in answers}


def order_all(socket_path: str, names: list[str], *, start: bool) -> dict[str, str]:
    """Begin to start or stop ``names`` without waiting; return the refusals by name.

    Raises `OSError` when nobody answers.
    """
    refusals = {}
    with _proxy(socket_path) as proxy:
        for name in names:
            try:
                if start:
                    proxy.supervisor.startProcess(name, False)
                else:
                    proxy.supervisor.stopProcess(name, False)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode not in _ALREADY:
                    refusals[name] = fault.faultString
    return refusals


def _proxy(socket_path: str) -> xmlrpc.client.ServerProxy:
    return xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(socket_path))


def full_name(group: str, name: str) -> str:
    """Return the name by which supervisorctl knows a process."""
    return name if group == name else f"{group}:{name}"
