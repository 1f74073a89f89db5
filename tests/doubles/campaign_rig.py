"""Campaigns over memory stores, with the real rules of publishing."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from doubles.blobs import MemoryBlobStore
from doubles.campaign_plans import plan
from doubles.clock import ManualClock
from doubles.firmware_rig import FirmwareRig
from doubles.ids import SequentialIds
from thingstead.features.campaigns.model import Campaign
from thingstead.features.campaigns.service import Campaigns
from thingstead.features.firmware.model import (
    Firmware,
    FirmwareLimits,
    Running,
    Step,
    UpdateState,
)
from thingstead.features.firmware.publishing import Publishing
from thingstead.kernel.changes import Kind
from thingstead.kernel.ids import ProductId, ThingId
from thingstead.sealing.signatures import PublicKeys


class InterferingStore:
    """A campaign store of which others are quicker: `before_change` runs before each change."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.before_change: Callable[[], Awaitable[object]] | None = None
        self.interferes = 0
        """How many changes are still to be preceded by another one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def change(self, campaign: Campaign, *, publishes: bool = False) -> Campaign | None:
        if self.interferes > 0:
            self.interferes -= 1
            if self.before_change is not None:
                await self.before_change()
        return await self._store.change(campaign, publishes=publishes)


class CampaignRig(FirmwareRig):
    """`told` are the products whose listeners were told."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        super().__init__(clock)
        self.store = InterferingStore(self.campaigns)
        self.ids = SequentialIds()
        self.publishing = Publishing(
            self.firmwares,
            MemoryBlobStore(),
            PublicKeys(),
            self.changes,
            ids=self.ids,
            clock=self.clock,
            limits=FirmwareLimits(),
        )
        self.service = self.make_service(self.publishing)
        self.told: list[str | None] = []
        self.changes.listen(Kind.FIRMWARE, self.told.append)

    def make_service(self, publishing: Publishing) -> Campaigns:
        return Campaigns(
            self.store,
            publishing,
            self.firmwares,
            self.changes,
            ids=self.ids,
            clock=self.clock,
        )

    def things(self, count: int) -> list[ThingId]:
        return [self.thing(f"thing {number:05}").id for number in range(count)]

    async def created(self, firmware: Firmware, **said: Any) -> Campaign:
        return await self.service.create(plan(firmware_id=firmware.id, **said))

    async def begun(self, firmware: Firmware, **said: Any) -> Campaign:
        return await self.service.prepare(await self.created(firmware, **said))

    async def runs(self, thing_id: ThingId, version: str) -> None:
        """Have the thing report the version."""
        await self.updates.save_running([Running(thing_id, "main", version, 1, 1)])

    async def put(self, thing_id: ThingId, state: UpdateState, *, failures: int = 0) -> None:
        """Put the thing's only update into the state."""
        (update,) = (await self.updates.record(thing_id)).updates
        changed = replace(update, state=state, failures=failures, changed_at_ms=self.clock.now_ms())
        assert (await self.updates.save([Step(changed)]))[0] is not None

    @property
    def product_id(self) -> ProductId:
        return next(iter(self.organisation.products))
