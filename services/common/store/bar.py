"""What a bar is, and how two parts of one become the whole. Pure.

A bar covers ``start <= sequence < start + width`` of one (feed, symbol), aligned to the epoch. The
time is the tick's ``sequence``: the venue's own time of a streamed event, and of a polled quote the
second it was asked for. (A polled answer's event time is that of the last trade, often long ago:
its quote would be filed in seconds in which nobody could have known it.) Sequences are unique, so
first and last are never ambiguous. There is no bar where there was no tick.

`merge` is associative and commutative, to the last bit: floats are only compared, volumes are added
as exact decimals. Hence the order in which ticks come makes no difference.
"""

from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple

__all__ = ["Bar", "fold", "imported_bar", "is_news", "merge", "tick_bar", "widen"]

_SECOND_US: Final = 1_000_000
_EXACT: Final = Context(prec=60)  # 40 digits of a tick's volume, and 20 for the number of ticks


class Bar(NamedTuple):
    """One bar, or the part of it that some of its ticks make.

    ``first_us`` and ``last_us`` are the first and last tick's microseconds since ``start``. Prices
    are of the last trade; ``mid_*`` those of the mid price. Volumes are what takers bought and
    sold, in the base currency; None where no venue told. ``news`` counts the ticks that told
    anything new (`is_news`): a bar with ticks and none of news marks a time in which nothing
    happened. Without ticks it is of the earlier system's files.
    """

    start: int
    first_us: int
    last_us: int
    open: float
    high: float
    low: float
    close: float
    mid_open: float
    mid_high: float
    mid_low: float
    mid_close: float
    buy_volume: Decimal | None
    sell_volume: Decimal | None
    ticks: int
    news: int


def tick_bar(row: Any, width_us: int, news: int = 0) -> Bar:
    """Return the bar of a single tick, a row of ``ticks``, with the given count of news."""
    start = row.sequence - row.sequence % width_us
    offset = row.sequence - start
    last, mid = row.last_price, row.mid_price
    bought, sold = _decimal(row.buy_volume), _decimal(row.sell_volume)
    return Bar(
        start, offset, offset, last, last, last, last, mid, mid, mid, mid, bought, sold, 1, news
    )


def imported_bar(row: Any) -> Bar:
    """Return a row of ``imported_bars`` as a bar of a second: without ticks, news or volume."""
    prices = (row.open, row.high, row.low, row.close)
    return Bar(row.start, 0, _SECOND_US - 1, *prices, *prices, None, None, 0, 0)


def merge(one: Bar, other: Bar) -> Bar:
    """Return the bar that the ticks of both make; both have the same start, and no tick in both."""
    first = one if one.first_us <= other.first_us else other
    last = one if one.last_us >= other.last_us else other
    return Bar(
        one.start,
        first.first_us,
        last.last_us,
        first.open,
        max(one.high, other.high),
        min(one.low, other.low),
        last.close,
        first.mid_open,
        max(one.mid_high, other.mid_high),
        min(one.mid_low, other.mid_low),
        last.mid_close,
        _add(one.buy_volume, other.buy_volume),
        _add(one.sell_volume, other.sell_volume),
        one.ticks + other.ticks,
        one.news + other.news,
    )


def widen(bar: Bar, width_us: int) -> Bar:
    """Return ``bar`` as a part of the bar of ``width_us``, a multiple of its own width."""
    shift = bar.start % width_us
    if not shift:
        return bar
    return Bar(bar.start - shift, bar.first_us + shift, bar.last_us + shift, *bar[3:])


def fold(parts: Iterable[Bar]) -> dict[int, Bar]:
    """Return the whole bars that ``parts`` make, by start."""
    bars: dict[int, Bar] = {}
    for part in parts:
        known = bars.get(part.start)
        bars[part.start] = part if known is None else merge(known, part)
    return bars


def is_news(before: Any | None, row: Any) -> bool:
    """Return whether a tick tells anything that the one before it in its series did not.

    Rows of ``ticks``; the first tick of a series is news, and so is any trade flow.
    """
    if before is None or _moved(row.buy_volume) or _moved(row.sell_volume):
        return True
    return _content(before) != _content(row)


def _content(row: Any) -> tuple[Any, ...]:
    happened = None if row.event_time_estimated else row.event_time  # an estimate always advances
    book = (row.bid, row.bid_size, row.ask, row.ask_size)
    return (row.venue, row.price, row.size, *book, row.trade_id, happened)


def _moved(volume: str | None) -> bool:
    return volume is not None and Decimal(volume) > 0


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _add(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    if one is None or other is None:
        return other if one is None else one
    return _EXACT.add(one, other)
