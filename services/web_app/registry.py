"""The forecaster's models as its manifests describe them; read only."""

from pathlib import Path
from typing import Any

import msgspec

__all__ = ["ModelCard", "ModelsAnswer", "read_models"]

_NEWEST = 20
_MAX_BYTES = 256_000


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One training run: on what, how it did on data it had not seen, and what was decided."""

    version: str
    trained_at: str | None = None
    feed: str | None = None
    rows: int | None = None
    window: list[str] = []
    replaces: str | None = None
    promoted: bool | None = None
    reason: str | None = None
    seconds: float | None = None
    scores: dict[str, Any] = {}


class ModelsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``current`` is the version in service, None while the baseline serves; newest run first."""

    current: str | None = None
    last_training: ModelCard | None = None
    items: list[ModelCard] = []


def read_models(folder: Path | None, feed: str) -> ModelsAnswer:
    """Return what is in MODEL_DIR for a feed.

    What cannot be read is left out: a version may be written or removed at this moment.
    """
    if folder is None:
        return ModelsAnswer()
    own = folder / feed
    names = sorted((path.parent.name for path in own.glob("[!.]*/manifest.json")), reverse=True)
    cards = (_card(own / name / "manifest.json") for name in names[:_NEWEST])
    return ModelsAnswer(
        current=_current(own),
        last_training=_card(own / "last_training.json"),
        items=[card for card in cards if card is not None],
    )


def _current(folder: Path) -> str | None:
    try:
        return (folder / "current").read_text(encoding="utf-8").strip()[:100] or None
    except (OSError, UnicodeDecodeError):
        return None


def _card(path: Path) -> ModelCard | None:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        return msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except (OSError, msgspec.MsgspecError):
        return None
