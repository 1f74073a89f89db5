"""Images for micro-controllers, campaigns, updates of things, and what products demand of images.

What tables and columns are for stands in `storage/sql/firmware_tables.py` and
`storage/sql/tables.py`. A migration says what it did when it was written, so it names
everything itself and imports nothing that may change later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_OFFERABLE = "state IN ('deprecated', 'published', 'revoked')"
_AT_WORK = "state IN ('preparing', 'running')"
_NOT_ENDED = "state IN ('finished', 'halted', 'paused', 'preparing', 'running')"
_UNDER_WAY = "state IN ('downloaded', 'downloading', 'installing', 'reported')"


def upgrade() -> None:
    """Make the tables and the column; products of an earlier version demand no signature."""
    op.add_column(
        "product", sa.Column("needs_signature", sa.Integer, nullable=False, server_default="0")
    )
    _make_firmware()
    _make_keys()
    _make_campaigns()
    _make_updates()
    _make_histories()


def _make_firmware() -> None:
    op.create_table(
        "firmware",
        sa.Column("number", sa.Integer, sa.Identity(), nullable=False),
        *_needed_texts("id"),
        sa.Column("product_id", sa.Integer, nullable=False),
        *_needed_texts("mcu", "version"),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        *_needed_texts("state"),
        sa.Column("size", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("sha256", "sha1", "md5")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("filename", "image_kind")),
        *(sa.Column(f"image_{name}", sa.Text) for name in ("version", "project", "chip")),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("published_at_ms", sa.BigInteger),
        sa.Column("notes", sa.Text),
        sa.Column("min_version", sa.Text),
        sa.Column("is_mandatory", sa.Integer, nullable=False),
        sa.Column("is_revert", sa.Integer, nullable=False),
        sa.Column("not_before_ms", sa.BigInteger),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("signature_key_id", sa.Text),
        sa.Column("signature_algorithm", sa.Text),
        sa.Column("signature", sa.LargeBinary),
        sa.PrimaryKeyConstraint("number", name="pk_firmware"),
        sa.UniqueConstraint("id", name="uq_firmware_id"),
        sa.UniqueConstraint("product_id", "mcu", "sequence", name="uq_firmware_product_id"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_firmware_product_id"),
        sqlite_autoincrement=True,
    )
    version = ["product_id", "mcu", "version"]
    _make_partial_index("ux_firmware_version", "firmware", version, "is_revert = 0", unique=True)
    op.create_index("ix_firmware_by_version", "firmware", [*version, "number"])
    op.create_index("ix_firmware_by_product", "firmware", ["product_id", "number"])
    op.create_index("ix_firmware_by_digest", "firmware", ["sha256"])
    _make_partial_index(
        "ix_firmware_offerable", "firmware", ["product_id", "sequence", "number"], _OFFERABLE
    )


def _make_keys() -> None:
    op.create_table(
        "firmware_key",
        sa.Column("product_id", sa.Integer, nullable=False),
        *_needed_texts("id"),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("public_der", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("product_id", "id", name="pk_firmware_key"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_firmware_key_product_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_firmware_key_oldest", "firmware_key", ["product_id", "created_at_ms", "id"])


def _make_campaigns() -> None:
    op.create_table(
        "campaign",
        sa.Column("number", sa.Integer, sa.Identity(), nullable=False),
        *_needed_texts("id"),
        sa.Column("product_id", sa.Integer, nullable=False),
        *_needed_texts("mcu", "firmware_id"),
        sa.Column("plan", sa.Text, nullable=False),
        *_needed_texts("state"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("open_ring", sa.Integer, nullable=False),
        sa.Column("ring_opened_at_ms", sa.BigInteger, nullable=False),
        sa.Column("forgiven_failures", sa.Integer, nullable=False),
        sa.Column("forgiven_ended", sa.Integer, nullable=False),
        sa.Column("resumed_at_ms", sa.BigInteger),
        sa.Column("prepared_to", _key_text()),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_campaign"),
        sa.UniqueConstraint("id", name="uq_campaign_id"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_campaign_product_id"),
        sa.ForeignKeyConstraint(["firmware_id"], ["firmware.id"], name="fk_campaign_firmware_id"),
        sqlite_autoincrement=True,
    )
    _make_partial_index("ux_campaign_lasting", "campaign", ["firmware_id"], _NOT_ENDED, unique=True)
    _make_partial_index("ix_campaign_at_work", "campaign", ["number"], _AT_WORK)
    op.create_index("ix_campaign_by_firmware", "campaign", ["firmware_id", "number"])
    op.create_index("ix_campaign_by_product", "campaign", ["product_id", "number"])


def _make_updates() -> None:
    table = "firmware_update"
    times = ("offered", "begun", "downloaded", "reported", "ended")
    op.create_table(
        table,
        sa.Column("action", sa.Integer, sa.Identity(), nullable=False),
        *_needed_texts("thing_id", "firmware_id"),
        sa.Column("product_id", sa.Integer, nullable=False),
        *_needed_texts("mcu"),
        sa.Column("campaign_id", _key_text()),
        sa.Column("ring", sa.Integer, nullable=False),
        *_needed_texts("state"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        *(sa.Column(f"{name}_at_ms", sa.BigInteger) for name in times),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("action", name=f"pk_{table}"),
        sa.UniqueConstraint("thing_id", "firmware_id", name=f"uq_{table}_thing_id"),
        *(
            sa.ForeignKeyConstraint([f"{other}_id"], [f"{other}.id"], name=f"fk_{table}_{other}_id")
            for other in ("thing", "firmware", "campaign")
        ),
        sqlite_autoincrement=True,
    )
    _make_partial_index("ix_firmware_update_under_way", table, ["action"], _UNDER_WAY)
    overdue = ["campaign_id", "changed_at_ms", "action"]
    _make_partial_index("ix_firmware_update_overdue", table, overdue, _UNDER_WAY)
    for name, columns in (
        ("by_campaign", ["campaign_id", "thing_id", "state"]),
        ("counting", ["campaign_id", "ring", "state", "failures"]),
    ):
        condition = "campaign_id IS NOT NULL"
        _make_partial_index(f"ix_firmware_update_{name}", table, columns, condition)


def _make_histories() -> None:
    op.create_table(
        "firmware_running",
        *_needed_texts("thing_id", "mcu", "version"),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "mcu", name="pk_firmware_running"),
        sa.ForeignKeyConstraint(["thing_id"], ["thing.id"], name="fk_firmware_running_thing_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "firmware_event",
        *_needed_texts("thing_id"),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("firmware_id", _key_text()),
        sa.Column("campaign_id", _key_text()),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "number", name="pk_firmware_event"),
        sa.ForeignKeyConstraint(["thing_id"], ["thing.id"], name="fk_firmware_event_thing_id"),
        sqlite_with_rowid=False,
    )


def _make_partial_index(
    name: str, table: str, columns: list[str], condition: str, *, unique: bool = False
) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _needed_texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _key_text(), nullable=False) for name in names]


def _key_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
