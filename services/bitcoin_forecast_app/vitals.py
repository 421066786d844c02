"""What the process knows of its own work: written by the loop, read by probes and `/status`."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from common.clock import Clock

__all__ = ["Vitals"]

_RECENT = 1_000  # latencies kept for the percentiles


@dataclass
class Vitals:
    """Plain values, each replaced as a whole, so that a reader in another thread sees no halves."""

    clock: Clock
    beat: float = 0.0  # monotonic time of the loop's last turn
    last_tick: datetime | None = None  # receive time of the newest tick
    last_prediction: datetime | None = None  # issue time of the newest prediction
    ticks: int = 0
    predictions: int = 0
    scores: int = 0
    error: str = ""  # why the loop waits; empty while it works
    positions: dict[int, int] = field(default_factory=dict)  # next offset by partition
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def __post_init__(self) -> None:
        self.beat = self.clock.monotonic()

    def age(self, moment: datetime | None) -> float | None:
        """Return the seconds since ``moment``, None where it has not come."""
        return None if moment is None else (self.clock.now() - moment).total_seconds()

    def latency_ms(self) -> dict[str, float]:
        """Return percentiles of the recent latencies in milliseconds; empty before the first."""
        recent = list(self.latencies_s)
        if not recent:
            return {}
        values = np.percentile(recent, (50, 90, 99)) * 1e3
        return {
            name: round(float(v), 3) for name, v in zip(("p50", "p90", "p99"), values, strict=True)
        }
