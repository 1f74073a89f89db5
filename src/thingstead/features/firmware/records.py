"""What is remembered of things' firmware, so that a poll with nothing new asks no store.

A record is forgotten when something announces that the thing, or what its product offers, has
changed: listing things for a campaign changes the rows of many at once. What this process
stores itself is put into the record at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from thingstead.features.firmware.model import Running, ThingRecord, Update
from thingstead.features.firmware.ports import UpdateStore
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.ids import ProductId, ThingId

Quiet = tuple[int, str, str]
"""A report: under which catalogue (`Stock.serial`), of which MCU, which version."""


@dataclass(slots=True)
class _Kept:
    record: ThingRecord
    product_id: ProductId | None
    """None when nothing told: then any product's change makes it doubtful."""
    generation: int
    quiet: Quiet | None = None
    """A report that is known to change nothing."""


class Records:
    """Finds and remembers the records of at most `most` things; the least used give way."""

    def __init__(self, store: UpdateStore, changes: Changes, *, most: int) -> None:
        self._store = store
        self._changes = changes
        self._most = most
        self._kept: OrderedDict[ThingId, _Kept] = OrderedDict()
        # Looking through all records at each change of one product would cost more than asking
        # at each record when it was made.
        self._generation = 0
        self._changed: dict[ProductId, int] = {}
        # Loads under way; one that was overtaken by a change is not among them any more.
        self._loads: dict[ThingId, asyncio.Future[ThingRecord | None]] = {}
        changes.listen(Kind.FIRMWARE, self._product_changed)
        changes.listen(Kind.THING, self._thing_changed)

    def known(self, thing_id: ThingId) -> ThingRecord | None:
        """Return the thing's record, without waiting, if that is remembered."""
        self._changes.look()
        kept = self._valid(thing_id)
        return None if kept is None else kept.record

    async def of(self, thing_id: ThingId, product_id: ProductId | None = None) -> ThingRecord:
        """Return the thing's record; `product_id`, where it is known, keeps it for longer."""
        self._changes.look()
        while True:
            kept = self._valid(thing_id)
            if kept is not None:
                return kept.record
            load = self._loads.get(thing_id)
            if load is None:
                return await self._load(thing_id, product_id)
            record = await asyncio.shield(load)
            if record is not None:
                return record
            # Who was loading it is gone; somebody who waited does it now.

    def forget(self, thing_id: ThingId) -> None:
        """Forget the thing's record."""
        self._kept.pop(thing_id, None)
        self._loads.pop(thing_id, None)

    def take_update(self, update: Update) -> None:
        """Put an update that was stored into the thing's record."""
        # A load under way may have been made before it was stored.
        self._loads.pop(update.thing_id, None)
        kept = self._valid(update.thing_id)
        if kept is None:
            return
        updates = kept.record.updates
        places = [
            index for index, other in enumerate(updates) if other.firmware_id == update.firmware_id
        ]
        if places:
            updates = (*updates[: places[0]], update, *updates[places[0] + 1 :])
        else:
            updates = (*updates, update)
        kept.record = replace(kept.record, updates=updates)
        kept.product_id = update.product_id
        kept.quiet = None

    def take_running(self, running: Running) -> None:
        """Put what the thing runs, or when it was seen, into its record."""
        self._loads.pop(running.thing_id, None)
        kept = self._valid(running.thing_id)
        if kept is None:
            return
        others: Sequence[Running] = [
            other for other in kept.record.running if other.mcu != running.mcu
        ]
        kept.record = replace(kept.record, running=(*others, running))
        if kept.quiet is not None and kept.quiet[1:] != (running.mcu, running.version):
            kept.quiet = None

    def is_quiet(self, thing_id: ThingId, report: Quiet) -> bool:
        """Return whether the report is known to change nothing."""
        kept = self._kept.get(thing_id)
        return kept is not None and kept.quiet == report

    def note_quiet(self, thing_id: ThingId, report: Quiet) -> None:
        """Note that the report changes nothing, as long as the known record stays as it is."""
        self._kept[thing_id].quiet = report

    def _valid(self, thing_id: ThingId) -> _Kept | None:
        kept = self._kept.get(thing_id)
        if kept is None:
            return None
        if kept.generation != self._generation:
            if kept.product_id is None or kept.generation < self._changed.get(kept.product_id, 0):
                del self._kept[thing_id]
                return None
            kept.generation = self._generation
        self._kept.move_to_end(thing_id)
        return kept

    async def _load(self, thing_id: ThingId, product_id: ProductId | None) -> ThingRecord:
        load = self._loads[thing_id] = asyncio.get_running_loop().create_future()
        try:
            record = await self._store.record(thing_id)
        except Exception as error:
            load.set_exception(error)
            load.exception()  # Perhaps nobody waits for it.
            raise
        else:
            # What was loaded before a change must not be remembered after it.
            if self._loads.get(thing_id) is load:
                self._remember(thing_id, record, product_id)
            load.set_result(record)
            return record
        finally:
            if self._loads.get(thing_id) is load:
                del self._loads[thing_id]
            if not load.done():
                load.set_result(None)

    def _remember(
        self, thing_id: ThingId, record: ThingRecord, product_id: ProductId | None
    ) -> None:
        while len(self._kept) >= self._most:
            self._kept.popitem(last=False)
        if record.updates:
            product_id = record.updates[0].product_id
        self._kept[thing_id] = _Kept(record, product_id, self._generation)

    def _product_changed(self, subject: str | None) -> None:
        self._loads.clear()
        if subject is None:
            self._kept.clear()
            self._changed.clear()
        else:
            self._generation += 1
            self._changed[ProductId(int(subject))] = self._generation

    def _thing_changed(self, thing_id: str | None) -> None:
        if thing_id is None:
            self._kept.clear()
            self._loads.clear()
        else:
            self.forget(ThingId(thing_id))
