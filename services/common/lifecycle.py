"""Clean stops: SIGTERM and SIGINT set an event, and one deadline is shared by all closing steps."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from common.clock import Clock
from common.errors import ConfigurationError

__all__ = ["Deadline", "run_service", "stop_on_signals"]

STOP_BUDGET_S = 8.0  # below the 10 s that the supervisor and Kubernetes grant us


class Deadline:
    """A budget in seconds that starts at construction."""

    def __init__(self, clock: Clock, budget_s: float = STOP_BUDGET_S) -> None:
        self._clock = clock
        self._end = clock.monotonic() + budget_s

    def remaining(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self._end - self._clock.monotonic())


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; call from the main thread."""
    stop = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def run_service(main: Callable[[], int]) -> None:
    """Exit with what ``main`` returns; wrong settings print one message and exit with 2."""
    try:
        code = main()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        code = 2
    sys.exit(code)
