"""The list of deleted users whose objects are to be removed, and grants found by their place.

What the table is for stands in `storage/sql/purge.py`. A migration says what it did when it
was written, so it names everything itself and imports nothing that may change later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table; the index of entries leads to one resource of a thing."""
    op.create_table(
        "purge_user",
        sa.Column("user_id", _key_text(), nullable=False),
        sa.Column("noted_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_purge_user"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_purge_user_oldest", "purge_user", ["noted_at_ms", "user_id"])
    op.drop_index("ix_grant_entry_by_thing", "grant_entry")
    op.create_index("ix_grant_entry_by_place", "grant_entry", ["thing_id", "resource"])


def _key_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
