"""Devices known by their own ids, and what products say about their messages.

What the table and the columns are for stands in `storage/sql/device_tables.py` and
`storage/sql/tables.py`. A migration says what it did when it was written, so it names
everything itself and imports nothing that may change later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table and the columns; no product of an earlier version activates by itself."""
    op.add_column(
        "product", sa.Column("is_automatic", sa.Integer, nullable=False, server_default="0")
    )
    for name, kind in (
        ("format", sa.Text),
        ("decoder", sa.Text),
        ("sealed_udp_key", sa.LargeBinary),
    ):
        op.add_column("product", sa.Column(name, kind))
    op.create_table(
        "device",
        sa.Column("product_id", sa.Integer, nullable=False),
        sa.Column("device_id", _key_text(), nullable=False),
        sa.Column("thing_id", _key_text(), nullable=False),
        sa.Column("named_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("product_id", "device_id", name="pk_device"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_device_product_id"),
        sa.ForeignKeyConstraint(["thing_id"], ["thing.id"], name="fk_device_thing_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_device_by_thing", "device", ["thing_id"])


def _key_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
