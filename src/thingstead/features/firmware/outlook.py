"""What a thing would be offered if it asked now, for operators: by the same rules as `offers.py`.

Changes nothing: unlike asking, looking makes no thing a target of a campaign.
"""

from dataclasses import dataclass

from thingstead.features.campaigns.model import Campaign
from thingstead.features.campaigns.ports import CampaignStore
from thingstead.features.campaigns.rings import ring_of as ring_by_ids
from thingstead.features.firmware.eligibility import UNKNOWN, Reason, Situation, Unknown, choose
from thingstead.features.firmware.model import Firmware, FirmwareLimits, ThingRecord
from thingstead.features.firmware.stock import Stock, key_of
from thingstead.features.things.model import Thing
from thingstead.kernel.ids import CampaignId


@dataclass(frozen=True, slots=True)
class Prospect:
    """What one MCU would be offered, or why nothing."""

    mcu: str
    firmware: Firmware | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Rules:
    """By what is chosen."""

    stock: Stock
    campaigns: CampaignStore
    limits: FirmwareLimits


async def prospects(
    thing: Thing, record: ThingRecord, rules: Rules, *, now_ms: int
) -> list[Prospect]:
    """Return what the thing would be offered for each MCU, by their names.

    It is taken to say what it said last, if anything, of the version that runs.
    """
    rings: dict[CampaignId, int | None] = {
        update.campaign_id: update.ring
        for update in record.updates
        if update.campaign_id is not None
    }
    found: list[Prospect] = []
    for mcu in rules.stock.by_mcu:
        while True:
            situation = _situation(mcu, record, rings, now_ms)
            choice = choose(rules.stock, mcu, situation, rules.limits)
            if choice.wanted is None:
                break
            rings[choice.wanted.id] = await _ring(thing, choice.wanted, rules.campaigns)
        firmware = None if choice.item is None else choice.item.firmware
        found.append(Prospect(mcu, firmware, choice.reason))
    return found


def _situation(
    mcu: str, record: ThingRecord, rings: dict[CampaignId, int | None], now_ms: int
) -> Situation:
    def ring_of(campaign: Campaign) -> int | Unknown | None:
        return rings.get(campaign.id, UNKNOWN)

    said = next((one.version for one in record.running if one.mcu == mcu), None)
    running = None if said is None else key_of(said)
    return Situation(
        {update.firmware_id: update for update in record.updates},
        running=running,
        known=running,
        now_ms=now_ms,
        ring_of=ring_of,
    )


async def _ring(thing: Thing, campaign: Campaign, store: CampaignStore) -> int | None:
    plan = campaign.plan
    if not await store.selects(campaign.product_id, campaign.mcu, plan.target, thing.id):
        return None
    return ring_by_ids(campaign.id, thing.id, plan.rings)
