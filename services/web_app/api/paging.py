"""Pages of a bounded size; a cursor is where the next one begins."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from sqlalchemy import Row

from common.store.queries import Page
from web_app.api.params import CURSOR, RangeQuery
from web_app.errors import ProblemError

__all__ = ["cut_page", "open_page"]


def open_page(query: RangeQuery, start: int, end: int, limit: int) -> Page:
    """Return the page that the query asks for, one row longer than ``limit`` to see if more is.

    Raises `ProblemError` 400 for a cursor that we never gave.
    """
    newest_first = query.order == "desc"
    if query.cursor is not None:
        if not re.fullmatch(CURSOR, query.cursor):
            raise ProblemError(
                HTTPStatus.BAD_REQUEST, "cursor: take next_cursor of the page before, unchanged"
            )
        edge = int(query.cursor)
        start, end = (start, min(end, edge)) if newest_first else (max(start, edge), end)
    return Page(start, end, limit + 1, newest_first)


def cut_page(
    rows: Sequence[Row[Any]], limit: int, newest_first: bool, time: Callable[[Row[Any]], int]
) -> tuple[list[Row[Any]], str | None]:
    """Return (at most ``limit`` rows, the cursor of the next page or None)."""
    kept = list(rows[:limit])
    if len(rows) <= limit:
        return kept, None
    edge = time(kept[-1]) if newest_first else time(kept[-1]) + 1
    return kept, str(edge)
