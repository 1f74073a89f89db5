"""The tables of apps, users and what stands for users in `core.db`, and of the mail outbox.

Beside those of `tables.py`, whose conventions hold here too. An address is compared as it is
stored; whoever writes one has brought it into its one form.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.schema import UniqueConstraint

from thingstead.storage.sql.tables import METADATA, key_text

# With a rowid on SQLite, because a row may be long: an app may name many resources.
APP = Table(
    "app",
    METADATA,
    Column("id", key_text(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("resources", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

APP_USER = Table(
    "app_user",
    METADATA,
    Column("id", key_text(), primary_key=True),
    Column("app_id", key_text(), ForeignKey(APP.c.id), nullable=False),
    Column("email", key_text(), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("confirmed_at_ms", BigInteger),
    UniqueConstraint("app_id", "email", name="uq_app_user_app_id_email"),
    sqlite_with_rowid=False,
)

SESSION = Table(
    "session",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("id", key_text(), nullable=False, unique=True),
    Column("user_id", key_text(), ForeignKey(APP_USER.c.id), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("seen_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("label", Text, nullable=False),
    sqlite_with_rowid=False,
)

MAIL_LINK = Table(
    "mail_link",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", key_text(), ForeignKey(APP_USER.c.id), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# One JSON object a user keeps the members' order and makes both limits a count of one text.
USER_SETTING = Table(
    "user_setting",
    METADATA,
    Column("user_id", key_text(), ForeignKey(APP_USER.c.id), primary_key=True),
    Column("members", Text, nullable=False),
)

LETTER = Table(
    "letter",
    METADATA,
    Column("id", key_text(), primary_key=True),
    Column("occasion", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("written_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text),
    Column("state", Text, nullable=False),
)

Index("ix_session_by_user", SESSION.c.user_id)
Index("ix_session_expiring", SESSION.c.expires_at_ms)
Index("ix_mail_link_by_user", MAIL_LINK.c.user_id, MAIL_LINK.c.purpose)
Index("ix_mail_link_expiring", MAIL_LINK.c.expires_at_ms)
Index("ix_letter_due", LETTER.c.state, LETTER.c.due_at_ms, LETTER.c.id)
Index("ix_letter_written", LETTER.c.written_at_ms, LETTER.c.id)
