"""The trained models of a feed as their registry holds them: one card each, one in service at most.

The forecaster's files are what counts; these rows say the same to whoever cannot read them, as
web-app on a cluster.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from common.store.insert import write_rows
from common.store.schema import models

__all__ = ["list_models", "save_models"]


def list_models(connection: Connection, feed: str, limit: int) -> Sequence[Row[Any]]:
    """Return (version, in_service, card) of the newest, newest first: versions begin with a time.

    A card is the JSON text that the forecaster wrote.
    """
    rows: Any = connection.execute(
        select(models.c.version, models.c.in_service, models.c.card)
        .where(models.c.feed == feed)
        .order_by(models.c.version.desc())
        .limit(limit)
    ).all()
    found: Sequence[Row[Any]] = rows
    return found


def save_models(
    connection: Connection,
    feed: str,
    versions: Sequence[str],
    serving: str,
    read_card: Callable[[str], str | None],
) -> int:
    """Have exactly ``versions``, with ``serving`` in service; return how many rows changed.

    A card is read only where it is not there yet, since none ever changes; None leaves it out.
    """
    own = models.c.feed == feed
    query = select(models.c.version, models.c.in_service).where(own)
    known: dict[str, bool] = {row.version: row.in_service for row in connection.execute(query)}
    cards = {version: read_card(version) for version in versions if version not in known}
    rows = [
        (feed, version, version == serving, card)
        for version, card in cards.items()
        if card is not None
    ]
    write_rows(connection, models, rows)
    gone = [version for version in known if version not in versions]
    wrong = [v for v, served in known.items() if v not in gone and served != (v == serving)]
    if gone:
        connection.execute(delete(models).where(own, models.c.version.in_(gone)))
    if wrong:
        changed = update(models).where(own, models.c.version.in_(wrong))
        connection.execute(changed.values(in_service=models.c.version == serving))
    return len(rows) + len(gone) + len(wrong)
