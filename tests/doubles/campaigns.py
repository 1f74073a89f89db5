"""Campaigns in memory."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from doubles.organisation import Organisation
from thingstead.features.campaigns.model import (
    ENDED,
    OFFERING,
    Campaign,
    CampaignPlan,
    CampaignState,
    RingCount,
    Target,
)
from thingstead.features.campaigns.ports import Candidate, Joining
from thingstead.features.firmware.model import (
    UNDER_WAY,
    Firmware,
    FirmwareState,
    Update,
    UpdateEvent,
    UpdateState,
)
from thingstead.kernel.ids import CampaignId, FirmwareId, ProductId, ThingId


class MemoryCampaignStore:
    """Keeps campaigns; their things are those of the organisation."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._rows = organisation.firmware

    async def add(
        self, campaign_id: CampaignId, plan: CampaignPlan, firmware: Firmware, *, at_ms: int
    ) -> Campaign | None:
        if any(
            campaign.firmware_id == plan.firmware_id and campaign.state not in ENDED
            for campaign in self._rows.campaigns.values()
        ):
            return None
        campaign = Campaign(
            id=campaign_id,
            product_id=firmware.product_id,
            mcu=firmware.mcu,
            plan=plan,
            state=CampaignState.PREPARING,
            ring_opened_at_ms=at_ms,
            created_at_ms=at_ms,
            changed_at_ms=at_ms,
            revision=1,
        )
        self._rows.campaigns[campaign_id] = campaign
        self._organisation.announce_firmware(campaign.product_id)
        return campaign

    async def get(self, campaign_id: CampaignId) -> Campaign | None:
        return self._rows.campaigns.get(campaign_id)

    async def page(
        self, product_id: ProductId | None, *, after: CampaignId | None, limit: int
    ) -> list[Campaign]:
        ids = list(self._rows.campaigns)
        if after is not None:
            ids = ids[: ids.index(after)] if after in ids else []
        found = (self._rows.campaigns[campaign_id] for campaign_id in reversed(ids))
        return [c for c in found if product_id in (None, c.product_id)][:limit]

    async def at_work(self) -> list[Campaign]:
        at_work = {CampaignState.PREPARING, CampaignState.RUNNING}
        return [c for c in self._rows.campaigns.values() if c.state in at_work]

    async def change(self, campaign: Campaign, *, publishes: bool = False) -> Campaign | None:
        kept = self._rows.campaigns.get(campaign.id)
        if kept is None or kept.revision != campaign.revision:
            return None
        changed = replace(campaign, plan=kept.plan, revision=campaign.revision + 1)
        self._rows.campaigns[campaign.id] = changed
        firmware = self._rows.firmwares.get(campaign.firmware_id)
        if publishes and firmware is not None and firmware.state is FirmwareState.DRAFT:
            self._organisation.set_firmware_state(
                firmware, FirmwareState.PUBLISHED, campaign.changed_at_ms
            )
        self._organisation.announce_firmware(campaign.product_id)
        return changed

    async def candidates(
        self,
        product_id: ProductId,
        mcu: str,
        target: Target,
        *,
        after: ThingId | None,
        limit: int,
    ) -> list[Candidate]:
        return [
            Candidate(thing_id, self._version(thing_id, mcu))
            for thing_id in sorted(self._organisation.things)
            if thing_id > (after or "") and self._selects(product_id, mcu, target, thing_id)
        ][:limit]

    async def selects(
        self, product_id: ProductId, mcu: str, target: Target, thing_id: ThingId
    ) -> bool:
        return self._selects(product_id, mcu, target, thing_id)

    async def join(self, campaign: Campaign, things: Sequence[Joining], *, at_ms: int) -> None:
        for joining in things:
            kept = self._rows.updates.get((joining.thing_id, campaign.firmware_id))
            is_target = kept is not None and kept.campaign_id == campaign.id
            if joining.thing_id in self._organisation.things and not is_target:
                self._join(campaign, joining, kept, at_ms)
                self._organisation.announce_firmware(campaign.product_id)

    def _join(self, campaign: Campaign, joining: Joining, kept: Update | None, at_ms: int) -> None:
        detail = ""
        if kept is not None:
            self._rows.put(replace(kept, campaign_id=campaign.id, ring=joining.ring))
        else:
            detail = "runs the version, or a newer one, already" if joining.is_current else ""
            self._rows.put_new(
                Update(
                    thing_id=joining.thing_id,
                    firmware_id=campaign.firmware_id,
                    product_id=campaign.product_id,
                    mcu=campaign.mcu,
                    campaign_id=campaign.id,
                    ring=joining.ring,
                    state=UpdateState.CURRENT if joining.is_current else UpdateState.WAITING,
                    reason=detail,
                    ended_at_ms=at_ms if joining.is_current else None,
                    changed_at_ms=at_ms,
                )
            )
        self._rows.note(
            [
                UpdateEvent(
                    joining.thing_id, campaign.firmware_id, campaign.id, at_ms, "joined", detail
                )
            ]
        )

    async def counts(self, campaign_id: CampaignId) -> Mapping[int, RingCount]:
        states: dict[int, Counter[UpdateState]] = defaultdict(Counter)
        failed: Counter[int] = Counter()
        for update in self._of(campaign_id):
            states[update.ring][update.state] += 1
            failed[update.ring] += update.failures > 0 and update.state is not UpdateState.SUCCEEDED
        return {ring: RingCount(dict(counts), failed[ring]) for ring, counts in states.items()}

    async def members(
        self,
        campaign_id: CampaignId,
        *,
        states: Sequence[UpdateState],
        after: ThingId | None,
        limit: int,
    ) -> list[Update]:
        return [
            update
            for update in self._of(campaign_id)
            if update.thing_id > (after or "") and (not states or update.state in states)
        ][:limit]

    async def overdue(self, campaign_id: CampaignId, *, before_ms: int, limit: int) -> list[Update]:
        found = [
            update
            for update in self._of(campaign_id)
            if update.state in UNDER_WAY and update.changed_at_ms < before_ms
        ]
        return sorted(found, key=lambda update: (update.changed_at_ms, update.action))[:limit]

    async def earlier(self, firmware: Firmware) -> FirmwareId | None:
        newest = {each.firmware_id: each.state for each in self._rows.campaigns.values()}
        found = [
            other
            for other in self._rows.firmwares.values()
            if (other.product_id, other.mcu) == (firmware.product_id, firmware.mcu)
            and other.state is FirmwareState.PUBLISHED
            and other.sequence < firmware.sequence
            and newest.get(other.id, CampaignState.RUNNING) in OFFERING
        ]
        return max(found, key=lambda other: other.sequence).id if found else None

    def _of(self, campaign_id: CampaignId) -> list[Update]:
        found = [u for u in self._rows.updates.values() if u.campaign_id == campaign_id]
        return sorted(found, key=lambda update: update.thing_id)

    def _version(self, thing_id: ThingId, mcu: str) -> str | None:
        running = self._rows.running.get((thing_id, mcu))
        return running.version if running else None

    def _selects(self, product_id: ProductId, mcu: str, target: Target, thing_id: ThingId) -> bool:
        thing = self._organisation.things.get(thing_id)
        if thing is None or thing.product_id != product_id:
            return False
        tags = self._organisation.tags.get(thing_id, set())
        return (not target.tags or not tags.isdisjoint(target.tags)) and (
            not target.versions or self._version(thing_id, mcu) in target.versions
        )
