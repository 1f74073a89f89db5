"""What all that is known of a thing makes of something that happened: the steps to store.

Pure: `meanings.py` and `progress.py` look at one update, this at all of a thing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from thingstead.features.campaigns.model import Campaign
from thingstead.features.campaigns.rings import ring_of
from thingstead.features.firmware.eligibility import is_newer
from thingstead.features.firmware.meanings import (
    Terms,
    What,
    begins_anew,
    is_proof,
    last_doing_ms,
    meaning_of_report,
    meaning_of_status,
    terms_of,
    words_of,
)
from thingstead.features.firmware.model import (
    Firmware,
    FirmwareLimits,
    Report,
    Running,
    Step,
    ThingRecord,
    Update,
    UpdateState,
)
from thingstead.features.firmware.progress import is_blocked, new_update, step
from thingstead.features.firmware.status import Status, printable
from thingstead.features.firmware.stock import Item, Stock, key_of
from thingstead.features.firmware.versions import MAX_VERSION_CHARACTERS, MCU
from thingstead.kernel.ids import FirmwareId, ThingId

_BEGINNINGS: Final = (What.FETCHES, What.HAS_ALL)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges by what a product has to offer, at one moment.

    Updates to images that the catalogue does not name (it names a thousand) stay as they are.
    """

    stock: Stock
    limits: FirmwareLimits
    now_ms: int

    def after_report(
        self,
        record: ThingRecord,
        mcu: str,
        version: str,
        *,
        sure_of: FirmwareId | None = None,
    ) -> list[Step]:
        """Return what follows from a report; `sure_of` is the update that the thing calls done."""
        steps: list[Step | None] = []
        for update in record.updates:
            item = self.stock.by_id.get(update.firmware_id)
            if item is None:
                continue
            terms = terms_of(item, self.limits)
            what: What | None = None
            if update.firmware_id == sure_of:
                what = What.RUNS_IT
            elif update.mcu == mcu:
                what = self._meaning(update, item, terms, record, version)
            moved = None
            if what is not None:
                detail = f"reports {version}" if what is What.LEFT_IT else version
                moved = step(update, what, terms, now_ms=self.now_ms, detail=detail)
            # What a report changes is not proved by that very report.
            steps.append(moved or self._proved(update, terms, is_write=False))
        return _some(steps)

    def after_status(
        self, record: ThingRecord, firmware_id: FirmwareId, status: Status
    ) -> list[Step]:
        """Return what follows from what the thing says of one update, other than success."""
        update, item = update_of(record, firmware_id), self.stock.by_id.get(firmware_id)
        if update is None or item is None:
            return []
        terms = terms_of(item, self.limits)
        what, detail = meaning_of_status(update, terms, status)
        moved = None
        if what not in _BEGINNINGS or _may_begin(update, item, terms):
            moved = step(update, what, terms, now_ms=self.now_ms, detail=detail)
        if moved is None:
            moved = self._proved(update, terms, is_write=False)
        if moved is None and what is not What.FAILS:
            moved = step(update, What.SAID, terms, now_ms=self.now_ms, detail=words_of(status))
        return _some([moved])

    def after_service(
        self,
        record: ThingRecord,
        thing_id: ThingId,
        firmware_id: FirmwareId,
        what: What,
        campaign: Campaign | None = None,
    ) -> list[Step]:
        """Return what follows from offering the image, or from giving out bytes of it."""
        item = self.stock.by_id.get(firmware_id)
        if item is None:
            return []
        terms = terms_of(item, self.limits)
        update = update_of(record, firmware_id)
        if update is None:
            update = _first(thing_id, item.firmware, campaign or item.campaign, self.now_ms)
        elif what is What.FETCHES and not begins_anew(update, terms, now_ms=self.now_ms):
            return []
        return _some([step(update, what, terms, now_ms=self.now_ms)])

    def after_proof(self, record: ThingRecord, *, is_write: bool) -> list[Step]:
        """Return what follows from a write, or from another contact."""
        return _some(
            self._proved(update, terms_of(item, self.limits), is_write=is_write)
            for update in record.updates
            if (item := self.stock.by_id.get(update.firmware_id)) is not None
        )

    def after(self, record: ThingRecord, firmware_id: FirmwareId, what: What) -> list[Step]:
        """Return what follows for one update from something that needs no look at others."""
        update = update_of(record, firmware_id)
        return [] if update is None else self.moved(update, what)

    def moved(self, update: Update, what: What, detail: str = "") -> list[Step]:
        """Return the step of the update, if there is one."""
        item = self.stock.by_id.get(update.firmware_id)
        if item is None:
            return []
        terms = terms_of(item, self.limits)
        return _some([step(update, what, terms, now_ms=self.now_ms, detail=detail)])

    def _meaning(
        self, update: Update, item: Item, terms: Terms, record: ThingRecord, version: str
    ) -> What | None:
        key = key_of(version)
        before = running_of(record, update.mcu)
        return meaning_of_report(
            update,
            terms,
            key,
            key_before=None if before is None else key_of(before.version),
            is_newer=is_newer(self.stock, item, key),
            is_superseded=_is_superseded(update, record),
            now_ms=self.now_ms,
        )

    def _proved(self, update: Update, terms: Terms, *, is_write: bool) -> Step | None:
        if not is_proof(update, terms, is_write=is_write, now_ms=self.now_ms):
            return None
        return step(update, What.PROVED, terms, now_ms=self.now_ms)


def version_said(stock: Stock, report: Report) -> tuple[str, str] | None:
    """Return of which MCU the report tells which version, or None when it tells none.

    The MD5 of what runs goes before what is said about it.
    """
    mcu = stock.mcu_meant(report.mcu)
    if mcu is None or MCU.fullmatch(mcu) is None:
        return None
    version = None if report.version is None else printable(report.version, MAX_VERSION_CHARACTERS)
    if report.md5 is not None:
        version = stock.version_with_md5(mcu, report.md5, version) or version
    return (mcu, version) if version else None


def running_of(record: ThingRecord, mcu: str) -> Running | None:
    """Return what the MCU runs by its last report."""
    return next((running for running in record.running if running.mcu == mcu), None)


def update_of(record: ThingRecord, firmware_id: FirmwareId) -> Update | None:
    """Return the thing's update to the image."""
    return next((each for each in record.updates if each.firmware_id == firmware_id), None)


def _may_begin(update: Update, item: Item, terms: Terms) -> bool:
    """Return whether words alone may count as a download.

    One that has begun may end whatever happens to the campaign, so that a thing which never
    began must not come to that by saying so.
    """
    if update.state is UpdateState.DOWNLOADING:
        return True
    if terms.is_withdrawn or is_blocked(update, terms):
        return False
    campaign = item.campaign
    return campaign is None or (
        update.campaign_id == campaign.id and update.ring <= campaign.open_ring
    )


def _some(steps: Iterable[Step | None]) -> list[Step]:
    return [each for each in steps if each is not None]


def _first(thing_id: ThingId, firmware: Firmware, campaign: Campaign | None, now_ms: int) -> Update:
    ring = 0 if campaign is None else ring_of(campaign.id, thing_id, campaign.plan.rings)
    return new_update(thing_id, firmware, campaign, ring=ring, now_ms=now_ms)


def _is_superseded(update: Update, record: ThingRecord) -> bool:
    since_ms = last_doing_ms(update)
    return any(
        other.mcu == update.mcu and last_doing_ms(other) > since_ms for other in record.updates
    )
