"""The web application as a process, over a socket of its own or one that is handed to it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from sqlalchemy import Engine
from tests.support.market_producer import Market

from common.clock import SystemClock, from_micros, to_micros
from common.kafka import make_producer
from common.store.writer import save_predictions, save_ticks
from common.wire import encode

__all__ = ["LiveMarket", "WebProcess", "free_port"]

_ROOT = Path(__file__).parents[2]
_PATHS = os.pathsep.join(map(str, (_ROOT / "services", _ROOT)))
_START_S = 90.0  # the machine may be busy with other tests
_STOP_S = 20.0


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class WebProcess:
    """``python -m web_app`` with the given environment; as a context it is ended at the end."""

    module = "web_app"

    def __init__(
        self, log: Path, listener: socket.socket | None = None, **environment: object
    ) -> None:
        self.ops = f"http://127.0.0.1:{(ops_port := free_port())}"
        given = {"OPS_PORT": str(ops_port), "WEB_PORT": str(free_port())}
        given |= {name: str(value) for name, value in environment.items()}
        port = given["WEB_PORT"]
        if listener is not None:
            given["LISTEN_FD"] = "0"
            port = str(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        self._environment = given
        self._listener = listener
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, and do not wait for it."""
        base = {"PATH": os.environ["PATH"], "PYTHONPATH": _PATHS, "PYTHONUNBUFFERED": "1"}
        listener = self._listener.fileno() if self._listener else subprocess.DEVNULL
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                stdin=listener,
                stdout=output,
                stderr=output,
                env=base | self._environment,
            )
        return self._process

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Return the process, which was launched."""
        assert self._process is not None
        return self._process

    def start(self) -> Self:
        """Start the process and return when it says that it is ready."""
        self.launch()
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    @property
    def log(self) -> str:
        """Return what the process said so far."""
        return self._log.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        """Return when the process says that it is ready."""
        deadline = time.monotonic() + _START_S
        while not self._ready():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.ops}/health/ready", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def stop(self) -> float:
        """Ask for a graceful end; return the seconds it took."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(_STOP_S) == 0, self.log
        return time.monotonic() - start

    def kill(self) -> None:
        """End master and worker without a word."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()]
        for pid in (self.process.pid, *pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(_STOP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


class LiveMarket:
    """A thread that writes a market to the store and to Kafka, every ``step_s`` seconds."""

    def __init__(
        self, engine: Engine, bootstrap: str, topics: tuple[str, str], step_s: float = 0.1
    ) -> None:
        self.market = Market()
        self.published: list[int] = []
        self._engine = engine
        self._producer = make_producer([bootstrap], "live-market")
        self._topics = topics
        self._step_us = round(step_s * 1_000_000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        clock = SystemClock()
        due = to_micros(clock.now()) // self._step_us * self._step_us
        while not self._stop.wait(max(0.0, (due - to_micros(clock.now())) / 1_000_000)):
            self.publish(due)
            due += self._step_us

    def publish(self, at_us: int) -> None:
        """Write and publish the moment ``at_us``."""
        tick, prediction = self.market.step(from_micros(at_us))
        key = tick.symbol.encode()
        with self._engine.begin() as connection:
            save_ticks(connection, [tick])
            save_predictions(connection, [prediction])
        self._producer.send(self._topics[0], key=key, value=encode(tick))
        self._producer.send(self._topics[1], key=key, value=encode(prediction))
        self.published.append(tick.sequence)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        self._producer.close(timeout=2)
