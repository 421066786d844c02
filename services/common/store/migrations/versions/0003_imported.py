"""What the earlier system's files held."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = {
    "imported_bars": ["open", "high", "low", "close", "volume"],
    "imported_predictions": ["pred_price", "pred_lower", "pred_upper"],
    "imported_metrics": ["std", "mae", "rmse", "actual_error"],
}


def upgrade() -> None:
    """Create the tables."""
    for name, values in _TABLES.items():
        op.create_table(
            name,
            sa.Column("feed", sa.String(16), nullable=False),
            sa.Column("symbol", sa.String(24), nullable=False),
            sa.Column("start", sa.BigInteger, nullable=False),
            *(sa.Column(value, sa.Double, nullable=False) for value in values),
            sa.PrimaryKeyConstraint("feed", "symbol", "start"),
            sqlite_with_rowid=False,
        )
