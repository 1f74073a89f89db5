"""The newest changes of objects, to be told again to those who missed them.

What the table is for stands in `storage/sql/object_tables.py`. A migration says what it did
when it was written, so it names everything itself and imports nothing that may change later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table, and the index that leads to the changes of one collection."""
    op.create_table(
        "object_change",
        sa.Column("sequence", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("user_id", _key_text(), nullable=False),
        sa.Column("collection", _key_text(), nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object_id", _key_text(), nullable=False),
        sa.Column("bytes_before", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_object_change"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_object_change_by_collection", "object_change", ["user_id", "collection", "sequence"]
    )


def _key_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
