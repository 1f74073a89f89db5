"""The tables of messaging sessions that outlive their connection, and of what waits in them.

Beside those of `tables.py`, whose conventions hold here too. Client ids, filters and topics may
hold tokens, so they lie here sealed and are found by their digests.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Integer, LargeBinary, Table
from sqlalchemy.schema import UniqueConstraint

from thingstead.storage.sql.tables import METADATA, key_text

# With a rowid on SQLite, because a client id may be long.
KEPT_SESSION = Table(
    "kept_session",
    METADATA,
    Column("id", key_text(), primary_key=True),
    Column("holder_kind", key_text(), nullable=False),
    # No foreign key: things and users are in different tables; what deletes them deletes these.
    Column("holder_id", key_text(), nullable=False),
    Column("client_digest", LargeBinary, nullable=False),
    Column("sealed_client_id", LargeBinary, nullable=False),
    Column("expires_after_s", BigInteger, nullable=False),
    # NULL while the client is connected.
    Column("expires_at_ms", BigInteger),
    # How much waits in it, so that no message needs counting.
    Column("waiting", Integer, nullable=False, server_default="0"),
    Column("waiting_bytes", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint(
        "holder_kind", "holder_id", "client_digest", name="uq_kept_session_holder_kind"
    ),
)

KEPT_SUBSCRIPTION = Table(
    "kept_subscription",
    METADATA,
    Column("session_id", key_text(), ForeignKey(KEPT_SESSION.c.id), primary_key=True),
    Column("filter_digest", LargeBinary, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("sealed_filter", LargeBinary, nullable=False),
    Column("options", Integer, nullable=False),
    # NULL when values that were missed are not wanted.
    Column("after_sequence", BigInteger),
    sqlite_with_rowid=False,
)

WAITING_MESSAGE = Table(
    "waiting_message",
    METADATA,
    Column("number", Integer, Identity(), primary_key=True),
    Column("session_id", key_text(), ForeignKey(KEPT_SESSION.c.id), nullable=False),
    Column("size", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("sealed_topic", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    # A number that was delivered must not come back: what is behind it is yet to be delivered.
    sqlite_autoincrement=True,
)

# Sessions that were deleted, whose deliveries (in `values.db`) are not yet.
PURGE_KEPT_SESSION = Table(
    "purge_kept_session",
    METADATA,
    Column("session_id", key_text(), primary_key=True),
    sqlite_with_rowid=False,
)

Index("ix_kept_session_expiring", KEPT_SESSION.c.expires_at_ms)
Index(
    "ix_waiting_message_by_session",
    WAITING_MESSAGE.c.session_id,
    WAITING_MESSAGE.c.number,
    WAITING_MESSAGE.c.size,
)
