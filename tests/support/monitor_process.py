"""The Kafka monitor as a process of its own, for tests."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

__all__ = ["SERVICES", "STOP_S", "Monitor", "free_port", "wait_for"]

SERVICES = Path(__file__).parents[2] / "services"
STOP_S = 10.0


class Monitor:
    """One process; ``client`` speaks to its port, ``ops`` to its operations port."""

    def __init__(self, bootstrap: str, log: Path, listener: socket.socket | None = None) -> None:
        web, ops = free_port(), free_port()
        if listener is not None:
            web = listener.getsockname()[1]
        self.log = log
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{web}", timeout=15)
        self.ops = httpx.Client(base_url=f"http://127.0.0.1:{ops}", timeout=5)
        environment = {
            **os.environ,
            "PYTHONPATH": str(SERVICES),
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "WEB_PORT": str(web),
            "OPS_PORT": str(ops),
            "WEB_MAX_TAILS": "3",
        } | ({"LISTEN_FD": "0"} if listener else {})
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kafka_monitor"],
                env=environment,
                stdin=listener.fileno() if listener else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, *, ready: bool = True) -> None:
        def answered() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return (self.ops.get("/health/ready").status_code == 200) == ready
            except httpx.TransportError:
                return False

        wait_for(answered)

    def ops_pid(self) -> int | None:
        """Return the process that answers on the operations port, if one does."""
        try:
            return int(self.ops.get("/health/live").json()["pid"])
        except httpx.TransportError:
            return None

    def get(self, path: str, **params: object) -> dict[str, Any]:
        answer = self.client.get(path, params={name: str(each) for name, each in params.items()})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def stop(self) -> float:
        """Stop by SIGTERM; return the seconds that it took."""
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(STOP_S * 2)
        finally:
            self.process.kill()
            self.process.wait()
            self.client.close()
            self.ops.close()
        return time.monotonic() - began


def wait_for(condition: Callable[[], object], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
