"""The tables of firmware: images, keys, campaigns, updates, what things run, and timelines.

Beside those of `tables.py`, whose conventions hold here too. Partial indexes hold the few rows
that are looked for again and again; SQLite uses one only where a statement repeats its
condition word for word, which the conditions at the end are for.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    bindparam,
)
from sqlalchemy.schema import UniqueConstraint

from thingstead.features.campaigns.model import ENDED, CampaignState
from thingstead.features.firmware.model import UNDER_WAY, FirmwareState
from thingstead.storage.sql.tables import METADATA, PRODUCT, THING, key_text

FIRMWARE = Table(
    "firmware",
    METADATA,
    Column("number", Integer, Identity(), primary_key=True),
    Column("id", key_text(), nullable=False, unique=True),
    Column("product_id", Integer, ForeignKey(PRODUCT.c.id), nullable=False),
    Column("mcu", key_text(), nullable=False),
    Column("version", key_text(), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("state", key_text(), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("sha1", LargeBinary, nullable=False),
    Column("md5", LargeBinary, nullable=False),
    Column("filename", Text, nullable=False),
    # What the image says about itself.
    Column("image_kind", Text, nullable=False),
    Column("image_version", Text),
    Column("image_project", Text),
    Column("image_chip", Text),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("published_at_ms", BigInteger),
    Column("notes", Text),
    Column("min_version", Text),
    # Both 0 or 1.
    Column("is_mandatory", Integer, nullable=False),
    Column("is_revert", Integer, nullable=False),
    Column("not_before_ms", BigInteger),
    Column("expires_at_ms", BigInteger),
    # All three NULL when it is not signed.
    Column("signature_key_id", Text),
    Column("signature_algorithm", Text),
    Column("signature", LargeBinary),
    UniqueConstraint("product_id", "mcu", "sequence", name="uq_firmware_product_id"),
    # Agents in the field know images by their number.
    sqlite_autoincrement=True,
)

FIRMWARE_KEY = Table(
    "firmware_key",
    METADATA,
    Column("product_id", Integer, ForeignKey(PRODUCT.c.id), primary_key=True),
    Column("id", key_text(), primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("public_der", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
    sqlite_with_rowid=False,
)

CAMPAIGN = Table(
    "campaign",
    METADATA,
    # The order of their making, which a clock that was put back does not change.
    Column("number", Integer, Identity(), primary_key=True),
    Column("id", key_text(), nullable=False, unique=True),
    Column("product_id", Integer, ForeignKey(PRODUCT.c.id), nullable=False),
    Column("mcu", key_text(), nullable=False),
    Column("firmware_id", key_text(), ForeignKey(FIRMWARE.c.id), nullable=False),
    # The rest of the plan, as JSON: it never changes and nothing in it is searched for.
    Column("plan", Text, nullable=False),
    Column("state", key_text(), nullable=False),
    Column("reason", Text, nullable=False),
    Column("open_ring", Integer, nullable=False),
    Column("ring_opened_at_ms", BigInteger, nullable=False),
    Column("forgiven_failures", Integer, nullable=False),
    Column("forgiven_ended", Integer, nullable=False),
    # When an operator had it go on after a pause or halt (`Campaign.resumed_at_ms`).
    Column("resumed_at_ms", BigInteger),
    Column("prepared_to", key_text()),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    sqlite_autoincrement=True,
)

FIRMWARE_UPDATE = Table(
    "firmware_update",
    METADATA,
    Column("action", Integer, Identity(), primary_key=True),
    Column("thing_id", key_text(), ForeignKey(THING.c.id), nullable=False),
    Column("firmware_id", key_text(), ForeignKey(FIRMWARE.c.id), nullable=False),
    # Product and MCU are those of the image, which keep theirs.
    Column("product_id", Integer, nullable=False),
    Column("mcu", key_text(), nullable=False),
    Column("campaign_id", key_text(), ForeignKey(CAMPAIGN.c.id)),
    Column("ring", Integer, nullable=False),
    Column("state", key_text(), nullable=False),
    Column("reason", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("offered_at_ms", BigInteger),
    Column("begun_at_ms", BigInteger),
    Column("downloaded_at_ms", BigInteger),
    Column("reported_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    UniqueConstraint("thing_id", "firmware_id", name="uq_firmware_update_thing_id"),
    # Agents in the field know updates by their action, and take one they know for done.
    sqlite_autoincrement=True,
)

FIRMWARE_RUNNING = Table(
    "firmware_running",
    METADATA,
    Column("thing_id", key_text(), ForeignKey(THING.c.id), primary_key=True),
    Column("mcu", key_text(), primary_key=True),
    Column("version", key_text(), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("seen_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The timelines: `number` counts the entries of its thing, so that it tells which are too old.
FIRMWARE_EVENT = Table(
    "firmware_event",
    METADATA,
    Column("thing_id", key_text(), ForeignKey(THING.c.id), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # No foreign keys: an entry only tells what happened.
    Column("firmware_id", key_text()),
    Column("campaign_id", key_text()),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_with_rowid=False,
)


def _is_one_of(column: Column[str], states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Return the condition with the states in its text, not bound: see above."""
    names = sorted(state.value for state in states)
    return column.in_(bindparam(None, names, expanding=True, literal_execute=True))


