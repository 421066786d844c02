"""The forecaster's models as its files describe them; read only."""

import json
from pathlib import Path
from typing import Any

__all__ = ["read_models"]

_NEWEST = 50
_MAX_BYTES = 1_000_000


def read_models(folder: Path | None) -> dict[str, Any]:
    """Return ``current`` (a version or None) and ``items``, newest first.

    Every ``<version>/*.json`` of small size is shown as it is under its name; what is unreadable
    is left out, since a model may be written or removed at this moment.
    """
    if folder is None or not folder.is_dir():
        return {"current": None, "items": []}
    versions = sorted(
        (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()),
        key=lambda path: path.name,
        reverse=True,
    )
    items = [{"version": path.name, **_documents(path)} for path in versions[:_NEWEST]]
    return {"current": _current(folder), "items": items}


def _current(folder: Path) -> str | None:
    pointer = folder / "current"
    try:
        if pointer.is_symlink():
            return pointer.readlink().name
        return pointer.read_text(encoding="utf-8").strip()[:100] or None
    except OSError:
        return None


def _documents(folder: Path) -> dict[str, Any]:
    documents: dict[str, Any] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            if path.stat().st_size <= _MAX_BYTES:
                documents[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return documents
