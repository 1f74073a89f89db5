"""Offers of images to things, over stores in memory that count what they are asked."""

import asyncio
from dataclasses import replace

from doubles.blobs import MemoryBlobStore
from doubles.clock import ManualClock
from doubles.firmware import MemoryUpdateStore
from doubles.firmware_rig import FirmwareRig
from doubles.organisation import Organisation
from thingstead.bus.memory import MemoryBus
from thingstead.features.campaigns.model import (
    Campaign,
    CampaignPlan,
    CampaignState,
    Gate,
    Proof,
    Target,
)
from thingstead.features.campaigns.ports import Joining
from thingstead.features.campaigns.rings import ring_of
from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.membership import Membership
from thingstead.features.firmware.model import (
    Firmware,
    FirmwareLimits,
    FirmwareState,
    Report,
    Update,
)
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.updates import Updates
from thingstead.features.firmware.watching import Watching
from thingstead.features.things.model import Thing
from thingstead.kernel.ids import CampaignId

EVERYTHING = Target()


class CountingUpdateStore(MemoryUpdateStore):
    """Counts reads of records and writes; `before_save` is called once, before the next save."""

    def __init__(self, organisation: Organisation) -> None:
        super().__init__(organisation)
        self.reads = 0
        self.saves: list[int] = []
        self.running_saves = 0
        self.before_save = None
        self.before_record = None
        self.before_running = None
        self.error = None

    async def record(self, thing_id):
        self.reads += 1
        await asyncio.sleep(0)  # Whoever reads waits, as for a database.
        found = await super().record(thing_id)
        if self.before_record is not None:
            act, self.before_record = self.before_record, None
            await act()
        return found

    async def save(self, steps):
        if self.before_save is not None:
            act, self.before_save = self.before_save, None
            await act()
        if self.error is not None:
            raise self.error
        self.saves.append(len(steps))
        return await super().save(steps)

    async def save_running(self, running):
        if self.before_running is not None:
            act, self.before_running = self.before_running, None
            await act()
        if self.error is not None:
            raise self.error
        self.running_saves += 1
        await super().save_running(running)

    @property
    def writes(self) -> int:
        return len(self.saves) + self.running_saves


class OfferRig(FirmwareRig):
    """Offers and updates of one product's things."""

    def __init__(self, limits: FirmwareLimits | None = None, *, kept: int = 20_000) -> None:
        super().__init__(ManualClock())
        self.limits = limits or FirmwareLimits()
        self.store = CountingUpdateStore(self.organisation)
        self.blobs = MemoryBlobStore()
        self.bus = MemoryBus()
        self.start(kept=kept)

    def start(self, *, kept: int = 20_000) -> None:
        """Make the services anew, as after a restart."""
        self.catalogues = Catalogues(self.firmwares, self.changes)
        self.following = Updates(
            self.store,
            self.catalogues,
            self.changes,
            clock=self.clock,
            limits=self.limits,
            kept=kept,
        )
        self.membership = Membership(self.campaigns, self.following, self.clock)
        self.watching = Watching(self.following, self.bus, self.store, self.clock)
        self.offers = Offers(
            self.catalogues,
            self.following,
            self.membership,
            self.blobs,
            clock=self.clock,
            limits=self.limits,
        )

    async def image(self, version: str, **said: object) -> Firmware:
        """Publish an image, and let everything in this process know."""
        firmware = await self.firmware(version, **said)
        self.blobs.keep(firmware.digests.sha256, bytes(firmware.size))
        self.changes.look_now()
        return firmware

    async def set_state(self, firmware: Firmware, state: FirmwareState) -> None:
        await self.firmwares.change_state(
            firmware.id, state, from_states=list(FirmwareState), at_ms=self.clock.now_ms()
        )
        self.changes.look_now()

    async def campaign(
        self,
        firmware: Firmware,
        things: list[Thing] | None = None,
        *,
        rings: tuple[int, ...] = (100,),
        state: CampaignState = CampaignState.RUNNING,
        attempts: int = 3,
        soak_s: int = 3_600,
        proof: Proof = Proof.WRITE,
        target: Target = EVERYTHING,
    ) -> Campaign:
        """Start a campaign and list the things in it."""
        plan = CampaignPlan(
            firmware_id=firmware.id,
            name="campaign",
            target=target,
            rings=rings,
            gate=Gate(soak_s=soak_s, proof=proof),
            attempts=attempts,
        )
        campaign_id = CampaignId(f"campaign of {firmware.id}")
        at_ms = self.clock.now_ms()
        campaign = await self.campaigns.add(campaign_id, plan, firmware, at_ms=at_ms)
        assert campaign is not None
        joining = [Joining(t.id, ring_of(campaign_id, t.id, rings), False) for t in things or ()]
        await self.campaigns.join(campaign, joining, at_ms=at_ms)
        return await self.change(campaign, state=state)

    async def change(self, campaign: Campaign, **to: object) -> Campaign:
        """Store the campaign with other members, and let everything know."""
        current = await self.campaigns.get(campaign.id)
        changed = await self.campaigns.change(replace(current, **to))
        assert changed is not None
        self.changes.look_now()
        return changed

    async def update(self, thing: Thing, firmware: Firmware) -> Update:
        """Return the stored update, which there must be."""
        record = await MemoryUpdateStore.record(self.store, thing.id)
        return next(each for each in record.updates if each.firmware_id == firmware.id)

    async def poll(self, thing: Thing, version: str | None = None, mcu: str | None = None):
        return await self.offers.latest(thing, Report(mcu, version))

    async def install(self, thing: Thing, firmware: Firmware) -> None:
        """Let the thing fetch the image and come back with it, after a minute."""
        await self.following.begun(thing, firmware)
        await self.following.downloaded(thing, firmware)
        self.clock.advance(60)
        await self.following.heard(thing, Report(firmware.mcu, firmware.version))

    async def kinds(self, thing: Thing) -> list[str]:
        """Return what the thing's timeline holds, the oldest first."""
        return [event.kind for _, event in reversed(await self.following.timeline(thing.id))]
