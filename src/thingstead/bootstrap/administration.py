"""What the command line works with: everything but values and live updates."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from thingstead import limits as from_settings
from thingstead.bootstrap.firmware import (
    FirmwareAdministration,
    blobs_of,
    firmware_administration,
)
from thingstead.features.apps.service import Apps
from thingstead.features.campaigns.service import Campaigns
from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.publishing import Publishing
from thingstead.features.firmware.updates import Updates
from thingstead.features.links.service import Links
from thingstead.features.mail.ports import Postman
from thingstead.features.mail.service import Mail
from thingstead.features.products.service import Products
from thingstead.features.things.service import Things
from thingstead.kernel.changes import Changes
from thingstead.kernel.clock import Clock, SystemClock
from thingstead.kernel.ids import IdSource, SystemIdSource
from thingstead.mail.console import ConsolePostman
from thingstead.mail.letters import LetterWriter
from thingstead.mail.smtp import SMTPPostman
from thingstead.mail.url import ConsoleMail, parse_mail_url
from thingstead.sealing.aesgcm import AESGCMSeal, load_or_create_key
from thingstead.settings import Settings, SettingsError
from thingstead.storage.sqlite.core import CoreDatabase, open_core


@dataclass(frozen=True, slots=True)
class Administration:
    """The services; who opened them closes them."""

    products: Products
    things: Things
    apps: Apps
    links: Links
    mail: Mail
    core: CoreDatabase
    seal: AESGCMSeal
    ids: IdSource
    clock: Clock
    changes: Changes
    firmware: FirmwareAdministration

    @property
    def publishing(self) -> Publishing:
        """The images of products."""
        return self.firmware.publishing

    @property
    def campaigns(self) -> Campaigns:
        """The campaigns."""
        return self.firmware.campaigns

    @property
    def catalogues(self) -> Catalogues:
        """What products have to offer."""
        return self.firmware.catalogues

    @property
    def updates(self) -> Updates:
        """How far the updates of things have come."""
        return self.firmware.updates


@asynccontextmanager
async def open_administration(settings: Settings) -> AsyncIterator[Administration]:
    """Open what the command line needs; makes the data folder when it is missing."""
    folder = settings.data_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seal = AESGCMSeal(load_or_create_key(folder / "secret.key"))
    clock = SystemClock()
    ids = SystemIdSource()
    postman = postman_of(settings)
    blobs = blobs_of(settings)
    core = await open_core(folder / "core.db", from_settings.object_store_limits(settings.limits))
    try:
        changes = Changes(core.change_signal, clock)
        things = Things(
            core.things,
            seal,
            changes,
            ids=ids,
            clock=clock,
            limits=from_settings.thing_limits(settings.limits),
            shows_all_epochs=settings.history_follows_thing,
        )
        links = Links(
            core.links,
            core.link_ids,
            things,
            changes,
            clock=clock,
            limits=from_settings.link_limits(settings.limits),
        )
        yield Administration(
            products=Products(core.products, seal, changes, ids=ids, clock=clock),
            things=things,
            apps=Apps(core.apps, ids, clock, changes),
            links=links,
            mail=Mail(core.outbox, postman, seal, clock),
            core=core,
            seal=seal,
            ids=ids,
            clock=clock,
            changes=changes,
            firmware=firmware_administration(settings, core, blobs, changes, ids=ids, clock=clock),
        )
    finally:
        await core.close()
        await blobs.close()


def postman_of(settings: Settings) -> Postman:
    """Return who carries mail out, as the settings say.

    Raises:
        SettingsError: one of them cannot be used.
    """
    try:
        writer = LetterWriter(
            public_url=settings.url(settings.port),
            sender=settings.mail_from or settings.default_sender,
        )
        mail = parse_mail_url(settings.mail)
    except ValueError as exc:
        raise SettingsError(f"mail, mail_from or public_url: {exc}") from exc
    return ConsolePostman(writer) if isinstance(mail, ConsoleMail) else SMTPPostman(mail, writer)
