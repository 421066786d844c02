"""A real Prometheus, where the machine has one (apt-get install prometheus)."""

import math
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pytest

__all__ = ["Prometheus", "needs_prometheus"]

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no Prometheus here (apt-get install prometheus)"
)


class Prometheus:
    """``prometheus`` with the given configuration, on loopback; ended with the context."""

    def __init__(self, config: Path, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "prometheus.log"
        self._command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def values(self, expression: str) -> list[float]:
        """Return the numbers that ``expression`` has now; what is no number is left out."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=5)
        answer.raise_for_status()
        found = [float(series["value"][1]) for series in answer.json()["data"]["result"]]
        return [value for value in found if not math.isnan(value)]

    def faults(self) -> list[str]:
        """Return what is wrong with the rules that it loaded, if anything."""
        groups = httpx.get(f"{self.url}/api/v1/rules", timeout=5).json()["data"]["groups"]
        assert groups, "no rules were loaded"
        return [
            rule["lastError"]
            for group in groups
            for rule in group["rules"]
            if rule.get("lastError")
        ]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)
