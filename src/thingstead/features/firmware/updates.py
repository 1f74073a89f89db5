"""Follows the updates of things: what they say, fetch and prove becomes stored steps.

What a step is stands in `meanings.py` and `progress.py`; here stands what is asked in which
order. A step is made from a remembered record. When that has changed meanwhile, nothing is
stored and the step is made anew from the fresh one.
"""

from collections.abc import Callable, Sequence

from thingstead.features.campaigns.model import Campaign
from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.errors import UpdateNotFoundError
from thingstead.features.firmware.judge import Judge, running_of, update_of, version_said
from thingstead.features.firmware.meanings import What, says_success
from thingstead.features.firmware.model import (
    UNDER_WAY,
    Firmware,
    FirmwareLimits,
    Report,
    Step,
    ThingRecord,
    Update,
    UpdateEvent,
    UpdateState,
)
from thingstead.features.firmware.ports import UpdateStore
from thingstead.features.firmware.records import Quiet, Records
from thingstead.features.firmware.sightings import Sightings
from thingstead.features.firmware.status import Status
from thingstead.features.firmware.stock import Stock
from thingstead.features.firmware.together import Together
from thingstead.features.things.model import Thing
from thingstead.kernel.budget import Budgets
from thingstead.kernel.changes import Changes
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import OverloadedError, TooManyRequestsError
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId

MAX_TIMELINE = 200
_TRIES = 3

_Make = Callable[[ThingRecord], Sequence[Step]]


