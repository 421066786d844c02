"""Tables. Times are microseconds since the Unix epoch (UTC); prices in the quote currency.

Exact decimals are text, as sent; the float columns beside them are for arithmetic in SQL.
Primary keys begin with the feed, mostly (feed, symbol), so feeds never mix and a range of time is
one index scan.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

__all__ = [
    "BARS",
    "consumer_offsets",
    "imported_bars",
    "imported_metrics",
    "imported_predictions",
    "metadata",
    "models",
    "predictions",
    "scores",
    "ticks",
]

metadata = MetaData()

ticks = Table(
    "ticks",
    metadata,
    Column("feed", String(16), nullable=False),
    Column("symbol", String(24), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("venue", String(16), nullable=False),
    Column("event_time", BigInteger, nullable=False),
    Column("receive_time", BigInteger, nullable=False),
    Column("price", String(40), nullable=False),
    Column("size", String(40)),
    Column("bid", String(40)),
    Column("bid_size", String(40)),
    Column("ask", String(40)),
    Column("ask_size", String(40)),
    Column("buy_volume", String(40)),
    Column("sell_volume", String(40)),
    Column("trade_id", String(40)),
    Column("event_time_estimated", Boolean, nullable=False),
    Column("last_price", Double, nullable=False),
    Column("mid_price", Double, nullable=False),
    PrimaryKeyConstraint("feed", "symbol", "sequence"),
    sqlite_with_rowid=False,
)

predictions = Table(
    "predictions",
    metadata,
    Column("feed", String(16), nullable=False),
    Column("symbol", String(24), nullable=False),
    Column("horizon_s", Integer, nullable=False),
    Column("issue_time", BigInteger, nullable=False),
    Column("target_time", BigInteger, nullable=False),
    Column("venue", String(16), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("reference_price", Double, nullable=False),
    Column("mean", Double, nullable=False),
    Column("q025", Double, nullable=False),
    Column("q100", Double, nullable=False),
    Column("q250", Double, nullable=False),
    Column("q500", Double, nullable=False),
    Column("q750", Double, nullable=False),
    Column("q900", Double, nullable=False),
    Column("q975", Double, nullable=False),
    PrimaryKeyConstraint("feed", "symbol", "horizon_s", "issue_time"),
    sqlite_with_rowid=False,
)

scores = Table(
    "scores",
    metadata,
    Column("feed", String(16), nullable=False),
    Column("symbol", String(24), nullable=False),
    Column("horizon_s", Integer, nullable=False),
    Column("target_time", BigInteger, nullable=False),
    Column("issue_time", BigInteger, nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("reference_price", Double, nullable=False),
    Column("predicted", Double, nullable=False),
    Column("actual", Double, nullable=False),
    Column("crps", Double, nullable=False),
    Column("crps_last_value", Double, nullable=False),
    Column("crps_baseline", Double, nullable=False),
    Column("inside_50", Boolean, nullable=False),
    Column("inside_80", Boolean, nullable=False),
    Column("inside_95", Boolean, nullable=False),
    Column("width_95", Double, nullable=False),
    PrimaryKeyConstraint("feed", "symbol", "horizon_s", "target_time", "issue_time"),
    sqlite_with_rowid=False,
)

consumer_offsets = Table(
    "consumer_offsets",
    metadata,
    Column("consumer_group", String(64), nullable=False),
    Column("topic", String(128), nullable=False),
    Column("partition", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("consumer_group", "topic", "partition"),
    sqlite_with_rowid=False,
)

# What the forecaster's registry holds, for those who cannot read its files (`common.store.models`).
models = Table(
    "models",
    metadata,
    Column("feed", String(16), nullable=False),
    Column("version", String(64), nullable=False),
    Column("in_service", Boolean, nullable=False),
    Column("card", Text, nullable=False),
    PrimaryKeyConstraint("feed", "version"),
    sqlite_with_rowid=False,
)


def _bars(name: str) -> Table:
    """Bars of one width; `common.store.bar` says what the columns mean."""
    return Table(
        name,
        metadata,
        Column("feed", String(16), nullable=False),
        Column("symbol", String(24), nullable=False),
        Column("start", BigInteger, nullable=False),
        Column("first_us", BigInteger, nullable=False),
        Column("last_us", BigInteger, nullable=False),
        Column("open", Double, nullable=False),
        Column("high", Double, nullable=False),
        Column("low", Double, nullable=False),
        Column("close", Double, nullable=False),
        Column("mid_open", Double, nullable=False),
        Column("mid_high", Double, nullable=False),
        Column("mid_low", Double, nullable=False),
        Column("mid_close", Double, nullable=False),
        Column("buy_volume", String(64)),
        Column("sell_volume", String(64)),
        Column("volume", Double),
        Column("ticks", Integer, nullable=False),
        Column("news", Integer, nullable=False),
        PrimaryKeyConstraint("feed", "symbol", "start"),
        sqlite_with_rowid=False,
    )


# By width in microseconds, narrowest first: each is made of whole bars of the one before.
BARS: dict[int, Table] = {
    1_000_000: _bars("bars_1s"),
    60_000_000: _bars("bars_1m"),
    3_600_000_000: _bars("bars_1h"),
}


def _imported(name: str, *values: str) -> Table:
    """What the earlier system's files said, as they said it; never among our own predictions."""
    return Table(
        name,
        metadata,
        Column("feed", String(16), nullable=False),
        Column("symbol", String(24), nullable=False),
        Column("start", BigInteger, nullable=False),
        *(Column(value, Double, nullable=False) for value in values),
        PrimaryKeyConstraint("feed", "symbol", "start"),
        sqlite_with_rowid=False,
    )


# Its price bars are counted in `BARS`. Their volume is not: it may be that of a day.
imported_bars = _imported("imported_bars", "open", "high", "low", "close", "volume")
imported_predictions = _imported("imported_predictions", "pred_price", "pred_lower", "pred_upper")
imported_metrics = _imported("imported_metrics", "std", "mae", "rmse", "actual_error")
