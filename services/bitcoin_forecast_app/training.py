"""The trainer as a child process: when to start it, what it said, and no child left behind."""

import json
import logging
import os
import signal
import subprocess
import sys
from datetime import datetime
from typing import Any

from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.settings import ForecastSettings
from bitcoin_forecast_app.train import BUSY, NOT_ENOUGH, WITH_PARENT
from common.clock import Clock
from common.log import get_logger

__all__ = ["Trainer"]

_STOP_S = 1.0
_LONGEST_S = 600.0  # a run beyond that hangs
_DRIFT_PAUSE_S = 120.0
_TOO_LITTLE_PAUSE_S = 60.0  # each series needs its ticks, and several are counted together

_log = get_logger(__name__)


class Trainer:
    """Starts ``python -m bitcoin_forecast_app.train`` now and then; `poll` never blocks."""

    def __init__(self, settings: ForecastSettings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._process: subprocess.Popen[bytes] | None = None
        self._began: float | None = None
        self._too_little = False
        self.last_result = "none yet"

    @property
    def running(self) -> bool:
        """Return whether a run is under way."""
        return self._process is not None

    def resume(self, trained_at: datetime | None) -> None:
        """Go on from when an earlier process trained last: a take-over brings no run forward."""
        if trained_at is not None:
            age_s = (self._clock.now() - trained_at).total_seconds()
            self._began = self._clock.monotonic() - max(0.0, age_s)

    def poll(self, ticks: int, *, drifting: bool = False) -> None:
        """Start a run where one is due (``ticks`` are stored), or take note of one that ended."""
        if self._process is not None:
            self._attend(self._process)
        elif self._settings.train_enabled and ticks >= self._settings.train_min_ticks:
            pause = _TOO_LITTLE_PAUSE_S if self._too_little else self._settings.train_interval_s
            pause = min(pause, self._settings.train_interval_s)
            pause = min(pause, _DRIFT_PAUSE_S) if drifting else pause
            if self._began is None or self._clock.monotonic() - self._began >= pause:
                self._start()

    def _start(self) -> None:
        self._began = self._clock.monotonic()
        environment = os.environ | {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "OMP_NUM_THREADS": "1",
            "PYTHONFAULTHANDLER": "1",
        }
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "bitcoin_forecast_app.train", WITH_PARENT],
            stdin=subprocess.PIPE,  # its end tells the child that we are gone
            stdout=subprocess.PIPE,  # one line, far below the pipe's buffer
            env=environment,  # its errors go where ours go, a crash's traceback too
        )
        _log.info("training started", pid=self._process.pid)

    def _attend(self, process: subprocess.Popen[bytes]) -> None:
        elapsed_s = self._clock.monotonic() - (self._began or 0.0)
        code = process.poll()
        if code is None:
            if elapsed_s > _LONGEST_S:
                process.kill()
            return
        output, _ = process.communicate()
        self._process = None
        self._metrics.training_seconds.set(elapsed_s)
        result = _parse(output)
        kinds = {0: "promoted" if result.get("promoted") else "refused"}
        kinds |= {NOT_ENOUGH: "too_little", BUSY: "busy"}
        self._too_little = code == NOT_ENOUGH
        kind = kinds.get(code, "failed")
        self._metrics.training_runs.labels(kind).inc()
        self.last_result = str(
            result.get("reason") or result.get("error") or f"failed with {_named(code)}"
        )
        _log.log(
            logging.WARNING if kind == "failed" else logging.INFO,
            f"training ended: {self.last_result}",
            version=result.get("version", ""),
            seconds=f"{elapsed_s:.1f}",
        )

    def stop(self) -> None:
        """End a run under way; what it had not finished leaves nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _named(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"


def _parse(output: bytes) -> dict[str, Any]:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
