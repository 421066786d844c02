"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_STEPS = (("s", 60), ("min", 60), ("h", 24), ("d", 10_000))


def human_bytes(count: float) -> str:
    """Return bytes with a decimal unit: ``1.2 GB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            break
        value /= 1000
    else:
        unit = "TB"
    return f"{value:.0f} {unit}" if unit in ("B", "kB") or value >= 100 else f"{value:.1f} {unit}"


def human_seconds(seconds: float | None) -> str:
    """Return a duration in one unit: ``3.1 s``, ``12 min``; a dash for none."""
    if seconds is None:
        return "-"
    value = float(seconds)
    for unit, size in _STEPS:
        if value < size:
            break
        value /= size
    return f"{value:.1f} {unit}" if unit == "s" and value < 10 else f"{value:.0f} {unit}"


class FilterModule:
    """Filters of the status screen."""

    def filters(self) -> dict[str, Callable[[Any], str]]:
        """Return the filters by name."""
        return {"human_bytes": human_bytes, "human_seconds": human_seconds}
