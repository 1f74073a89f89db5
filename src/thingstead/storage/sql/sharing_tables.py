"""The tables of links, link ids and grants in `core.db`: who owns what, and who else may use it.

Beside those of `tables.py`, whose conventions hold here too.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table

from thingstead.storage.sql.tables import METADATA, PRODUCT, THING, key_text
from thingstead.storage.sql.user_tables import APP, APP_USER

LINK = Table(
    "link",
    METADATA,
    Column("thing_id", key_text(), ForeignKey(THING.c.id), primary_key=True),
    Column("user_id", key_text(), ForeignKey(APP_USER.c.id), nullable=False),
    Column("linked_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Whose an epoch is; one without a row belongs to whoever links the thing next.
THING_EPOCH = Table(
    "thing_epoch",
    METADATA,
    Column("thing_id", key_text(), ForeignKey(THING.c.id), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("user_id", key_text(), ForeignKey(APP_USER.c.id), nullable=False),
    sqlite_with_rowid=False,
)

# Link ids that users presented, and those that things did.
LINK_CLAIM = Table(
    "link_claim",
    METADATA,
    Column("app_id", key_text(), ForeignKey(APP.c.id), primary_key=True),
    Column("link_id", key_text(), primary_key=True),
    Column("user_id", key_text(), ForeignKey(APP_USER.c.id), primary_key=True),
    Column("expires_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
LINK_OFFER = Table(
    "link_offer",
    METADATA,
    Column("product_id", Integer, ForeignKey(PRODUCT.c.id), primary_key=True),
    Column("link_id", key_text(), primary_key=True),
    Column("thing_id", key_text(), ForeignKey(THING.c.id), primary_key=True),
    Column("expires_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# To an address, not to a user: a grant waits for an address that nobody has registered yet.
USER_GRANT = Table(
    "user_grant",
    METADATA,
    Column("id", key_text(), primary_key=True),
    Column("app_id", key_text(), ForeignKey(APP.c.id), nullable=False),
    Column("giver_id", key_text(), ForeignKey(APP_USER.c.id), nullable=False),
    Column("email", key_text(), nullable=False),
    # NULL once the mail's link is used.
    Column("link_digest", LargeBinary, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("accepted_at_ms", BigInteger),
    sqlite_with_rowid=False,
)
GRANT_ENTRY = Table(
    "grant_entry",
    METADATA,
    Column("grant_id", key_text(), ForeignKey(USER_GRANT.c.id), primary_key=True),
    Column("thing_id", key_text(), ForeignKey(THING.c.id), primary_key=True),
    Column("resource", key_text(), primary_key=True),
    # The sum of `features/sharing/model.py`, Rights.
    Column("rights", Integer, nullable=False),
    sqlite_with_rowid=False,
)

Index("ix_link_by_user", LINK.c.user_id, LINK.c.thing_id)
Index("ix_thing_epoch_by_user", THING_EPOCH.c.user_id, THING_EPOCH.c.thing_id, THING_EPOCH.c.epoch)
Index("ix_link_claim_by_user", LINK_CLAIM.c.user_id)
Index("ix_link_claim_expiring", LINK_CLAIM.c.expires_at_ms)
Index("ix_link_offer_by_thing", LINK_OFFER.c.thing_id)
Index("ix_link_offer_expiring", LINK_OFFER.c.expires_at_ms)
Index("ix_user_grant_by_giver", USER_GRANT.c.giver_id)
Index("ix_user_grant_by_address", USER_GRANT.c.app_id, USER_GRANT.c.email)
Index("ix_grant_entry_by_place", GRANT_ENTRY.c.thing_id, GRANT_ENTRY.c.resource)
