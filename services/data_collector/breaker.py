"""A circuit breaker for each venue: when to leave it alone, and for how long."""

import random
from typing import Literal

from common.clock import Clock
from common.log import get_logger
from data_collector import metrics
from data_collector.errors import BackOffError, RefusedForGoodError, VenueError

__all__ = ["Breaker", "State"]

State = Literal["closed", "probing", "open", "refused"]

_LEVELS: dict[State, int] = {"closed": 0, "probing": 1, "open": 2, "refused": 3}
_TOLERATED = 3  # failures in a row
_BASE_S = 1.0
_LONGEST_S = 60.0

_log = get_logger(__name__)


class Breaker:
    """Opens after three failures in a row, or at once where the venue asks for it.

    Open times grow exponentially with jitter (half to the whole of 1, 2, 4, ... 60 s) and are never
    shorter than ``Retry-After``; then one probe decides.
    """

    def __init__(self, venue: str, clock: Clock, rng: random.Random) -> None:
        self._venue = venue
        self._clock = clock
        self._rng = rng
        self._failures = 0
        self._openings = 0
        self._until = 0.0
        self._reason = ""
        self._state: State = "closed"
        metrics.BREAKER_STATE.labels(venue).set(0)

    @property
    def state(self) -> State:
        """Return the state now."""
        return self._state

    @property
    def probe_is_due(self) -> bool:
        """Return whether the open time is over and nobody has begun to probe."""
        return self._state == "open" and self._clock.monotonic() >= self._until

    def begin_probe(self) -> None:
        """Note that somebody probes; `succeeded` or `failed` must follow."""
        self._move("probing")

    def succeeded(self) -> None:
        """Note an answer that was good."""
        if self._state != "closed" and self._state != "refused":
            _log.info("exchange answers again", venue=self._venue)
            self._move("closed")
        self._failures = 0
        self._openings = 0
        self._reason = ""

    def failed(self, error: VenueError) -> None:
        """Note a failure; the kind of error decides what follows."""
        self._failures += 1
        self._reason = str(error)
        if self._state == "refused":
            return
        if isinstance(error, RefusedForGoodError):
            _log.error("exchange refuses us for good", venue=self._venue, reason=str(error))
            self._move("refused")
        elif isinstance(error, BackOffError):
            self._open(error.retry_after_s or 0.0)
        elif self._failures >= _TOLERATED or self._state == "probing":
            self._open(0.0)

    def describe(self) -> dict[str, object]:
        """Return state, failures in a row, their reason, and when a probe is due."""
        wait = max(0.0, self._until - self._clock.monotonic()) if self._state == "open" else 0.0
        return {
            "state": self._state,
            "failures": self._failures,
            "reason": self._reason,
            "probe_in_s": round(wait, 3),
        }

    def _open(self, at_least_s: float) -> None:
        longest = min(_LONGEST_S, _BASE_S * 2**self._openings)
        pause = max(at_least_s, longest * self._rng.uniform(0.5, 1.0))
        if self._state == "open":
            self._until = max(self._until, self._clock.monotonic() + at_least_s)
            return
        self._openings = min(self._openings + 1, 10)
        self._until = self._clock.monotonic() + pause
        _log.warning(
            "exchange left alone", venue=self._venue, seconds=round(pause, 2), reason=self._reason
        )
        self._move("open")

    def _move(self, state: State) -> None:
        self._state = state
        metrics.BREAKER_STATE.labels(self._venue).set(_LEVELS[state])
