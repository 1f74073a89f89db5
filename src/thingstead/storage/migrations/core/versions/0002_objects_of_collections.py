"""Objects, and how many of them each collection holds.

What the tables are for stands in `storage/sql/object_tables.py`. A migration says what it did
when it was written, so it names everything itself and imports nothing that may change later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "object",
        sa.Column("user_id", _key_text(), nullable=False),
        sa.Column("collection", _key_text(), nullable=False),
        sa.Column("id", _key_text(), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "collection", "id", name="pk_object"),
    )
    op.create_table(
        "collection",
        sa.Column("user_id", _key_text(), nullable=False),
        sa.Column("name", _key_text(), nullable=False),
        sa.Column("objects", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "name", name="pk_collection"),
        sqlite_with_rowid=False,
    )


def _key_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
