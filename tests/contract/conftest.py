"""The engines that the contract suite runs on. A new engine joins by adding its opener here."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from doubles.core import MemoryCore
from doubles.firmware_rig import new_firmware, stored_image
from thingstead.features.apps.model import App, AppSettings
from thingstead.features.apps.ports import AppStore
from thingstead.features.campaigns.model import Campaign, CampaignPlan
from thingstead.features.campaigns.ports import CampaignStore
from thingstead.features.collections.ports import ObjectStore
from thingstead.features.devices.ports import DeviceStore
from thingstead.features.firmware.model import Firmware
from thingstead.features.firmware.ports import FirmwareStore, UpdateStore
from thingstead.features.kept_sessions.model import KeptSessionLimits
from thingstead.features.kept_sessions.ports import KeptSessionStore, WaitingMessageStore
from thingstead.features.links.model import LinkOutcome
from thingstead.features.links.ports import LinkIdStore, LinkStore
from thingstead.features.mail.model import Occasion, SealedLetter
from thingstead.features.mail.ports import Outbox
from thingstead.features.products.model import Product, SealedCode
from thingstead.features.products.ports import ProductStore
from thingstead.features.sharing.model import Entry, Grant, GrantOutcome, Rights
from thingstead.features.sharing.ports import GrantStore, ReachStore
from thingstead.features.tags.ports import TagStore
from thingstead.features.things.model import SealedToken, Thing
from thingstead.features.things.ports import Seal, ThingStore
from thingstead.features.users.model import Account, NewSession, Session, User
from thingstead.features.users.ports import (
    AccountStore,
    MailLinkStore,
    SessionStore,
    SettingsStore,
)
from thingstead.kernel.changes import ChangeSignal
from thingstead.kernel.ids import (
    AppId,
    CampaignId,
    FirmwareId,
    GrantId,
    ProductId,
    SessionId,
    ThingId,
    UserId,
    digest,
)
from thingstead.storage.sqlite.core import open_core


class PurgeList(Protocol):
    """Remembers deleted things until their values are gone."""

    async def pending(self, limit: int) -> list[ThingId]: ...

    async def done(self, thing_id: ThingId) -> None: ...

    async def pending_epochs(self, limit: int) -> list[tuple[ThingId, int]]: ...

    async def epoch_done(self, thing_id: ThingId, epoch: int) -> None: ...

    async def pending_users(self, limit: int) -> list[UserId]: ...

    async def delete_objects(self, user_id: UserId, *, limit: int) -> int: ...

    async def user_done(self, user_id: UserId) -> None: ...


class Core(Protocol):
    """What every engine gives for the organisation's data."""

    @property
    def products(self) -> ProductStore: ...

    @property
    def things(self) -> ThingStore: ...

    @property
    def tags(self) -> TagStore: ...

    @property
    def devices(self) -> DeviceStore: ...

    @property
    def objects(self) -> ObjectStore: ...

    @property
    def purge_list(self) -> PurgeList: ...

    @property
    def apps(self) -> AppStore: ...

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def sessions(self) -> SessionStore: ...

    @property
    def mail_links(self) -> MailLinkStore: ...

    @property
    def user_settings(self) -> SettingsStore: ...

    @property
    def links(self) -> LinkStore: ...

    @property
    def link_ids(self) -> LinkIdStore: ...

    @property
    def grants(self) -> GrantStore: ...

    @property
    def reach(self) -> ReachStore: ...

    @property
    def firmwares(self) -> FirmwareStore: ...

    @property
    def firmware_updates(self) -> UpdateStore: ...

    @property
    def campaigns(self) -> CampaignStore: ...

    @property
    def outbox(self) -> Outbox: ...

    def kept_sessions(self, seal: Seal, limits: KeptSessionLimits) -> KeptSessionStore: ...

    def waiting_messages(self, seal: Seal, limits: KeptSessionLimits) -> WaitingMessageStore: ...

    @property
    def change_signal(self) -> ChangeSignal: ...

    async def close(self) -> None: ...


Opener = Callable[[], Awaitable[Core]]


def _sqlite(folder: Path) -> Opener:
    async def opened() -> Core:
        return await open_core(folder / "core.db")

    return opened


def _memory(_folder: Path) -> Opener:
    core = MemoryCore()

    async def opened() -> Core:
        return core.twin()

    return opened


ENGINES = {"sqlite": _sqlite, "memory": _memory}


@pytest.fixture(params=ENGINES)
async def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    """Open the same data as often as asked, each time as another process would."""
    opener = ENGINES[request.param](tmp_path)
    async with AsyncExitStack() as stack:

        async def opened() -> Core:
            core = await opener()
            stack.push_async_callback(core.close)
            return core

        yield opened


@pytest.fixture
async def core(open_again: Opener) -> Core:
    """One opened store, empty."""
    return await open_again()


