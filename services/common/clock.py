"""Time as a constructor argument, so that tests own it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock", "from_micros", "to_micros"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Source of wall-clock and monotonic time."""

    def now(self) -> datetime:
        """Return the present in UTC with microseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clock: the only place that asks the operating system for the time."""

    def now(self) -> datetime:
        """Return the present in UTC with microseconds."""
        return datetime.now(UTC)  # noqa: TID251 - the one place

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start."""
        return time.monotonic()


def to_micros(moment: datetime) -> int:
    """Return whole microseconds since the Unix epoch of an aware ``moment``."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the UTC time of ``micros`` microseconds since the Unix epoch."""
    return _EPOCH + timedelta(microseconds=micros)
