"""Bars at 1 s, 1 min and 1 h."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
REBUILDS_BARS = True  # from the stored ticks, when the newest schema is reached

_PRICES = [
    "open",
    "high",
    "low",
    "close",
    "mid_open",
    "mid_high",
    "mid_low",
    "mid_close",
]


def upgrade() -> None:
    """Create the tables."""
    for name in ("bars_1s", "bars_1m", "bars_1h"):
        op.create_table(
            name,
            sa.Column("feed", sa.String(16), nullable=False),
            sa.Column("symbol", sa.String(24), nullable=False),
            sa.Column("start", sa.BigInteger, nullable=False),
            sa.Column("first_us", sa.BigInteger, nullable=False),
            sa.Column("last_us", sa.BigInteger, nullable=False),
            *(sa.Column(price, sa.Double, nullable=False) for price in _PRICES),
            sa.Column("buy_volume", sa.String(64)),
            sa.Column("sell_volume", sa.String(64)),
            sa.Column("volume", sa.Double),
            sa.Column("ticks", sa.Integer, nullable=False),
            sa.Column("news", sa.Integer, nullable=False),
            sa.PrimaryKeyConstraint("feed", "symbol", "start"),
            sqlite_with_rowid=False,
        )