@dataclass
class Maker:
    """Fills a store with what a test is not about."""

    core: Core

    def __post_init__(self) -> None:
        self._count = itertools.count(1)

    def code(self, text: str) -> SealedCode:
        return SealedCode(digest(text), f"sealed {text}".encode())

    def token(self, text: str) -> SealedToken:
        return SealedToken(digest(text), f"sealed {text}".encode())

    async def product(self, name: str = "Weather station") -> Product:
        return await self.core.products.add_product(
            name, f"hash{next(self._count):010d}", at_ms=1_000
        )

    async def thing(self, name: str, product: Product | None = None) -> Thing:
        """Make a thing whose id is the name and whose token is `token of NAME`."""
        product = product or await self.product()
        thing = await self.core.things.add_thing(
            product.id, thing_id=ThingId(name), token=self.token(f"token of {name}"), at_ms=2_000
        )
        assert thing is not None
        return thing

    async def firmware(
        self,
        version: str,
        product_id: ProductId | None = None,
        *,
        sequence: int | None = None,
        is_revert: bool = False,
        at_ms: int = 4_000,
        **said: object,
    ) -> Firmware:
        """Add an image with the id `VERSION NUMBER`; the sequence is the number if none is given.

        Without a product, one is made. `said` are members of `NewFirmware`.
        """
        number = next(self._count)
        firmware = await self.core.firmwares.add(
            FirmwareId(f"{version} {number}"),
            new_firmware(version, product_id=product_id or (await self.product()).id, **said),
            stored_image(number),
            sequence=number if sequence is None else sequence,
            is_revert=is_revert,
            most=1_000,
            at_ms=at_ms,
        )
        assert firmware is not None
        return firmware

    async def campaign(
        self, name: str, firmware: Firmware, *, at_ms: int = 5_000, **planned: object
    ) -> Campaign:
        """Add a campaign whose id is the name; `planned` are members of `CampaignPlan`."""
        campaign = await self.core.campaigns.add(
            CampaignId(name),
            CampaignPlan(firmware_id=firmware.id, name=name, **planned),
            firmware,
            at_ms=at_ms,
        )
        assert campaign is not None
        return campaign

    async def app(self, name: str = "home") -> App:
        """Return the app with that id, made if there is none."""
        app = await self.core.apps.app(AppId(name))
        if app is None:
            app = App(AppId(name), name.title(), frozenset(), AppSettings(), 1_000)
            await self.core.apps.add_app(app)
        return app

    def session(
        self, user_id: str, name: str, *, seen_at_ms: int = 2_000, expires_at_ms: int = 10**9
    ) -> NewSession:
        """Make a session that is the name, with the digest of `session NAME`."""
        session = Session(
            SessionId(name), UserId(user_id), seen_at_ms, seen_at_ms, expires_at_ms, "A phone"
        )
        return NewSession(session, digest(f"session {name}"))

    def account(self, name: str, app_id: str = "home", *, is_confirmed: bool = True) -> Account:
        """Make an account whose user id is the name, with the address NAME@example.org."""
        user = User(
            UserId(name),
            AppId(app_id),
            f"{name}@example.org",
            1_500,
            1_600 if is_confirmed else None,
        )
        return Account(user, f"hash of {name}")

    async def user(self, name: str, app: str = "home", *, is_confirmed: bool = True) -> User:
        """Add a user as `account` makes one, with the session `first of NAME`."""
        await self.app(app)
        account = self.account(name, app, is_confirmed=is_confirmed)
        is_added = await self.core.accounts.add_user(
            account, self.session(name, f"first of {name}"), mail_link=None, letter=None
        )
        assert is_added
        return account.user

    def letter(self) -> SealedLetter:
        return SealedLetter(f"letter {next(self._count):05d}", Occasion.GRANT, b"sealed")

    async def owned(self, name: str, user: User) -> Thing:
        """Make a thing as `thing` does and link it to the user."""
        thing = await self.thing(name)
        outcome = await self.core.links.link(user.id, thing.id, at_ms=3_000, max_things=100)
        assert outcome is LinkOutcome.LINKED
        seen = await self.core.things.thing(thing.id)
        assert seen is not None
        return seen

    async def grant(
        self,
        giver: User,
        to: str,
        *entries: tuple[str, str, Rights],
        at_ms: int = 5_000,
        lasts_ms: int = 10_000,
    ) -> Grant:
        """Add a waiting grant to TO@example.org, whose link has the digest of `link ID`."""
        grant = Grant(
            id=GrantId(f"grant {next(self._count):05d}"),
            app_id=giver.app_id,
            giver_id=giver.id,
            giver_email=giver.email,
            email=f"{to}@example.org",
            created_at_ms=at_ms,
            expires_at_ms=at_ms + lasts_ms,
            accepted_at_ms=None,
            entries=tuple(
                Entry(ThingId(thing), resource, rights) for thing, resource, rights in entries
            ),
        )
        outcome = await self.core.grants.add_grant(
            grant, digest(f"link {grant.id}"), self.letter(), max_grants=100, max_entries=10_000
        )
        assert outcome is GrantOutcome.ADDED
        return grant

    async def share(self, giver: User, to: User, *entries: tuple[str, str, Rights]) -> Grant:
        """Add a grant as `grant` does, which the receiver accepts."""
        grant = await self.grant(giver, to.email.partition("@")[0], *entries)
        assert await self.core.grants.accept(to.id, grant.id, at_ms=6_000)
        return grant


@pytest.fixture
def make(core: Core) -> Maker:
    """Fill the store that `core` is."""
    return Maker(core)
