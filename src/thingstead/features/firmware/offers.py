"""Which images a thing is offered, which it may fetch, and how many downloads there may be.

Stands on every poll, so that of a thing with nothing to do neither asks the store nor waits.
What is eligible is decided in `eligibility.py`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from thingstead.features.campaigns.model import ENDED, Campaign, CampaignState
from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.eligibility import (
    Choice,
    Situation,
    Unknown,
    choose,
    first_of,
    may_have,
)
from thingstead.features.firmware.errors import (
    FirmwareNotFoundError,
    TooManyDownloadsError,
    UpdateNotFoundError,
)
from thingstead.features.firmware.judge import running_of, update_of, version_said
from thingstead.features.firmware.membership import Membership
from thingstead.features.firmware.model import (
    NO_REPORT,
    UNDER_WAY,
    Firmware,
    FirmwareLimits,
    FirmwareState,
    Report,
    ThingRecord,
    Update,
    UpdateState,
)
from thingstead.features.firmware.pace import Pace, poll_after
from thingstead.features.firmware.ports import Blob, BlobStore
from thingstead.features.firmware.stock import Item, Stock, key_of
from thingstead.features.firmware.updates import Updates
from thingstead.features.firmware.versions import VersionKey
from thingstead.features.things.model import Thing
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import CampaignId, FirmwareId, ThingId

_RETRY_AFTER_S = 30
_UNDER_WAY_FOR_MS = 3_600_000
"""An update that nothing was heard of for longer does not make a thing ask more often."""
_WORKED_ON: Final = (
    UpdateState.OFFERED,
    UpdateState.DOWNLOADING,
    UpdateState.DOWNLOADED,
    UpdateState.INSTALLING,
)
_HALTED: Final = ENDED | {CampaignState.HALTED}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a thing may fetch now."""

    firmwares: tuple[Firmware, ...]
    """At most one of each MCU, by the names of the MCUs."""
    reason: str | None
    """Why there is none: a word of `eligibility.Reason`; None when there is one."""
    poll_after_s: int


@dataclass(frozen=True, slots=True)
class Download:
    """A download under way: one request for bytes of an image, whole or a range."""

    blob: Blob
    firmware: Firmware
    _begun: Callable[[], Awaitable[None]]
    _finished: Callable[[], Awaitable[None]]

    async def begun(self) -> None:
        """Note that bytes are about to be given out; not for `HEAD`. Quick when noted before."""
        await self._begun()

    async def finished(self) -> None:
        """Note that the image's last byte was given out."""
        await self._finished()


