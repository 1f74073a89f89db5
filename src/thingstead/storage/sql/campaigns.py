"""Campaigns in SQL: the port `CampaignStore`. Knows no engine (`database.py`).

Every change is announced in the transaction that makes it. How things join stands in
`campaign_things.py`.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import insert, or_, select, update

from thingstead.features.campaigns.model import (
    OFFERING,
    Campaign,
    CampaignPlan,
    CampaignState,
    RingCount,
    Target,
)
from thingstead.features.campaigns.ports import Candidate, Joining
from thingstead.features.firmware.model import Firmware, FirmwareState, Update, UpdateState
from thingstead.kernel.ids import CampaignId, FirmwareId, ProductId, ThingId
from thingstead.storage.sql.campaign_things import (
    COUNTS,
    counts_of,
    join_things,
    members_of,
    overdue_of,
    selected,
)
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.firmware_rows import (
    campaign_of,
    change_of_state,
    plan_text,
    update_of,
)
from thingstead.storage.sql.firmware_tables import CAMPAIGN, FIRMWARE, HAS_NOT_ENDED, IS_AT_WORK
from thingstead.storage.sql.firmwares import announce_firmware
from thingstead.storage.sql.tables import THING

# How many bound values a statement may have differs by engine; 32,766 is the least.
_AT_ONCE = 1_000


class SQLCampaignStore:
    """Keeps campaigns and lists their things."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, campaign_id: CampaignId, plan: CampaignPlan, firmware: Firmware, *, at_ms: int
    ) -> Campaign | None:
        """Store a campaign in state PREPARING; None when its image has one that has not ended."""
        held = select(FIRMWARE.c.id).where(FIRMWARE.c.id == plan.firmware_id).with_for_update()
        lasting = select(CAMPAIGN.c.number).where(
            CAMPAIGN.c.firmware_id == plan.firmware_id, HAS_NOT_ENDED
        )
        added = (
            insert(CAMPAIGN)
            .values(
                id=campaign_id,
                product_id=firmware.product_id,
                mcu=firmware.mcu,
                firmware_id=plan.firmware_id,
                plan=plan_text(plan),
                state=CampaignState.PREPARING.value,
                reason="",
                open_ring=0,
                ring_opened_at_ms=at_ms,
                forgiven_failures=0,
                forgiven_ended=0,
                created_at_ms=at_ms,
                changed_at_ms=at_ms,
                revision=1,
            )
            .returning(*CAMPAIGN.columns)
        )
        async with self._database.writing() as connection:
            await connection.execute(held)
            if (await connection.execute(lasting)).one_or_none() is not None:
                return None
            row = (await connection.execute(added)).one()
            await announce_firmware(connection, firmware.product_id)
        return campaign_of(row)

    async def get(self, campaign_id: CampaignId) -> Campaign | None:
        """Return the campaign."""
        statement = select(CAMPAIGN).where(CAMPAIGN.c.id == campaign_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else campaign_of(row)

    async def page(
        self, product_id: ProductId | None, *, after: CampaignId | None, limit: int
    ) -> list[Campaign]:
        """Return at most `limit` campaigns, newest first, those older than `after` only."""
        statement = (
            # Numbers begin at 1; the bound makes this a search in the key.
            select(CAMPAIGN)
            .where(CAMPAIGN.c.number > 0)
            .order_by(CAMPAIGN.c.number.desc())
            .limit(limit)
        )
        if product_id is not None:
            statement = statement.where(CAMPAIGN.c.product_id == product_id)
        if after is not None:
            other = CAMPAIGN.alias("other")
            number = select(other.c.number).where(other.c.id == after).scalar_subquery()
            statement = statement.where(CAMPAIGN.c.number < number)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [campaign_of(row) for row in rows]

    async def at_work(self) -> list[Campaign]:
        """Return those that are PREPARING or RUNNING, the oldest first."""
        statement = (
            select(CAMPAIGN).where(IS_AT_WORK, CAMPAIGN.c.number > 0).order_by(CAMPAIGN.c.number)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [campaign_of(row) for row in rows]

    async def change(self, campaign: Campaign, *, publishes: bool = False) -> Campaign | None:
        """Store what of a campaign changes (see the port); None when it changed meanwhile.

        `revision` is that of the campaign it was made from. With `publishes`, a draft image is
        published in the same transaction.
        """
        changed = (
            update(CAMPAIGN)
            .where(CAMPAIGN.c.id == campaign.id, CAMPAIGN.c.revision == campaign.revision)
            .values(
                state=campaign.state.value,
                reason=campaign.reason,
                open_ring=campaign.open_ring,
                ring_opened_at_ms=campaign.ring_opened_at_ms,
                forgiven_failures=campaign.forgiven_failures,
                forgiven_ended=campaign.forgiven_ended,
                resumed_at_ms=campaign.resumed_at_ms,
                prepared_to=campaign.prepared_to,
                changed_at_ms=campaign.changed_at_ms,
                revision=campaign.revision + 1,
            )
            .returning(*CAMPAIGN.columns)
        )
        published = change_of_state(FirmwareState.PUBLISHED, campaign.changed_at_ms).where(
            FIRMWARE.c.id == campaign.firmware_id, FIRMWARE.c.state == FirmwareState.DRAFT.value
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(changed)).one_or_none()
            if row is None:
                return None
            if publishes:
                await connection.execute(published)
            await announce_firmware(connection, campaign.product_id)
        return campaign_of(row)

    async def candidates(
        self,
        product_id: ProductId,
        mcu: str,
        target: Target,
        *,
        after: ThingId | None,
        limit: int,
    ) -> list[Candidate]:
        """Return things that the target selects, ascending by id."""
        statement = (
            selected(product_id, mcu, target)
            .where(THING.c.id > (after or ""))
            .order_by(THING.c.id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [Candidate(ThingId(row.id), row.version) for row in rows]

    async def selects(
        self, product_id: ProductId, mcu: str, target: Target, thing_id: ThingId
    ) -> bool:
        """Return whether the target selects that thing."""
        statement = selected(product_id, mcu, target).where(THING.c.id == thing_id)
        async with self._database.reading() as connection:
            return (await connection.execute(statement)).one_or_none() is not None

    async def join(self, campaign: Campaign, things: Sequence[Joining], *, at_ms: int) -> None:
        """Make the things targets, durably: an `Update` in state WAITING or CURRENT for each.

        A thing that has an update to the image keeps its state, and belongs to this campaign
        and ring from now on; one that is a target of it already is left as it is, one that was
        deleted left out. The timeline of each that joins says so.
        """
        first = {joining.thing_id: joining for joining in reversed(things)}
        joining_things = list(first.values())[::-1]
        if not joining_things:
            return
        async with self._database.writing() as connection:
            joined = 0
            for start in range(0, len(joining_things), _AT_ONCE):
                some = joining_things[start : start + _AT_ONCE]
                joined += await join_things(connection, campaign, some, at_ms)
            if joined:
                await announce_firmware(connection, campaign.product_id)

    async def counts(self, campaign_id: CampaignId) -> Mapping[int, RingCount]:
        """Return the counts of each ring that has things."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(COUNTS, {"of_campaign": campaign_id})).all()
        return counts_of(rows)

    async def members(
        self,
        campaign_id: CampaignId,
        *,
        states: Sequence[UpdateState],
        after: ThingId | None,
        limit: int,
    ) -> list[Update]:
        """Return updates of the campaign, ascending by thing; without states, all."""
        statement = members_of(campaign_id, states, after).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [update_of(row) for row in rows]

    async def overdue(self, campaign_id: CampaignId, *, before_ms: int, limit: int) -> list[Update]:
        """Return updates that are under way and were last changed before that time.

        Those that were changed longest ago come first.
        """
        statement = overdue_of(campaign_id, before_ms).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [update_of(row) for row in rows]

    async def earlier(self, firmware: Firmware) -> FirmwareId | None:
        """Return the published image of product and MCU with the largest sequence below it.

        Not one whose newest campaign does not offer it: it may be bad as well.
        """
        newest_state = (
            select(CAMPAIGN.c.state)
            .where(CAMPAIGN.c.firmware_id == FIRMWARE.c.id)
            .order_by(CAMPAIGN.c.number.desc())
            .limit(1)
            .scalar_subquery()
        )
        statement = (
            select(FIRMWARE.c.id)
            .where(
                FIRMWARE.c.product_id == firmware.product_id,
                FIRMWARE.c.mcu == firmware.mcu,
                FIRMWARE.c.sequence < firmware.sequence,
                FIRMWARE.c.state == FirmwareState.PUBLISHED.value,
                or_(
                    newest_state.is_(None),
                    newest_state.in_([state.value for state in OFFERING]),
                ),
            )
            .order_by(FIRMWARE.c.sequence.desc())
            .limit(1)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(statement)).scalar_one_or_none()
        return None if found is None else FirmwareId(found)
