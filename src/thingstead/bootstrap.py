"""The composition root: settings become adapters, adapters become services.

The only place that knows both what a feature needs and which technology provides it. Nothing
is opened by importing; `open_platform` opens, and closes in reverse order. What needs doing
from time to time while a server runs is in `chores.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from thingstead import limits as from_settings
from thingstead.bus.memory import MemoryBus
from thingstead.features.apps.service import Apps
from thingstead.features.collections.service import Collections
from thingstead.features.devices.service import Devices, DeviceThings
from thingstead.features.kept_sessions.service import KeptSessions
from thingstead.features.links.service import Links
from thingstead.features.live.service import Live
from thingstead.features.magic.service import Magic
from thingstead.features.mail.ports import Postman
from thingstead.features.mail.service import Mail
from thingstead.features.products.service import Products
from thingstead.features.sharing.reaches import Reaches
from thingstead.features.sharing.resources import UserResources
from thingstead.features.sharing.service import Sharing
from thingstead.features.streams.service import Streams
from thingstead.features.tags.service import Tags
from thingstead.features.things.service import Things
from thingstead.features.users.account_changes import AccountChanges
from thingstead.features.users.accounts import Accounts, PasswordRules, UserStores
from thingstead.features.users.errands import Errands
from thingstead.features.users.letters import Letters
from thingstead.features.users.login_guard import LoginGuard
from thingstead.features.users.recovery import Recovery
from thingstead.features.users.sessions import Sessions
from thingstead.features.users.tickets import TicketLimits, Tickets
from thingstead.features.users.user_settings import UserSettings
from thingstead.features.values.retention import Retention
from thingstead.features.values.service import Values
from thingstead.hashing.argon2 import Argon2Hasher, parameters_for_this_machine
from thingstead.hashing.common_passwords import CommonPasswordList
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock, SystemClock
from thingstead.kernel.guesses import Guesses
from thingstead.kernel.ids import IdSource, SystemIdSource
from thingstead.mail.console import ConsolePostman
from thingstead.mail.letters import LetterWriter
from thingstead.mail.smtp import SMTPPostman
from thingstead.mail.url import ConsoleMail, parse_mail_url
from thingstead.sealing.aesgcm import AESGCMSeal, load_or_create_key
from thingstead.settings import Settings, SettingsError
from thingstead.storage.sqlite.core import CoreDatabase, open_core
from thingstead.storage.sqlite.value_store import SQLiteValueStore


@dataclass(frozen=True, slots=True)
class Administration:
    """What the command line works with: everything but values and live updates."""

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


@dataclass(frozen=True, slots=True)
class People:
    """What app users meet: their accounts, and what they do with things and objects."""

    accounts: Accounts
    account_changes: AccountChanges
    settings: UserSettings
    recovery: Recovery
    errands: Errands
    sessions: Sessions
    tickets: Tickets
    reaches: Reaches
    sharing: Sharing
    resources: UserResources
    collections: Collections


@dataclass(frozen=True, slots=True)
class Platform:
    """Every service of a running server."""

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
async def open_administration(settings: Settings) -> AsyncIterator[Administration]:
    """Open what the command line needs; makes the data folder when it is missing."""
    folder = settings.data_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seal = AESGCMSeal(load_or_create_key(folder / "secret.key"))
    clock = SystemClock()
    ids = SystemIdSource()
    postman = postman_of(settings)
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
        )
    finally:
        await core.close()


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
        people = _people(settings, administration, hasher, _Reading(values, magic, store, bus))
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


@dataclass(frozen=True, slots=True)
class _Reading:
    """What gives users their values."""

    values: Values
    magic: Magic
    store: SQLiteValueStore
    bus: MemoryBus


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


def _people(
    settings: Settings, administration: Administration, hasher: Argon2Hasher, reading: _Reading
) -> People:
    core, clock, changes = administration.core, administration.clock, administration.changes
    ids, seal, apps = administration.ids, administration.seal, administration.apps
    limits = from_settings.user_limits(settings.limits)
    passwords = PasswordRules(hasher, CommonPasswordList())
    guard = LoginGuard(clock, limits.guesses, asyncio.sleep)
    letters = Letters(seal, ids, clock, limits)
    errands = Errands()
    guesses = Guesses(
        "links that do not work", clock, bad=limits.tokens.bad, spare=limits.tokens.spare
    )
    account_changes = AccountChanges(
        core.accounts, passwords, guard, letters, clock=clock, changes=changes
    )
    reaches = Reaches(core.reach, changes, shows_all_epochs=settings.history_follows_thing)
    sessions = Sessions(core.sessions, apps, clock, changes, limits=limits)
    return People(
        accounts=Accounts(
            UserStores(core.accounts, core.sessions),
            apps,
            passwords,
            guard,
            letters,
            ids=ids,
            clock=clock,
            changes=changes,
            limits=limits,
            sleep=asyncio.sleep,
            errands=errands,
        ),
        account_changes=account_changes,
        settings=UserSettings(core.user_settings, account_changes, limits),
        recovery=Recovery(
            core.accounts,
            core.mail_links,
            apps,
            passwords,
            letters,
            clock=clock,
            changes=changes,
            limits=limits,
            sleep=asyncio.sleep,
            guard=guard,
            errands=errands,
            guesses=guesses,
        ),
        errands=errands,
        sessions=sessions,
        tickets=Tickets(sessions, ids, clock, TicketLimits()),
        reaches=reaches,
        sharing=Sharing(
            core.grants,
            reaches,
            changes,
            archive=reading.store.archive,
            clock=clock,
            ids=ids,
            seal=seal,
            limits=from_settings.sharing_limits(settings.limits),
            guesses=guesses,
        ),
        resources=UserResources(
            reaches,
            administration.things,
            reading.values,
            reading.magic,
            reading.store.archive,
            role_entries=settings.limits.role_entries,
        ),
        collections=Collections(
            core.objects,
            reading.bus,
            ids,
            clock,
            limits=from_settings.collection_limits(settings.limits),
            replay=core.objects.replay,
        ),
    )