class Offers:
    """Chooses images for things, and hands them out."""

    def __init__(
        self,
        catalogues: Catalogues,
        updates: Updates,
        membership: Membership,
        blobs: BlobStore,
        *,
        clock: Clock,
        limits: FirmwareLimits,
    ) -> None:
        self._catalogues = catalogues
        self._updates = updates
        self._membership = membership
        self._blobs = blobs
        self._clock = clock
        self._limits = limits
        self._downloads = 0
        self._downloads_of: dict[ThingId, int] = {}

    async def latest(self, thing: Thing, report: Report = NO_REPORT) -> Offer:
        """Take in the report, and return what is offered now; durably noted on return.

        Without a report the newest image of each MCU is listed, whatever the thing may have said
        earlier: the original clients compare themselves.
        """
        await self._updates.heard(thing, report)
        stock = await self._catalogues.stock_of(thing.product_id)
        said = version_said(stock, report)
        choices: list[Choice] = []
        for mcu in stock.by_mcu if report.mcu is None else (report.mcu,):
            running = key_of(said[1]) if said is not None and said[0] == mcu else None
            choices.append(await self._choose(thing, stock, mcu, running))
        items = [choice.item for choice in choices if choice.item is not None]
        for item in items:
            await self._updates.offered(thing, item.firmware, item.campaign)
        reason = None
        if not items:
            reason = first_of(choice.reason for choice in choices if choice.reason is not None)
        record = await self._updates.record(thing.id, thing.product_id)
        return Offer(
            tuple(item.firmware for item in items),
            reason,
            poll_after(thing.id, self._pace(record, choices), self._limits.poll_s),
        )

    async def find(self, thing: Thing, firmware_id: FirmwareId) -> Firmware:
        """Return the image if the thing may have it now.

        Raises:
            FirmwareNotFoundError: it may not, or there is none.
        """
        stock = await self._catalogues.stock_of(thing.product_id)
        item = stock.by_id.get(firmware_id)
        if item is None:
            raise FirmwareNotFoundError
        rings: dict[CampaignId, int | None] = {}
        while True:
            situation = await self._situation(thing, item.firmware.mcu, None, rings)
            answer = may_have(item, situation, self._limits)
            if isinstance(answer, Campaign):
                rings[answer.id] = await self._ring(thing, item, answer)
            elif answer:
                return item.firmware
            else:
                raise FirmwareNotFoundError

    def download(self, thing: Thing, firmware: Firmware) -> AbstractAsyncContextManager[Download]:
        """Take a place for a download and open the image, until the context is left.

        Raises (on entering):
            TooManyDownloadsError: the thing, or the server, has as many as it may.
            StoreUnavailableError: the bytes cannot be read.
        """
        return self._download(thing, firmware)

    async def action(self, thing: Thing, action: int) -> tuple[Update, Firmware]:
        """Return the thing's update with that number and its image, whatever their states.

        Raises:
            UpdateNotFoundError: there is none, or nothing was ever offered for it.
        """
        update = await self._updates.by_action(thing.id, action)
        stock = await self._catalogues.stock_of(thing.product_id)
        item = stock.by_id.get(update.firmware_id)
        if item is None or update.state is UpdateState.WAITING:
            raise UpdateNotFoundError
        return update, item.firmware

    async def withdrawn(self, thing: Thing) -> tuple[Update, Firmware] | None:
        """Return an update that the thing works on and must not go on with, newest first.

        Its image was revoked, or its campaign has halted or ended. For protocols that tell
        things to stop (hawkBit's cancel action).
        """
        stock = await self._catalogues.stock_of(thing.product_id)
        record = await self._updates.record(thing.id, thing.product_id)
        for update in sorted(record.updates, key=lambda each: -each.action):
            item = stock.by_id.get(update.firmware_id)
            if item is not None and update.state in _WORKED_ON and _is_withdrawn(item):
                return update, item.firmware
        return None

    async def _choose(
        self, thing: Thing, stock: Stock, mcu: str, running: VersionKey | None
    ) -> Choice:
        rings: dict[CampaignId, int | None] = {}
        while True:
            situation = await self._situation(thing, mcu, running, rings)
            choice = choose(stock, mcu, situation, self._limits)
            campaign = choice.wanted
            if campaign is None:
                return choice
            rings[campaign.id] = await self._ring(
                thing, stock.by_id[campaign.firmware_id], campaign
            )

    async def _situation(
        self,
        thing: Thing,
        mcu: str,
        running: VersionKey | None,
        rings: dict[CampaignId, int | None],
    ) -> Situation:
        record = await self._updates.record(thing.id, thing.product_id)

        def ring_of(campaign: Campaign) -> int | Unknown | None:
            if campaign.id in rings:
                return rings[campaign.id]
            return self._membership.known_ring(campaign, thing.id, record)

        reported = running_of(record, mcu)
        return Situation(
            {update.firmware_id: update for update in record.updates},
            running=running,
            known=running if reported is None else key_of(reported.version),
            now_ms=self._clock.now_ms(),
            ring_of=ring_of,
        )

    async def _ring(self, thing: Thing, item: Item, campaign: Campaign) -> int | None:
        record = await self._updates.record(thing.id, thing.product_id)
        running = running_of(record, item.firmware.mcu)
        # To an image that brings an older version back, a newer one is no reason to stay away.
        is_current = running is not None and (
            key_of(running.version) == item.key
            or (key_of(running.version) > item.key and not item.firmware.is_revert)
        )
        return await self._membership.ring_of(campaign, thing.id, is_current=is_current)

    def _pace(self, record: ThingRecord, choices: Iterable[Choice]) -> Pace:
        since_ms = self._clock.now_ms() - _UNDER_WAY_FOR_MS
        for update in record.updates:
            if update.state in UNDER_WAY and update.changed_at_ms >= since_ms:
                return Pace.UNDER_WAY
        return Pace.RING_IS_NEXT if any(each.ring_is_next for each in choices) else Pace.IDLE

    @asynccontextmanager
    async def _download(self, thing: Thing, firmware: Firmware) -> AsyncIterator[Download]:
        self._take_place(thing.id)
        try:
            blob = await self._blobs.open(firmware.digests.sha256)
            try:
                yield Download(
                    blob,
                    firmware,
                    lambda: self._begun(thing, firmware),
                    lambda: self._updates.downloaded(thing, firmware),
                )
            finally:
                blob.close()
        finally:
            self._give_back(thing.id)

    async def _begun(self, thing: Thing, firmware: Firmware) -> None:
        # Of a download in ranges all but the first find it noted.
        record = self._updates.known(thing.id)
        update = None if record is None else update_of(record, firmware.id)
        if update is None or update.state is not UpdateState.DOWNLOADING:
            await self._updates.begun(thing, firmware)

    def _take_place(self, thing_id: ThingId) -> None:
        of_thing = self._downloads_of.get(thing_id, 0)
        if of_thing >= self._limits.downloads_per_thing:
            raise TooManyDownloadsError(
                f"at most {self._limits.downloads_per_thing} of one thing at a time",
                retry_after_s=_RETRY_AFTER_S,
            )
        if self._downloads >= self._limits.downloads:
            raise TooManyDownloadsError(
                f"at most {self._limits.downloads} at a time", retry_after_s=_RETRY_AFTER_S
            )
        self._downloads += 1
        self._downloads_of[thing_id] = of_thing + 1

    def _give_back(self, thing_id: ThingId) -> None:
        self._downloads -= 1
        left = self._downloads_of[thing_id] - 1
        if left:
            self._downloads_of[thing_id] = left
        else:
            del self._downloads_of[thing_id]


def _is_withdrawn(item: Item) -> bool:
    has_halted = item.campaign is not None and item.campaign.state in _HALTED
    return has_halted or item.firmware.state is FirmwareState.REVOKED
