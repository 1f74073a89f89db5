"""The tables of `core.db`, as SQLAlchemy Core sees them.

They describe what the newest migration leaves behind (a test compares the two); changing one
means writing a migration (`storage/migrations/core/versions`). Times are milliseconds since
1970 in UTC. Tables with a long key have no rowid on SQLite: one tree instead of two.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

FIRST_PRODUCT_ID = 10_001  # five digits from the start, so that no id looks like a count

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)


def key_text() -> TypeEngine[str]:
    """Return the type of texts that are sorted: by code point on every engine."""
    return Text().with_variant(Text(collation="C"), "postgresql")


PRODUCT = Table(
    "product",
    METADATA,
    Column("id", Integer, Identity(start=FIRST_PRODUCT_ID), primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    # The app whose users' link ids its things may meet; NULL, and the first state: none.
    Column("link_app_id", key_text()),
    # Whether a device id that is not known yet makes a thing: 0 or 1.
    Column("is_automatic", Integer, nullable=False, server_default="0"),
    Column("format", Text),
    Column("decoder", Text),
    Column("sealed_udp_key", LargeBinary),
    # Whether its images have to be signed: 0 or 1.
    Column("needs_signature", Integer, nullable=False, server_default="0"),
    # The id of a deleted product must not come back: devices in the field may still use it.
    sqlite_autoincrement=True,
)

ACTIVATION_CODE = Table(
    "activation_code",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("product_id", Integer, ForeignKey(PRODUCT.c.id), nullable=False),
    # NULL once the code is used: only unused codes can be shown again (`rulings.md`).
    Column("sealed", LargeBinary),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger),
    # No foreign key: it is still known which thing a code made when that thing is gone.
    Column("thing_id", key_text()),
    sqlite_with_rowid=False,
)

THING = Table(
    "thing",
    METADATA,
    Column("id", key_text(), primary_key=True),
    Column("product_id", Integer, ForeignKey(PRODUCT.c.id), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    # The one that is written to; every unlink makes it one more.
    Column("epoch", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

THING_TOKEN = Table(
    "thing_token",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("thing_id", key_text(), ForeignKey(THING.c.id), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    sqlite_with_rowid=False,
)

THING_TAG = Table(
    "thing_tag",
    METADATA,
    Column("thing_id", key_text(), ForeignKey(THING.c.id), primary_key=True),
    Column("name", key_text(), primary_key=True),
    Column("created_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

PURGE = Table(
    "purge",
    METADATA,
    Column("thing_id", key_text(), primary_key=True),
    Column("noted_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Epochs of users that were deleted, while their things go on.
PURGE_EPOCH = Table(
    "purge_epoch",
    METADATA,
    Column("thing_id", key_text(), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("noted_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Users that were deleted, whose objects are not yet.
PURGE_USER = Table(
    "purge_user",
    METADATA,
    Column("user_id", key_text(), primary_key=True),
    Column("noted_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What other processes must forget, oldest first; `changes.py` keeps it short.
CHANGE = Table(
    "change",
    METADATA,
    Column("id", Integer, Identity(), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # An id that was trimmed must not come back: whoever saw it would miss what it says now.
    sqlite_autoincrement=True,
)

# Used codes are the many; the partial indexes hold the few that are still listed.
_UNUSED = ACTIVATION_CODE.c.used_at_ms.is_(None)
Index(
    "ix_activation_code_unused",
    ACTIVATION_CODE.c.digest,
    sqlite_where=_UNUSED,
    postgresql_where=_UNUSED,
)
Index(
    "ix_activation_code_unused_by_product",
    ACTIVATION_CODE.c.product_id,
    ACTIVATION_CODE.c.digest,
    sqlite_where=_UNUSED,
    postgresql_where=_UNUSED,
)
Index("ix_thing_by_product", THING.c.product_id, THING.c.id)
Index("ix_thing_token_by_thing", THING_TOKEN.c.thing_id)

# Of a thing's tokens exactly one lasts; the database holds the statements to that.
_LASTING = THING_TOKEN.c.expires_at_ms.is_(None)
Index(
    "ux_thing_token_lasting",
    THING_TOKEN.c.thing_id,
    unique=True,
    sqlite_where=_LASTING,
    postgresql_where=_LASTING,
)
Index("ix_purge_oldest", PURGE.c.noted_at_ms, PURGE.c.thing_id)
Index(
    "ix_purge_epoch_oldest",
    PURGE_EPOCH.c.noted_at_ms,
    PURGE_EPOCH.c.thing_id,
    PURGE_EPOCH.c.epoch,
)
Index("ix_purge_user_oldest", PURGE_USER.c.noted_at_ms, PURGE_USER.c.user_id)
_TAKES_LINK_IDS = PRODUCT.c.link_app_id.is_not(None)
Index(
    "ix_product_by_link_app",
    PRODUCT.c.link_app_id,
    sqlite_where=_TAKES_LINK_IDS,
    postgresql_where=_TAKES_LINK_IDS,
)