IS_OFFERABLE = _is_one_of(
    FIRMWARE.c.state, [state for state in FirmwareState if state is not FirmwareState.DRAFT]
)
IS_AT_WORK = _is_one_of(CAMPAIGN.c.state, [CampaignState.PREPARING, CampaignState.RUNNING])
HAS_NOT_ENDED = _is_one_of(
    CAMPAIGN.c.state, [state for state in CampaignState if state not in ENDED]
)
IS_UNDER_WAY = _is_one_of(FIRMWARE_UPDATE.c.state, UNDER_WAY)
IS_OF_A_CAMPAIGN = FIRMWARE_UPDATE.c.campaign_id.is_not(None)


def _partial_index(
    name: str, condition: ColumnElement[bool], *columns: Column[Any], is_unique: bool = False
) -> None:
    Index(name, *columns, unique=is_unique, sqlite_where=condition, postgresql_where=condition)


# One version is published once; bringing its bytes back is told by its name.
_partial_index(
    "ux_firmware_version",
    FIRMWARE.c.is_revert == 0,
    FIRMWARE.c.product_id,
    FIRMWARE.c.mcu,
    FIRMWARE.c.version,
    is_unique=True,
)
Index(
    "ix_firmware_by_version",
    FIRMWARE.c.product_id,
    FIRMWARE.c.mcu,
    FIRMWARE.c.version,
    FIRMWARE.c.number,
)
Index("ix_firmware_by_product", FIRMWARE.c.product_id, FIRMWARE.c.number)
Index("ix_firmware_by_digest", FIRMWARE.c.sha256)
Index(
    "ix_firmware_key_oldest",
    FIRMWARE_KEY.c.product_id,
    FIRMWARE_KEY.c.created_at_ms,
    FIRMWARE_KEY.c.id,
)
_partial_index(
    "ix_firmware_offerable",
    IS_OFFERABLE,
    FIRMWARE.c.product_id,
    FIRMWARE.c.sequence,
    FIRMWARE.c.number,
)

# An image is in one campaign at a time.
_partial_index("ux_campaign_lasting", HAS_NOT_ENDED, CAMPAIGN.c.firmware_id, is_unique=True)
_partial_index("ix_campaign_at_work", IS_AT_WORK, CAMPAIGN.c.number)
Index("ix_campaign_by_firmware", CAMPAIGN.c.firmware_id, CAMPAIGN.c.number)
Index("ix_campaign_by_product", CAMPAIGN.c.product_id, CAMPAIGN.c.number)

_partial_index("ix_firmware_update_under_way", IS_UNDER_WAY, FIRMWARE_UPDATE.c.action)
_partial_index(
    "ix_firmware_update_overdue",
    IS_UNDER_WAY,
    FIRMWARE_UPDATE.c.campaign_id,
    FIRMWARE_UPDATE.c.changed_at_ms,
    FIRMWARE_UPDATE.c.action,
)
# The state stands in both, so that neither counting nor looking for few states touches the rows.
_partial_index(
    "ix_firmware_update_by_campaign",
    IS_OF_A_CAMPAIGN,
    FIRMWARE_UPDATE.c.campaign_id,
    FIRMWARE_UPDATE.c.thing_id,
    FIRMWARE_UPDATE.c.state,
)
_partial_index(
    "ix_firmware_update_counting",
    IS_OF_A_CAMPAIGN,
    FIRMWARE_UPDATE.c.campaign_id,
    FIRMWARE_UPDATE.c.ring,
    FIRMWARE_UPDATE.c.state,
    FIRMWARE_UPDATE.c.failures,
)
