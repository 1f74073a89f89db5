"""Which image of an MCU a thing may have now, and why not a newer one.

Pure. The order of the checks is that of what helps most to know: a thing that is up to date is
told so, whatever ring would have been its own. Looking up rings may take a query, so that a
ring which is not known yet is asked for (`Choice.wanted`), and the choice made anew with it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from thingstead.features.campaigns.model import ENDED, Campaign, CampaignState
from thingstead.features.firmware.meanings import terms_of
from thingstead.features.firmware.model import (
    Firmware,
    FirmwareLimits,
    FirmwareState,
    Update,
    UpdateState,
)
from thingstead.features.firmware.progress import is_blocked
from thingstead.features.firmware.stock import Item, Stock
from thingstead.features.firmware.versions import VersionKey
from thingstead.kernel.ids import FirmwareId


class Reason(StrEnum):
    """Why a thing is offered nothing; the first that applies goes before those below."""

    BLOCKED = "blocked"
    HALTED = "halted"
    PAUSED = "paused"
    RING_NOT_OPEN = "ring_not_open"
    VERSION_TOO_OLD = "version_too_old"
    VERSION_UNKNOWN = "version_unknown"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    UP_TO_DATE = "up_to_date"
    NOT_A_TARGET = "not_a_target"
    NO_FIRMWARE = "no_firmware"


_RANK: Final = {reason: rank for rank, reason in enumerate(Reason)}


class Unknown:
    """The type of `UNKNOWN`."""

    __slots__ = ()


UNKNOWN: Final = Unknown()
"""The ring of a thing that is not known yet; None is the one of a thing that is no target."""

RingOf = Callable[[Campaign], int | Unknown | None]


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of the thing whose image is looked for."""

    updates: Mapping[FirmwareId, Update]
    """Its updates by image."""
    running: VersionKey | None
    """Which version it said it runs in this request; images that are not newer are left out."""
    known: VersionKey | None
    """Which version it runs by all that is known, for images that demand one."""
    now_ms: int
    ring_of: RingOf


@dataclass(frozen=True, slots=True)
class Choice:
    """What is offered for one MCU, why it is nothing, or what is to be known first."""

    item: Item | None = None
    reason: Reason | None = None
    ring_is_next: bool = False
    """Whether a newer image waits in a ring that opens next."""
    wanted: Campaign | None = None


def choose(stock: Stock, mcu: str, situation: Situation, limits: FirmwareLimits) -> Choice:
    """Return the newest image of the MCU that the thing may have now."""
    reason = Reason.NO_FIRMWARE
    ring_is_next = False
    for item in stock.by_mcu.get(mcu, ()):
        why = _why_not(stock, item, situation, limits)
        if why is None:
            return Choice(item, ring_is_next=ring_is_next)
        if isinstance(why, Campaign):
            return Choice(wanted=why)
        if why is Reason.RING_NOT_OPEN and item.campaign is not None:
            ring = situation.ring_of(item.campaign)
            ring_is_next = ring_is_next or ring == item.campaign.open_ring + 1
        reason = first_of((reason, why))
        if why is Reason.UP_TO_DATE and mcu not in stock.with_reverts:
            break  # All that follow are older still.
    return Choice(reason=reason, ring_is_next=ring_is_next)


def first_of(reasons: Iterable[Reason]) -> Reason:
    """Return the reason that says most."""
    return min(reasons, key=_RANK.__getitem__, default=Reason.NO_FIRMWARE)


def may_have(item: Item, situation: Situation, limits: FirmwareLimits) -> bool | Campaign:
    """Return whether the thing may fetch the image now, or the campaign whose ring is wanted.

    Here the version that runs does not matter, unless the image demands one. A download that has
    begun may go on while the campaign is paused, or after the image was deprecated.
    """
    if _may_finish(item, situation):
        return True
    why = _why_not_at_all(item, situation, limits)
    return why if isinstance(why, Campaign) else why is None


def is_newer(stock: Stock, item: Item, running: VersionKey) -> bool:
    """Return whether the version that runs is newer than the image, and is meant to stay.

    An image that brings an earlier version back replaces newer ones that were withdrawn.
    """
    return running > item.key and not _is_to_be_replaced(stock, item, running)


def _is_to_be_replaced(stock: Stock, item: Item, running: VersionKey) -> bool:
    if not item.firmware.is_revert:
        return False
    ours = stock.newest_of(item.firmware.mcu, running)
    return ours is not None and ours.firmware.state is not FirmwareState.PUBLISHED


def _may_finish(item: Item, situation: Situation) -> bool:
    update = situation.updates.get(item.firmware.id)
    if update is None or item.firmware.state is FirmwareState.REVOKED:
        return False
    is_loading = update.state is UpdateState.DOWNLOADING or (
        # Of a download in parts the last byte may come before others.
        update.state is UpdateState.DOWNLOADED
        and situation.now_ms - update.changed_at_ms <= _PARTS_MAY_FOLLOW_MS
    )
    has_halted = item.campaign is not None and item.campaign.state in _HALTED
    return is_loading and not has_halted and not _has_expired(item.firmware, situation.now_ms)


def _why_not(
    stock: Stock, item: Item, situation: Situation, limits: FirmwareLimits
) -> Reason | Campaign | None:
    running = situation.running
    if item.firmware.state is not FirmwareState.PUBLISHED:
        return Reason.NO_FIRMWARE
    if running is not None and (running == item.key or is_newer(stock, item, running)):
        return Reason.UP_TO_DATE
    return _why_not_at_all(item, situation, limits)


def _why_not_at_all(
    item: Item, situation: Situation, limits: FirmwareLimits
) -> Reason | Campaign | None:
    update = situation.updates.get(item.firmware.id)
    why = _why_not_by_image(item, situation)
    if why is not None:
        return why
    if update is not None and is_blocked(update, terms_of(item, limits)):
        return Reason.BLOCKED
    return None if item.campaign is None else _why_not_by_campaign(item.campaign, situation)


def _why_not_by_image(item: Item, situation: Situation) -> Reason | None:
    firmware, now_ms = item.firmware, situation.now_ms
    if firmware.state is not FirmwareState.PUBLISHED:
        return Reason.NO_FIRMWARE
    if firmware.not_before_ms is not None and now_ms < firmware.not_before_ms:
        return Reason.NOT_YET
    if _has_expired(firmware, now_ms):
        return Reason.EXPIRED
    if item.min_key is not None:
        if situation.known is None:
            return Reason.VERSION_UNKNOWN
        if situation.known < item.min_key:
            return Reason.VERSION_TOO_OLD
    return None


def _why_not_by_campaign(campaign: Campaign, situation: Situation) -> Reason | Campaign | None:
    if campaign.state in ENDED:
        return Reason.NO_FIRMWARE
    if campaign.state is CampaignState.PREPARING:
        return Reason.RING_NOT_OPEN
    ring = situation.ring_of(campaign)
    if isinstance(ring, Unknown):
        return campaign
    if ring is None:
        return Reason.NOT_A_TARGET
    if ring > campaign.open_ring:
        return Reason.RING_NOT_OPEN
    return _STANDING_STILL.get(campaign.state)


def _has_expired(firmware: Firmware, now_ms: int) -> bool:
    return firmware.expires_at_ms is not None and now_ms >= firmware.expires_at_ms


_HALTED: Final = ENDED | {CampaignState.HALTED}
_PARTS_MAY_FOLLOW_MS: Final = 3_600_000
_STANDING_STILL: Final = {
    CampaignState.PAUSED: Reason.PAUSED,
    CampaignState.HALTED: Reason.HALTED,
}
