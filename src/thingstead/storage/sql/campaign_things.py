"""The things of campaigns: who is selected, how they join, and what became of them.

Statements for `campaigns.py`, and joining as part of its transaction.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Select, and_, bindparam, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.campaigns.model import Campaign, RingCount, Target
from thingstead.features.campaigns.ports import Joining
from thingstead.features.firmware.model import Update, UpdateEvent, UpdateState
from thingstead.kernel.ids import CampaignId, ProductId
from thingstead.storage.sql.firmware_rows import FirmwareRow
from thingstead.storage.sql.firmware_tables import (
    FIRMWARE_RUNNING,
    FIRMWARE_UPDATE,
    IS_UNDER_WAY,
)
from thingstead.storage.sql.firmware_writes import add_updates, hold_things, note_events
from thingstead.storage.sql.tables import THING, THING_TAG

_RUNS_ALREADY = "runs the version, or a newer one, already"

_IS_FAILED = and_(
    FIRMWARE_UPDATE.c.failures > 0, FIRMWARE_UPDATE.c.state != UpdateState.SUCCEEDED.value
)
COUNTS = (
    select(
        FIRMWARE_UPDATE.c.ring,
        FIRMWARE_UPDATE.c.state,
        func.count().label("things"),
        func.sum(case((_IS_FAILED, 1), else_=0)).label("failed"),
    )
    .where(FIRMWARE_UPDATE.c.campaign_id == bindparam("of_campaign"))
    .group_by(FIRMWARE_UPDATE.c.ring, FIRMWARE_UPDATE.c.state)
)
"""The things of the campaign `of_campaign` by ring and state."""

_MOVE = (
    update(FIRMWARE_UPDATE)
    .where(
        FIRMWARE_UPDATE.c.thing_id == bindparam("of_thing"),
        FIRMWARE_UPDATE.c.firmware_id == bindparam("to_firmware"),
    )
    .values(
        campaign_id=bindparam("new_campaign"),
        ring=bindparam("new_ring"),
        revision=FIRMWARE_UPDATE.c.revision + 1,
    )
)


def selected(product_id: ProductId, mcu: str, target: Target) -> Select[tuple[str, str]]:
    """Return the statement for the things that the target selects, with their versions."""
    statement = (
        select(THING.c.id, FIRMWARE_RUNNING.c.version)
        .outerjoin(
            FIRMWARE_RUNNING,
            and_(FIRMWARE_RUNNING.c.thing_id == THING.c.id, FIRMWARE_RUNNING.c.mcu == mcu),
        )
        .where(THING.c.product_id == product_id)
    )
    if target.tags:
        tagged = select(THING_TAG.c.name).where(
            THING_TAG.c.thing_id == THING.c.id, THING_TAG.c.name.in_(target.tags)
        )
        statement = statement.where(tagged.exists())
    if target.versions:
        statement = statement.where(FIRMWARE_RUNNING.c.version.in_(target.versions))
    return statement


def members_of(
    campaign_id: CampaignId, states: Sequence[UpdateState], after: str | None
) -> Select[*tuple[object, ...]]:
    """Return the statement for the campaign's updates, ascending by thing."""
    statement = (
        select(FIRMWARE_UPDATE)
        .where(
            FIRMWARE_UPDATE.c.campaign_id == campaign_id,
            FIRMWARE_UPDATE.c.thing_id > (after or ""),
        )
        .order_by(FIRMWARE_UPDATE.c.thing_id)
    )
    if not states:
        return statement
    return statement.where(FIRMWARE_UPDATE.c.state.in_([state.value for state in states]))


def overdue_of(campaign_id: CampaignId, before_ms: int) -> Select[*tuple[object, ...]]:
    """Return the statement for updates that have not changed for too long."""
    return (
        select(FIRMWARE_UPDATE)
        .where(
            IS_UNDER_WAY,
            FIRMWARE_UPDATE.c.campaign_id == campaign_id,
            FIRMWARE_UPDATE.c.changed_at_ms < before_ms,
        )
        .order_by(FIRMWARE_UPDATE.c.changed_at_ms, FIRMWARE_UPDATE.c.action)
    )


def counts_of(rows: Sequence[FirmwareRow]) -> Mapping[int, RingCount]:
    """Return what `COUNTS` found, by ring."""
    states: dict[int, dict[UpdateState, int]] = defaultdict(dict)
    failed: Counter[int] = Counter()
    for row in rows:
        states[row.ring][UpdateState(row.state)] = row.things
        failed[row.ring] += row.failed
    return {ring: RingCount(counts, failed[ring]) for ring, counts in states.items()}


async def join_things(
    connection: AsyncConnection, campaign: Campaign, things: Sequence[Joining], at_ms: int
) -> int:
    """Make the things, each there once, targets; return how many were not before."""
    held = await hold_things(connection, [joining.thing_id for joining in things])
    of_firmware = select(FIRMWARE_UPDATE.c.thing_id, FIRMWARE_UPDATE.c.campaign_id).where(
        FIRMWARE_UPDATE.c.thing_id.in_(sorted(held)),
        FIRMWARE_UPDATE.c.firmware_id == campaign.firmware_id,
    )
    kept = {row.thing_id: row.campaign_id for row in await connection.execute(of_firmware)}
    joins = [
        joining
        for joining in things
        if joining.thing_id in held and kept.get(joining.thing_id, "") != campaign.id
    ]
    added = [_update(campaign, one, at_ms) for one in joins if one.thing_id not in kept]
    moved = [_move(campaign, one) for one in joins if one.thing_id in kept]
    await add_updates(connection, added)
    if moved:
        await connection.execute(_MOVE, moved)
    reasons = {one.thing_id: one.reason for one in added}
    await note_events(
        connection,
        [
            UpdateEvent(
                one.thing_id,
                campaign.firmware_id,
                campaign.id,
                at_ms,
                "joined",
                reasons.get(one.thing_id, ""),
            )
            for one in joins
        ],
    )
    return len(joins)


def _update(campaign: Campaign, joining: Joining, at_ms: int) -> Update:
    return Update(
        thing_id=joining.thing_id,
        firmware_id=campaign.firmware_id,
        product_id=campaign.product_id,
        mcu=campaign.mcu,
        campaign_id=campaign.id,
        ring=joining.ring,
        state=UpdateState.CURRENT if joining.is_current else UpdateState.WAITING,
        reason=_RUNS_ALREADY if joining.is_current else "",
        ended_at_ms=at_ms if joining.is_current else None,
        changed_at_ms=at_ms,
        revision=1,
    )


def _move(campaign: Campaign, joining: Joining) -> dict[str, object]:
    return {
        "of_thing": joining.thing_id,
        "to_firmware": campaign.firmware_id,
        "new_campaign": campaign.id,
        "new_ring": joining.ring,
    }
