"""A running estimate of how far a venue's clock is ahead of ours."""

from collections import deque
from datetime import datetime

__all__ = ["SkewEstimate"]

_TICKS = 120


class SkewEstimate:
    """The largest (event time - receive time) of the last 120 ticks.

    Event time minus receive time is the skew less the time that the news took to reach us, and that
    is never negative: the largest difference comes nearest to the skew, from below.
    """

    def __init__(self) -> None:
        self._ahead: deque[float] = deque(maxlen=_TICKS)

    def add(self, event_time: datetime, receive_time: datetime) -> None:
        """Take one more tick into account."""
        self._ahead.append((event_time - receive_time).total_seconds())

    @property
    def last_age_s(self) -> float:
        """Return how old the last news was when it came, by both clocks; 0 before any tick."""
        return -self._ahead[-1] if self._ahead else 0.0

    @property
    def seconds(self) -> float:
        """Return the estimate, positive where the venue's clock is ahead; 0 before any tick."""
        return max(self._ahead, default=0.0)
