"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_BYTES = (("B", 1000), ("kB", 1000), ("MB", 1000), ("GB", 1000), ("TB", 1000))
_SECONDS = (("s", 60), ("min", 60), ("h", 24), ("d", 1))


def human_bytes(count: float) -> str:
    """Return bytes with a decimal unit: ``1.2 GB``."""
    value, unit = _scaled(float(count), _BYTES)
    return f"{value:.0f} {unit}" if unit in ("B", "kB") or value >= 100 else f"{value:.1f} {unit}"


def human_seconds(seconds: float | None) -> str:
    """Return a duration in one unit: ``3.1 s``, ``12 min``; a dash for none."""
    if seconds is None:
        return "-"
    value, unit = _scaled(float(seconds), _SECONDS)
    return f"{value:.1f} {unit}" if unit == "s" and value < 10 else f"{value:.0f} {unit}"


def _scaled(value: float, steps: tuple[tuple[str, int], ...]) -> tuple[float, str]:
    """Return ``value`` in the first unit in which it is below that unit's limit, else the last."""
    for unit, limit in steps[:-1]:
        if value < limit:
            return value, unit
        value /= limit
    return value, steps[-1][0]


class FilterModule:
    """Filters of the status screen."""

    def filters(self) -> dict[str, Callable[[Any], str]]:
        """Return the filters by name."""
        return {"human_bytes": human_bytes, "human_seconds": human_seconds}
