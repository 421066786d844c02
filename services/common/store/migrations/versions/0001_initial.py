"""Ticks, predictions, scores and consumer offsets."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.String(40)


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "ticks",
        sa.Column("feed", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(24), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("venue", sa.String(16), nullable=False),
        sa.Column("event_time", sa.BigInteger, nullable=False),
        sa.Column("receive_time", sa.BigInteger, nullable=False),
        sa.Column("price", _TEXT, nullable=False),
        *(
            sa.Column(name, _TEXT)
            for name in (
                [
                    "size",
                    "bid",
                    "bid_size",
                    "ask",
                    "ask_size",
                    "buy_volume",
                    "sell_volume",
                    "trade_id",
                ]
            )
        ),
        sa.Column("event_time_estimated", sa.Boolean, nullable=False),
        sa.Column("last_price", sa.Double, nullable=False),
        sa.Column("mid_price", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("feed", "symbol", "sequence"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "predictions",
        sa.Column("feed", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(24), nullable=False),
        sa.Column("horizon_s", sa.Integer, nullable=False),
        sa.Column("issue_time", sa.BigInteger, nullable=False),
        sa.Column("target_time", sa.BigInteger, nullable=False),
        sa.Column("venue", sa.String(16), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        *(
            sa.Column(name, sa.Double, nullable=False)
            for name in [
                "reference_price",
                "mean",
                "q025",
                "q100",
                "q250",
                "q500",
                "q750",
                "q900",
                "q975",
            ]
        ),
        sa.PrimaryKeyConstraint("feed", "symbol", "horizon_s", "issue_time"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "scores",
        sa.Column("feed", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(24), nullable=False),
        sa.Column("horizon_s", sa.Integer, nullable=False),
        sa.Column("target_time", sa.BigInteger, nullable=False),
        sa.Column("issue_time", sa.BigInteger, nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        *(
            sa.Column(name, sa.Double, nullable=False)
            for name in (
                [
                    "reference_price",
                    "predicted",
                    "actual",
                    "crps",
                    "crps_last_value",
                    "crps_baseline",
                ]
            )
        ),
        *(sa.Column(f"inside_{level}", sa.Boolean, nullable=False) for level in (50, 80, 95)),
        sa.Column("width_95", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("feed", "symbol", "horizon_s", "target_time", "issue_time"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consumer_offsets",
        sa.Column("consumer_group", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(128), nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("consumer_group", "topic", "partition"),
        sqlite_with_rowid=False,
    )
