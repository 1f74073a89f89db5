"""Apps, users, sessions, links, grants, the mail outbox, and the list of announced changes.

What the tables are for stands in `storage/sql/user_tables.py` and `sharing_tables.py`. A
migration says what it did when it was written, so it names everything itself and imports
nothing that may change later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables; the counter of changes becomes a list of them."""
    op.add_column("product", sa.Column("link_app_id", _key_text()))
    takes_link_ids = sa.text("link_app_id IS NOT NULL")
    op.create_index(
        "ix_product_by_link_app",
        "product",
        ["link_app_id"],
        sqlite_where=takes_link_ids,
        postgresql_where=takes_link_ids,
    )
    op.add_column("thing", sa.Column("epoch", sa.Integer, nullable=False, server_default="0"))
    _create_users()
    _create_what_stands_for_users()
    _create_links()
    _create_link_ids()
    _create_grants()
    _create_chores()
    op.drop_table("installation")


def _create_users() -> None:
    op.create_table(
        "app",
        _key("id"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("resources", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        _time("created_at_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_app"),
    )
    op.create_table(
        "app_user",
        _key("id"),
        _key("app_id"),
        _key("email"),
        sa.Column("password_hash", sa.Text, nullable=False),
        _time("created_at_ms"),
        sa.Column("confirmed_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_app_user"),
        sa.ForeignKeyConstraint(["app_id"], ["app.id"], name="fk_app_user_app_id"),
        sa.UniqueConstraint("app_id", "email", name="uq_app_user_app_id_email"),
        sqlite_with_rowid=False,
    )


def _create_what_stands_for_users() -> None:
    op.create_table(
        "session",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        _key("id"),
        _key("user_id"),
        _time("created_at_ms"),
        _time("seen_at_ms"),
        _time("expires_at_ms"),
        sa.Column("label", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_session"),
        sa.UniqueConstraint("id", name="uq_session_id"),
        _to_user("session"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_session_by_user", "session", ["user_id"])
    op.create_index("ix_session_expiring", "session", ["expires_at_ms"])
    op.create_table(
        "mail_link",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        _key("user_id"),
        _time("expires_at_ms"),
        sa.PrimaryKeyConstraint("digest", name="pk_mail_link"),
        _to_user("mail_link"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mail_link_by_user", "mail_link", ["user_id", "purpose"])
    op.create_index("ix_mail_link_expiring", "mail_link", ["expires_at_ms"])
    op.create_table(
        "user_setting",
        _key("user_id"),
        sa.Column("members", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_setting"),
        _to_user("user_setting"),
    )


def _create_links() -> None:
    op.create_table(
        "link",
        _key("thing_id"),
        _key("user_id"),
        _time("linked_at_ms"),
        sa.PrimaryKeyConstraint("thing_id", name="pk_link"),
        _to_thing("link"),
        _to_user("link"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_link_by_user", "link", ["user_id", "thing_id"])
    op.create_table(
        "thing_epoch",
        _key("thing_id"),
        sa.Column("epoch", sa.Integer, nullable=False),
        _key("user_id"),
        sa.PrimaryKeyConstraint("thing_id", "epoch", name="pk_thing_epoch"),
        _to_thing("thing_epoch"),
        _to_user("thing_epoch"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_thing_epoch_by_user", "thing_epoch", ["user_id", "thing_id", "epoch"])


def _create_link_ids() -> None:
    op.create_table(
        "link_claim",
        _key("app_id"),
        _key("link_id"),
        _key("user_id"),
        _time("expires_at_ms"),
        sa.PrimaryKeyConstraint("app_id", "link_id", "user_id", name="pk_link_claim"),
        sa.ForeignKeyConstraint(["app_id"], ["app.id"], name="fk_link_claim_app_id"),
        _to_user("link_claim"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_link_claim_by_user", "link_claim", ["user_id"])
    op.create_index("ix_link_claim_expiring", "link_claim", ["expires_at_ms"])
    op.create_table(
        "link_offer",
        sa.Column("product_id", sa.Integer, nullable=False),
        _key("link_id"),
        _key("thing_id"),
        _time("expires_at_ms"),
        sa.PrimaryKeyConstraint("product_id", "link_id", "thing_id", name="pk_link_offer"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_link_offer_product_id"),
        _to_thing("link_offer"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_link_offer_by_thing", "link_offer", ["thing_id"])
    op.create_index("ix_link_offer_expiring", "link_offer", ["expires_at_ms"])


def _create_grants() -> None:
    op.create_table(
        "user_grant",
        _key("id"),
        _key("app_id"),
        _key("giver_id"),
        _key("email"),
        sa.Column("link_digest", sa.LargeBinary),
        _time("created_at_ms"),
        _time("expires_at_ms"),
        sa.Column("accepted_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_user_grant"),
        sa.ForeignKeyConstraint(["app_id"], ["app.id"], name="fk_user_grant_app_id"),
        sa.ForeignKeyConstraint(["giver_id"], ["app_user.id"], name="fk_user_grant_giver_id"),
        sa.UniqueConstraint("link_digest", name="uq_user_grant_link_digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_user_grant_by_giver", "user_grant", ["giver_id"])
    op.create_index("ix_user_grant_by_address", "user_grant", ["app_id", "email"])
    op.create_table(
        "grant_entry",
        _key("grant_id"),
        _key("thing_id"),
        _key("resource"),
        sa.Column("rights", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "thing_id", "resource", name="pk_grant_entry"),
        sa.ForeignKeyConstraint(["grant_id"], ["user_grant.id"], name="fk_grant_entry_grant_id"),
        _to_thing("grant_entry"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_grant_entry_by_thing", "grant_entry", ["thing_id"])


def _create_chores() -> None:
    op.create_table(
        "letter",
        _key("id"),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _time("written_at_ms"),
        _time("due_at_ms"),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_letter"),
    )
    op.create_index("ix_letter_due", "letter", ["state", "due_at_ms", "id"])
    op.create_index("ix_letter_written", "letter", ["written_at_ms", "id"])
    op.create_table(
        "purge_epoch",
        _key("thing_id"),
        sa.Column("epoch", sa.Integer, nullable=False),
        _time("noted_at_ms"),
        sa.PrimaryKeyConstraint("thing_id", "epoch", name="pk_purge_epoch"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_purge_epoch_oldest", "purge_epoch", ["noted_at_ms", "thing_id", "epoch"])
    op.create_table(
        "change",
        sa.Column("id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_change"),
        sqlite_autoincrement=True,
    )


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, _key_text(), nullable=False)


def _key_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _to_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=f"fk_{table}_user_id")


def _to_thing(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["thing_id"], ["thing.id"], name=f"fk_{table}_thing_id")
