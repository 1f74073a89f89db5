"""Whether a thing is a target of a campaign, and in which ring.

Things that matched when the campaign was prepared have an update's row that says so. Others
may match later (a new thing, a new tag, another version); they join when they ask.
"""

from collections.abc import Sequence
from typing import Final

from thingstead.features.campaigns.model import ENDED, Campaign, CampaignState
from thingstead.features.campaigns.ports import CampaignStore, Joining
from thingstead.features.campaigns.rings import ring_of as ring_by_ids
from thingstead.features.firmware.eligibility import UNKNOWN, Unknown
from thingstead.features.firmware.model import ThingRecord
from thingstead.features.firmware.together import Together
from thingstead.features.firmware.updates import Updates
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import CampaignId, ThingId

_STRANGERS_KEPT_S = 60.0
_MOST_STRANGERS = 20_000
_NOT_TO_BE_JOINED: Final = ENDED | {CampaignState.PREPARING}


class Membership:
    """Finds the rings of things; that a thing is no target is remembered for a minute."""

    def __init__(self, store: CampaignStore, updates: Updates, clock: Clock) -> None:
        self._store = store
        self._updates = updates
        self._clock = clock
        self._joins: Together[tuple[Campaign, Joining], None] = Together(self._join_all)
        self._strangers: dict[tuple[CampaignId, ThingId], float] = {}

    def known_ring(
        self, campaign: Campaign, thing_id: ThingId, record: ThingRecord
    ) -> int | Unknown | None:
        """Return the thing's ring as far as that can be told without waiting."""
        for update in record.updates:
            if update.campaign_id == campaign.id:
                return update.ring
        if campaign.state in _NOT_TO_BE_JOINED:
            return None
        until = self._strangers.get((campaign.id, thing_id))
        if until is not None and self._clock.monotonic() < until:
            return None
        return UNKNOWN

    async def ring_of(
        self, campaign: Campaign, thing_id: ThingId, *, is_current: bool = False
    ) -> int | None:
        """Return the index of the thing's ring, or None when it is no target.

        A thing that matches and is none yet becomes one, durably; not of a campaign that is
        being prepared, or has ended. `is_current`: it runs the version, or a newer one.
        """
        known = await self._looked_up(campaign, thing_id)
        if not isinstance(known, Unknown):
            return known
        target = campaign.plan.target
        if not await self._store.selects(campaign.product_id, campaign.mcu, target, thing_id):
            self._note_stranger(campaign.id, thing_id)
            return None
        ring = ring_by_ids(campaign.id, thing_id, campaign.plan.rings)
        await self._joins.put([(campaign, Joining(thing_id, ring, is_current))])
        found = await self._looked_up(campaign, thing_id)
        return None if isinstance(found, Unknown) else found

    async def _looked_up(self, campaign: Campaign, thing_id: ThingId) -> int | Unknown | None:
        record = await self._updates.record(thing_id, campaign.product_id)
        return self.known_ring(campaign, thing_id, record)

    async def _join_all(self, joins: Sequence[tuple[Campaign, Joining]]) -> Sequence[None]:
        by_campaign: dict[CampaignId, tuple[Campaign, list[Joining]]] = {}
        for campaign, joining in joins:
            by_campaign.setdefault(campaign.id, (campaign, []))[1].append(joining)
        for campaign, joining_ones in by_campaign.values():
            now_ms = self._clock.now_ms()
            try:
                await self._store.join(campaign, joining_ones, at_ms=now_ms)
            finally:
                # Also when it failed: it may have been stored all the same.
                for joining in joining_ones:
                    self._updates.forget(joining.thing_id)
        return [None] * len(joins)

    def _note_stranger(self, campaign_id: CampaignId, thing_id: ThingId) -> None:
        while len(self._strangers) >= _MOST_STRANGERS:
            del self._strangers[next(iter(self._strangers))]
        self._strangers.pop((campaign_id, thing_id), None)
        until = self._clock.monotonic() + _STRANGERS_KEPT_S
        self._strangers[campaign_id, thing_id] = until
