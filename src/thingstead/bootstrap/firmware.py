"""Firmware and campaigns: what the command line needs of them, and what a server has besides."""

from dataclasses import dataclass

from thingstead import limits as from_settings
from thingstead.features.campaigns.engine import Engine
from thingstead.features.campaigns.service import Campaigns
from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.membership import Membership
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.ports import BlobStore
from thingstead.features.firmware.publishing import Publishing
from thingstead.features.firmware.updates import Updates
from thingstead.features.firmware.watching import Watching
from thingstead.features.live.ports import Bus
from thingstead.kernel.changes import Changes
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import IdSource
from thingstead.sealing.signatures import PublicKeys
from thingstead.settings import Settings, SettingsError
from thingstead.storage.blobs.opening import open_blobs
from thingstead.storage.sqlite.core import CoreDatabase


@dataclass(frozen=True, slots=True)
class FirmwareAdministration:
    """What the command line works with."""

    blobs: BlobStore
    publishing: Publishing
    campaigns: Campaigns
    catalogues: Catalogues
    updates: Updates


@dataclass(frozen=True, slots=True)
class FirmwareServices:
    """What a running server has besides."""

    membership: Membership
    offers: Offers
    watching: Watching
    engine: Engine


def blobs_of(settings: Settings) -> BlobStore:
    """Return where the bytes of images are kept; opens nothing yet.

    Raises:
        SettingsError: `blobs` cannot be used.
    """
    try:
        return open_blobs(settings.data_folder / "blobs", settings.blobs)
    except ValueError as exc:
        raise SettingsError(f"blobs: {exc}") from exc


def firmware_administration(
    settings: Settings,
    core: CoreDatabase,
    blobs: BlobStore,
    changes: Changes,
    *,
    ids: IdSource,
    clock: Clock,
) -> FirmwareAdministration:
    """Return the services; who made the blob store closes it."""
    limits = from_settings.firmware_limits(settings.limits)
    catalogues = Catalogues(core.firmwares, changes)
    publishing = Publishing(
        core.firmwares, blobs, PublicKeys(), changes, ids=ids, clock=clock, limits=limits
    )
    return FirmwareAdministration(
        blobs=blobs,
        publishing=publishing,
        campaigns=Campaigns(
            core.campaigns, publishing, core.firmwares, changes, ids=ids, clock=clock
        ),
        catalogues=catalogues,
        updates=Updates(core.firmware_updates, catalogues, changes, clock=clock, limits=limits),
    )


def firmware_services(
    settings: Settings,
    firmware: FirmwareAdministration,
    core: CoreDatabase,
    bus: Bus,
    *,
    clock: Clock,
) -> FirmwareServices:
    """Return what offers images to things and follows their updates."""
    membership = Membership(core.campaigns, firmware.updates, clock)
    return FirmwareServices(
        membership=membership,
        offers=Offers(
            firmware.catalogues,
            firmware.updates,
            membership,
            firmware.blobs,
            clock=clock,
            limits=from_settings.firmware_limits(settings.limits),
        ),
        watching=Watching(firmware.updates, bus, core.firmware_updates, clock),
        engine=Engine(core.campaigns, firmware.updates, firmware.campaigns, clock),
    )
