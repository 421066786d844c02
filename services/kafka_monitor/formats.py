"""How numbers look on the pages: Jinja filters."""

from kafka_monitor.payload import pretty

__all__ = ["FILTERS", "file_size", "grouped"]

_NARROW_SPACE = "\u202f"
_NOTHING = "\u2013"


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


FILTERS = {"grouped": grouped, "file_size": file_size, "pretty": pretty}
