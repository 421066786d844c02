"""Who listens on a port of this machine."""

from __future__ import annotations

import socket

import psutil
from ansible.module_utils.instance_process import MARKER


def port_owner(port: int, directory: str) -> str | None:
    """Return who listens on a loopback port; None when it is free or held by the instance."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return _listener(port, directory)
    return None


def _listener(port: int, directory: str) -> str | None:
    try:
        pids = {
            c.pid
            for c in psutil.net_connections("tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr[1] == port
        }
    except psutil.Error:
        pids = {None}
    for pid in pids:
        try:
            process = psutil.Process(pid) if pid else None
            if process and process.environ().get(MARKER) == directory:
                return None
        except psutil.Error:
            continue
    pid = next(iter(sorted(pid for pid in pids if pid)), None)
    if pid is None:
        return "a program of another user" if pids else None
    return f"{psutil.Process(pid).name()} (pid {pid})"
