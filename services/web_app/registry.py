"""The forecaster's models as the store shows them."""

from typing import Any

import msgspec
from sqlalchemy import Connection

from common.store.models import list_models

__all__ = ["ModelCard", "ModelsAnswer", "read_models"]

_NEWEST = 21  # all that the forecaster keeps


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One training run: on what, how it did on data it had not seen, and what was decided.

    ``code`` is a hash of the sources that trained it, ``sha256`` that of its weights; with the same
    ``code``, ``seed`` and ticks the weights come out the same. ``scores`` are ratios of its CRPS to
    the baseline's on the held-out window, beside those of what was in service and of no model.
    """

    version: str
    trained_at: str | None = None
    feed: str | None = None
    rows: int | None = None
    window: list[str] = []
    features: list[str] = []
    seed: int | None = None
    code: str | None = None
    sha256: str | None = None
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


def read_models(connection: Connection, feed: str) -> ModelsAnswer:
    """Return what is known of a feed's models; a card of another form is left out."""
    rows = list_models(connection, feed, _NEWEST)
    items = [card for row in rows if (card := _card(row.card)) is not None]
    return ModelsAnswer(
        current=next((row.version for row in rows if row.in_service), None),
        last_training=items[0] if items else None,
        items=items,
    )


def _card(text: str) -> ModelCard | None:
    try:
        return msgspec.json.decode(text, type=ModelCard)
    except msgspec.MsgspecError:
        return None
