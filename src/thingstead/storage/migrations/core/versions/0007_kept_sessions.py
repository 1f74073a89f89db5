"""Messaging sessions that outlive their connection, and what waits in them.

What the tables are for stands in `storage/sql/kept_session_tables.py`. A migration says what it
did when it was written, so it names everything itself and imports nothing that may change later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    _make_sessions()
    op.create_table(
        "waiting_message",
        sa.Column("number", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("session_id", _key_text(), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("sealed_topic", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_waiting_message"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["kept_session.id"], name="fk_waiting_message_session_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_waiting_message_by_session", "waiting_message", ["session_id", "number", "size"]
    )
    op.create_table(
        "purge_kept_session",
        sa.Column("session_id", _key_text(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_purge_kept_session"),
        sqlite_with_rowid=False,
    )


def _make_sessions() -> None:
    op.create_table(
        "kept_session",
        sa.Column("id", _key_text(), nullable=False),
        sa.Column("holder_kind", _key_text(), nullable=False),
        sa.Column("holder_id", _key_text(), nullable=False),
        sa.Column("client_digest", sa.LargeBinary, nullable=False),
        sa.Column("sealed_client_id", sa.LargeBinary, nullable=False),
        sa.Column("expires_after_s", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("waiting", sa.Integer, nullable=False, server_default="0"),
        sa.Column("waiting_bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_kept_session"),
        sa.UniqueConstraint(
            "holder_kind", "holder_id", "client_digest", name="uq_kept_session_holder_kind"
        ),
    )
    op.create_index("ix_kept_session_expiring", "kept_session", ["expires_at_ms"])
    op.create_table(
        "kept_subscription",
        sa.Column("session_id", _key_text(), nullable=False),
        sa.Column("filter_digest", sa.LargeBinary, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("sealed_filter", sa.LargeBinary, nullable=False),
        sa.Column("options", sa.Integer, nullable=False),
        sa.Column("after_sequence", sa.BigInteger),
        sa.PrimaryKeyConstraint("session_id", "filter_digest", name="pk_kept_subscription"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["kept_session.id"], name="fk_kept_subscription_session_id"
        ),
        sqlite_with_rowid=False,
    )


def _key_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
