"""Every service of a running server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from thingstead import limits as from_settings
from thingstead.bootstrap.administration import Administration, open_administration
from thingstead.bootstrap.firmware import FirmwareServices, firmware_services
from thingstead.bootstrap.people import People, Reading, people_of
from thingstead.bus.memory import MemoryBus
from thingstead.features.devices.service import Devices, DeviceThings
from thingstead.features.kept_sessions.service import KeptSessions
from thingstead.features.links.service import Links
from thingstead.features.live.service import Live
from thingstead.features.magic.service import Magic
from thingstead.features.mail.service import Mail
from thingstead.features.products.service import Products
from thingstead.features.streams.service import Streams
from thingstead.features.tags.service import Tags
from thingstead.features.things.service import Things
from thingstead.features.values.retention import Retention
from thingstead.features.values.service import Values
from thingstead.hashing.argon2 import Argon2Hasher, parameters_for_this_machine
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock
from thingstead.settings import Settings
from thingstead.storage.sqlite.value_store import SQLiteValueStore


@dataclass(frozen=True, slots=True)
class Platform:
    """The services; `open_platform` opens and closes them."""

    administration: Administration
    people: People
    values: Values
    magic: Magic
    devices: Devices
    tags: Tags
    live: Live
    streams: Streams
    retention: Retention
    store: SQLiteValueStore
    bus: MemoryBus
    kept_sessions: KeptSessions
    firmware: FirmwareServices

    @property
    def things(self) -> Things:
        """The things service."""
        return self.administration.things

    @property
    def products(self) -> Products:
        """The products service."""
        return self.administration.products

    @property
    def links(self) -> Links:
        """The links service."""
        return self.administration.links

    @property
    def mail(self) -> Mail:
        """The mail service."""
        return self.administration.mail

    @property
    def changes(self) -> Changes:
        """What tells services that something they remember has changed."""
        return self.administration.changes

    @property
    def clock(self) -> Clock:
        """The clock that all services share."""
        return self.administration.clock


@asynccontextmanager
async def open_platform(settings: Settings) -> AsyncIterator[Platform]:
    """Open everything."""
    limits = settings.limits
    async with AsyncExitStack() as stack:
        administration = await stack.enter_async_context(open_administration(settings))
        store = await SQLiteValueStore.open(
            settings.data_folder / "values.db", from_settings.value_store_limits(limits)
        )
        stack.push_async_callback(store.close)
        parameters = parameters_for_this_machine()
        hasher = Argon2Hasher(
            parameters.memory_kib,
            parameters.passes,
            lanes=parameters.lanes,
            waiting=limits.waiting_passwords,
        )
        stack.push_async_callback(hasher.close)
        bus = MemoryBus()
        clock = administration.clock
        live = Live(bus, from_settings.live_limits(limits))
        values = Values(
            store,
            bus,
            clock,
            limits=from_settings.write_limits(settings),
            rate=from_settings.write_rate(limits),
        )
        magic = Magic(store, max_document_bytes=limits.document_bytes)
        people = people_of(settings, administration, hasher, Reading(values, magic, store, bus))
        # Those who are told last wake the streams: by then everybody else has forgotten.
        administration.changes.listen(Kind.THING, live.recheck)
        administration.changes.listen(Kind.USER, live.recheck)
        administration.changes.listen(Kind.APP, lambda _app: live.recheck())
        administration.changes.listen(Kind.LETTER, lambda _letter: administration.mail.wake())
        yield Platform(
            administration,
            people,
            values,
            magic,
            _devices(settings, administration, values, magic),
            Tags(administration.core.tags, clock, max_tags=limits.tags_per_thing),
            live,
            Streams(
                live,
                administration.things,
                people.resources,
                people.collections,
                store.replay,
            ),
            Retention(store, clock, max_age_days=settings.retention_days),
            store,
            bus,
            _kept_sessions(settings, administration, store),
            firmware_services(
                settings, administration.firmware, administration.core, bus, clock=clock
            ),
        )


def _devices(
    settings: Settings, administration: Administration, values: Values, magic: Magic
) -> Devices:
    core = administration.core
    return Devices(
        core.devices,
        core.products,
        DeviceThings(
            administration.things, values, magic, seal=administration.seal, ids=administration.ids
        ),
        administration.changes,
        clock=administration.clock,
        limits=from_settings.thing_limits(settings.limits).tokens,
    )


def _kept_sessions(
    settings: Settings, administration: Administration, store: SQLiteValueStore
) -> KeptSessions:
    core, seal = administration.core, administration.seal
    limits = from_settings.kept_session_limits(settings.limits)
    return KeptSessions(
        core.kept_sessions(seal, limits),
        core.waiting_messages(seal, limits),
        store.deliveries,
        ids=administration.ids,
        clock=administration.clock,
        limits=limits,
    )
