"""Images, keys, updates and timelines in memory."""

from collections.abc import Sequence
from dataclasses import replace

from doubles.organisation import Organisation
from thingstead.features.firmware.errors import FirmwareExistsError
from thingstead.features.firmware.model import (
    Firmware,
    FirmwareState,
    NewFirmware,
    Running,
    SigningKey,
    Step,
    ThingRecord,
    Update,
    UpdateEvent,
    UpdateState,
)
from thingstead.features.firmware.ports import Catalogue, StoredImage
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId

_CATALOGUE = 1_000
_KEYS = 100


class MemoryFirmwareStore:
    """Keeps images and keys; products are those of the organisation."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._rows = organisation.firmware

    async def add(
        self,
        firmware_id: FirmwareId,
        new: NewFirmware,
        image: StoredImage,
        *,
        sequence: int,
        is_revert: bool,
        most: int,
        at_ms: int,
    ) -> Firmware | None:
        self._demand_product(new.product_id)
        others = [f for f in self._rows.firmwares.values() if f.product_id == new.product_id]
        same = [f for f in others if f.mcu == new.mcu]
        if not is_revert and any(f.version == new.version and not f.is_revert for f in same):
            raise FirmwareExistsError(f"version {new.version}")
        newest = max((f.sequence for f in same), default=0)
        if newest >= sequence:
            raise FirmwareExistsError(f"sequence {newest}")
        if len(others) >= most:
            return None
        state = FirmwareState.DRAFT if new.is_draft else FirmwareState.PUBLISHED
        firmware = Firmware(
            number=len(self._rows.firmwares) + 1,
            id=firmware_id,
            product_id=new.product_id,
            mcu=new.mcu,
            version=new.version,
            sequence=sequence,
            state=state,
            size=image.size,
            digests=image.digests,
            filename=new.filename,
            facts=image.facts,
            created_at_ms=at_ms,
            published_at_ms=None if new.is_draft else at_ms,
            notes=new.notes,
            min_version=new.min_version,
            is_mandatory=new.is_mandatory,
            is_revert=is_revert,
            not_before_ms=new.not_before_ms,
            expires_at_ms=new.expires_at_ms,
            signature=new.signature,
        )
        self._rows.firmwares[firmware_id] = firmware
        self._organisation.announce_firmware(new.product_id)
        return firmware

    async def get(self, firmware_id: FirmwareId) -> Firmware | None:
        return self._rows.firmwares.get(firmware_id)

    async def by_version(self, product_id: ProductId, mcu: str, version: str) -> Firmware | None:
        found = [f for f in self._of(product_id, mcu) if f.version == version]
        return max(found, key=lambda f: f.number, default=None)

    async def page(
        self, product_id: ProductId | None, *, before: int | None, limit: int
    ) -> list[Firmware]:
        return [
            firmware
            for firmware in reversed(self._rows.firmwares.values())
            if product_id in (None, firmware.product_id)
            if before is None or firmware.number < before
        ][:limit]

    async def newest_sequence(self, product_id: ProductId, mcu: str) -> int:
        return max((f.sequence for f in self._of(product_id, mcu)), default=0)

    async def change_state(
        self,
        firmware_id: FirmwareId,
        state: FirmwareState,
        *,
        from_states: Sequence[FirmwareState],
        at_ms: int,
    ) -> Firmware | None:
        firmware = self._rows.firmwares.get(firmware_id)
        if firmware is None or firmware.state not in from_states:
            return None
        return self._organisation.set_firmware_state(firmware, state, at_ms)

    async def catalogue(self, product_id: ProductId) -> Catalogue:
        firmwares = sorted(
            (
                f
                for f in self._rows.firmwares.values()
                if f.product_id == product_id and f.state is not FirmwareState.DRAFT
            ),
            key=lambda f: (-f.sequence, -f.number),
        )[:_CATALOGUE]
        newest = {campaign.firmware_id: campaign for campaign in self._rows.campaigns.values()}
        return Catalogue(tuple(firmwares), tuple(newest[f.id] for f in firmwares if f.id in newest))

    async def add_key(self, key: SigningKey) -> bool:
        self._demand_product(key.product_id)
        if (key.product_id, key.id) in self._rows.keys:
            return False
        self._rows.keys[key.product_id, key.id] = key
        self._organisation.announce_firmware(key.product_id)
        return True

    async def keys(self, product_id: ProductId) -> list[SigningKey]:
        found = [key for key in self._rows.keys.values() if key.product_id == product_id]
        return sorted(found, key=lambda key: (key.created_at_ms, key.id))[:_KEYS]

    async def revoke_key(self, product_id: ProductId, key_id: str, *, at_ms: int) -> bool:
        key = self._rows.keys.get((product_id, key_id))
        if key is None:
            return False
        if key.revoked_at_ms is None:
            self._rows.keys[product_id, key_id] = replace(key, revoked_at_ms=at_ms)
            self._organisation.announce_firmware(product_id)
        return True

    async def needs_signature(self, product_id: ProductId) -> bool:
        return product_id in self._rows.need_signature

    async def set_needs_signature(self, product_id: ProductId, *, is_needed: bool) -> bool:
        if product_id not in self._organisation.products:
            return False
        (self._rows.need_signature.add if is_needed else self._rows.need_signature.discard)(
            product_id
        )
        self._organisation.announce_firmware(product_id)
        return True

    async def used_digests(self, digests: Sequence[bytes]) -> set[bytes]:
        return {f.digests.sha256 for f in self._rows.firmwares.values()}.intersection(digests)

    def _of(self, product_id: ProductId, mcu: str) -> list[Firmware]:
        return [
            f for f in self._rows.firmwares.values() if (f.product_id, f.mcu) == (product_id, mcu)
        ]

    def _demand_product(self, product_id: ProductId) -> None:
        if product_id not in self._organisation.products:
            raise ProductNotFoundError(f"id {product_id}")


class MemoryUpdateStore:
    """Keeps updates, what things run, and timelines, of the organisation's things only."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._rows = organisation.firmware

    async def record(self, thing_id: ThingId) -> ThingRecord:
        return ThingRecord(
            tuple(update for update in self._sorted() if update.thing_id == thing_id),
            tuple(row for key, row in sorted(self._rows.running.items()) if key[0] == thing_id),
        )

    async def save(self, steps: Sequence[Step]) -> list[Update | None]:
        return [self._save(step) for step in steps]

    def _save(self, step: Step) -> Update | None:
        update = step.update
        if update.thing_id not in self._organisation.things:
            return None
        kept = self._rows.updates.get((update.thing_id, update.firmware_id))
        if (kept.revision if kept else 0) != update.revision:
            return None
        self._rows.note(step.events)
        if any(event.kind == "released" for event in step.events):
            self._organisation.announce_firmware(update.product_id)
        if kept is None:
            return self._rows.put_new(update)
        return self._rows.put(replace(update, action=kept.action))

    async def save_running(self, running: Sequence[Running]) -> None:
        for row in running:
            if row.thing_id in self._organisation.things:
                self._rows.running[row.thing_id, row.mcu] = row

    async def by_action(self, thing_id: ThingId, action: int) -> Update | None:
        return next(
            (u for u in self._sorted() if (u.thing_id, u.action) == (thing_id, action)), None
        )

    async def timeline(
        self, thing_id: ThingId, *, before: int | None, limit: int
    ) -> list[tuple[int, UpdateEvent]]:
        return [
            entry
            for entry in reversed(self._rows.timelines.get(thing_id, []))
            if before is None or entry[0] < before
        ][:limit]

    async def under_way(
        self, states: Sequence[UpdateState], *, after: int, limit: int
    ) -> list[Update]:
        return [u for u in self._sorted() if u.state in states and u.action > after][:limit]

    def _sorted(self) -> list[Update]:
        return sorted(self._rows.updates.values(), key=lambda update: update.action)