class Updates:
    """Remembers and changes how far updates have come."""

    def __init__(
        self,
        store: UpdateStore,
        catalogues: Catalogues,
        changes: Changes,
        *,
        clock: Clock,
        limits: FirmwareLimits,
        kept: int = 20_000,
    ) -> None:
        self._store = store
        self._catalogues = catalogues
        self._clock = clock
        self._limits = limits
        self._rates: Budgets[ThingId] = Budgets(limits.reports)
        self._records = Records(store, changes, most=kept)
        self._sightings = Sightings(store, self._records, clock)
        self._steps: Together[Step, Update | None] = Together(self._save)
        self._listeners: list[Callable[[Update], None]] = []

    def on_change(self, listener: Callable[[Update], None]) -> None:
        """Call the listener with every update that this process has stored, from now on."""
        self._listeners.append(listener)

    def known(self, thing_id: ThingId) -> ThingRecord | None:
        """Return all about the thing, without waiting, if that is remembered."""
        return self._records.known(thing_id)

    async def record(self, thing_id: ThingId, product_id: ProductId | None = None) -> ThingRecord:
        """Return all about the thing; empty for one that is not known.

        With its `product_id` it is remembered for longer.
        """
        return await self._records.of(thing_id, product_id)

    def forget(self, thing_id: ThingId) -> None:
        """Forget what is remembered of the thing; for who changed its rows elsewhere."""
        self._records.forget(thing_id)

    async def heard(self, thing: Thing, report: Report) -> None:
        """Take in which version runs, durably; a report of nothing counts as a contact only.

        Raises:
            TooManyRequestsError: the thing reports another version too often; nothing was stored.
        """
        stock = await self._catalogues.stock_of(thing.product_id)
        record = await self._records.of(thing.id, thing.product_id)
        said = version_said(stock, report)
        if said is None:
            if record.updates:
                await self._prove(thing.id, is_write=False)
            return
        mcu, version = said
        running = running_of(record, mcu)
        if running is not None and self._records.is_quiet(thing.id, (stock.serial, mcu, version)):
            self._sightings.note(running)
            return
        if running is None or running.version != version:
            self._check_rate(thing.id)
        # The steps go first: they depend on what ran before.
        await self._apply(thing, lambda now: self._judge(stock).after_report(now, mcu, version))
        await self._sightings.take(thing.id, mcu, version, record)
        self._note_quiet(thing.id, (stock.serial, mcu, version))

    async def offered(self, thing: Thing, firmware: Firmware, campaign: Campaign | None) -> None:
        """Note that the image was offered; durable on return, costs nothing the second time."""
        await self._happened(thing, firmware, What.OFFERED, campaign)

    async def begun(self, thing: Thing, firmware: Firmware) -> None:
        """Note that the thing fetches bytes of the image; costs nothing the second time."""
        await self._happened(thing, firmware, What.FETCHES)

    async def downloaded(self, thing: Thing, firmware: Firmware) -> None:
        """Note that the thing was given the image's last byte; the second time costs nothing."""
        await self._happened(thing, firmware, What.HAS_ALL)

    async def said(self, thing: Thing, firmware_id: FirmwareId, status: Status) -> Update:
        """Take in what the thing says of its update, and return that.

        Of an update that has ended (SUCCEEDED, BLOCKED, CURRENT) only success can still be
        said; anything else changes nothing. Saying success is a report of the image's version.

        Raises:
            UpdateNotFoundError: the thing was never offered the image.
            TooManyRequestsError: it says something too often; nothing was stored.
        """
        stock = await self._catalogues.stock_of(thing.product_id)
        item = stock.by_id.get(firmware_id)
        record = await self._records.of(thing.id, thing.product_id)
        found = update_of(record, firmware_id)
        if item is None or found is None or found.state is UpdateState.WAITING:
            raise UpdateNotFoundError
        self._check_rate(thing.id)
        mcu, version = item.firmware.mcu, item.firmware.version
        judge = self._judge(stock)
        if says_success(status):
            await self._apply(
                thing, lambda now: judge.after_report(now, mcu, version, sure_of=firmware_id)
            )
            await self._sightings.take(thing.id, mcu, version, record)
        else:
            await self._apply(thing, lambda now: judge.after_status(now, firmware_id, status))
        return _demanded(await self._records.of(thing.id, thing.product_id), firmware_id)

    async def wrote(self, thing_id: ThingId) -> None:
        """Take a write as a proof of health where one is waited for."""
        await self._prove(thing_id, is_write=True)

    async def release(self, thing_id: ThingId, firmware_id: FirmwareId) -> Update:
        """Let a BLOCKED or FAILED update begin anew, its failures forgotten; others stay.

        Raises:
            UpdateNotFoundError: the thing has no such update.
        """
        self._records.forget(thing_id)
        found = _demanded(await self._records.of(thing_id), firmware_id)
        judge = self._judge(await self._catalogues.stock_of(found.product_id))
        await self._apply(
            Thing(thing_id, found.product_id, 0),
            lambda now: judge.after(now, firmware_id, What.RELEASED),
        )
        return _demanded(await self._records.of(thing_id), firmware_id)

    async def timed_out(self, updates: Sequence[Update], reason: str) -> None:
        """Count updates that are under way as failed; those that changed meanwhile are left."""
        steps: list[Step] = []
        for update in updates:
            judge = self._judge(await self._catalogues.stock_of(update.product_id))
            steps += judge.moved(update, What.LATE, reason)
        for late, stored in zip(steps, await self._steps.put(steps), strict=True):
            if stored is None:
                self._records.forget(late.update.thing_id)

    async def timeline(
        self, thing_id: ThingId, *, before: int | None = None, limit: int = 50
    ) -> list[tuple[int, UpdateEvent]]:
        """Return at most `limit` (1 to 200) entries numbered below `before`, newest first."""
        return await self._store.timeline(
            thing_id, before=before, limit=max(1, min(limit, MAX_TIMELINE))
        )

    async def by_action(self, thing_id: ThingId, action: int) -> Update:
        """Return the thing's update with that number.

        Raises:
            UpdateNotFoundError: it has none.
        """
        record = await self._records.of(thing_id)
        found = next((update for update in record.updates if update.action == action), None)
        if found is None:
            raise UpdateNotFoundError
        return found

    async def flush_seen(self) -> None:
        """Write when things were heard of last; to be called every minute, and at the end."""
        await self._sightings.flush()

    async def _happened(
        self, thing: Thing, firmware: Firmware, what: What, campaign: Campaign | None = None
    ) -> None:
        judge = self._judge(await self._catalogues.stock_of(thing.product_id))
        await self._apply(
            thing, lambda now: judge.after_service(now, thing.id, firmware.id, what, campaign)
        )

    async def _prove(self, thing_id: ThingId, *, is_write: bool) -> None:
        record = await self._records.of(thing_id)
        waiting = [update for update in record.updates if update.state is UpdateState.REPORTED]
        if not waiting:
            return
        product_id = waiting[0].product_id
        judge = self._judge(await self._catalogues.stock_of(product_id))
        await self._apply(
            Thing(thing_id, product_id, 0), lambda now: judge.after_proof(now, is_write=is_write)
        )

    def _check_rate(self, thing_id: ThingId) -> None:
        # Each is a commit, and those who wait for the same file wait for it.
        wait = self._rates.take(thing_id, self._clock.monotonic())
        if wait > 0:
            raise TooManyRequestsError(
                f"at most {60 * self._rates.rate.per_second:g} reports of one thing's firmware in"
                " a minute",
                retry_after_s=int(wait) + 1,
            )

    def _judge(self, stock: Stock) -> Judge:
        return Judge(stock, self._limits, self._clock.now_ms())

    async def _apply(self, thing: Thing, make: _Make) -> None:
        """Store the steps that are made from the thing's record, if any; durable on return."""
        for _ in range(_TRIES):
            record = await self._records.of(thing.id, thing.product_id)
            steps = make(record)
            if not steps or None not in await self._steps.put(steps):
                return
            self._records.forget(thing.id)
        raise OverloadedError("the thing's updates changed all the time")

    async def _save(self, steps: Sequence[Step]) -> Sequence[Update | None]:
        stored = await self._store.save(steps)
        for update in stored:
            if update is not None:
                self._records.take_update(update)
                for listener in self._listeners:
                    listener(update)
        return stored

    def _note_quiet(self, thing_id: ThingId, report: Quiet) -> None:
        """Note that the same report changes nothing again, where time does not matter."""
        record = self._records.known(thing_id)
        if record is None or any(update.state in UNDER_WAY for update in record.updates):
            return
        running = running_of(record, report[1])
        if running is None or running.version != report[2]:
            return
        self._records.note_quiet(thing_id, report)


def _demanded(record: ThingRecord, firmware_id: FirmwareId) -> Update:
    found = update_of(record, firmware_id)
    if found is None:
        raise UpdateNotFoundError
    return found
