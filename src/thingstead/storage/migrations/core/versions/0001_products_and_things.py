"""Products, activation codes, things, their tokens and tags, and the purge list.

What the tables are for stands in `storage/sql/tables.py`. A migration says what it did when it
was written, so it names everything itself and imports nothing that may change later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    _create_products()
    _create_things()
    op.create_table(
        "purge",
        sa.Column("thing_id", _key_text(), nullable=False),
        sa.Column("noted_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("thing_id", name="pk_purge"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_purge_oldest", "purge", ["noted_at_ms", "thing_id"])
    installation = op.create_table(
        "installation",
        sa.Column("key", _key_text(), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_installation"),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(installation, [{"key": "changes", "value": 0}])


def _create_products() -> None:
    op.create_table(
        "product",
        sa.Column("id", sa.Integer, sa.Identity(start=10_001), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_product"),
        sa.UniqueConstraint("hash", name="uq_product_hash"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        # SQLite has no starting value; the next id is one more than the last one noted here.
        op.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('product', 10000)")
    op.create_table(
        "activation_code",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("product_id", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("used_at_ms", sa.BigInteger),
        sa.Column("thing_id", _key_text()),
        sa.PrimaryKeyConstraint("digest", name="pk_activation_code"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name="fk_activation_code_product_id"
        ),
        sqlite_with_rowid=False,
    )
    unused = sa.text("used_at_ms IS NULL")
    for name, columns in (
        ("ix_activation_code_unused", ["digest"]),
        ("ix_activation_code_unused_by_product", ["product_id", "digest"]),
    ):
        op.create_index(
            name, "activation_code", columns, sqlite_where=unused, postgresql_where=unused
        )


def _create_things() -> None:
    op.create_table(
        "thing",
        sa.Column("id", _key_text(), nullable=False),
        sa.Column("product_id", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_thing"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_thing_product_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_thing_by_product", "thing", ["product_id", "id"])
    op.create_table(
        "thing_token",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("thing_id", _key_text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("digest", name="pk_thing_token"),
        sa.ForeignKeyConstraint(["thing_id"], ["thing.id"], name="fk_thing_token_thing_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_thing_token_by_thing", "thing_token", ["thing_id"])
    lasting = sa.text("expires_at_ms IS NULL")
    op.create_index(
        "ux_thing_token_lasting",
        "thing_token",
        ["thing_id"],
        unique=True,
        sqlite_where=lasting,
        postgresql_where=lasting,
    )
    op.create_table(
        "thing_tag",
        sa.Column("thing_id", _key_text(), nullable=False),
        sa.Column("name", _key_text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "name", name="pk_thing_tag"),
        sa.ForeignKeyConstraint(["thing_id"], ["thing.id"], name="fk_thing_tag_thing_id"),
        sqlite_with_rowid=False,
    )


def _key_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
