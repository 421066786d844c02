"""How numbers look on the pages: Jinja filters."""

from datetime import timedelta

from kafka_monitor.model import ConfigEntry
from kafka_monitor.payload import pretty

__all__ = ["FILTERS", "file_size", "grouped", "meaning"]

_NARROW_SPACE = "\u202f"
_NOTHING = "\u2013"
_NO_LIMIT = 2**62  # Kafka's defaults that mean never are close to 2**63


def grouped(number: int | None) -> str:
    """Return ``number`` with its digits in groups of three."""
    return _NOTHING if number is None else f"{number:,}".replace(",", _NARROW_SPACE)


def file_size(count: int | None) -> str:
    """Return ``count`` bytes in the binary unit that needs at most four digits."""
    if count is None:
        return _NOTHING
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    digits = 0 if units[0] == "B" or size >= 100 else 1
    return f"{size:.{digits}f} {units[0]}"


def meaning(entry: ConfigEntry) -> str:
    """Return a duration or size in larger units; nothing where that says no more."""
    value = int(entry.value) if entry.value and entry.value.lstrip("-").isdigit() else 0
    if value == -1 or value > _NO_LIMIT:
        return "no limit"
    if entry.name.endswith(".ms") and value >= 1000:
        return str(timedelta(milliseconds=value))
    if entry.name.endswith(".bytes") and value >= 1024:
        return file_size(value)
    return ""


FILTERS = {"grouped": grouped, "file_size": file_size, "meaning": meaning, "pretty": pretty}
