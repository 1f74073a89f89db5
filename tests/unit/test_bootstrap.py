"""What the composition root decides itself, and the chores of a server."""

import asyncio
import logging

import pytest

from thingstead import chores
from thingstead.bootstrap import open_platform
from thingstead.features.apps.model import App, AppSettings
from thingstead.features.collections.model import CollectionLimits, Place
from thingstead.features.users.model import Account, NewSession, Session, User
from thingstead.features.values.errors import ResourceNotFoundError
from thingstead.features.values.model import IncomingValue, IncomingWrite, Window
from thingstead.kernel.ids import AppId, SessionId, UserId
from thingstead.limit_settings import LimitSettings
from thingstead.limits import write_limits
from thingstead.settings import Settings


@pytest.mark.parametrize(
    ("retention_days", "past_days", "accepted"), [(0, 90, 90), (30, 90, 30), (90, 30, 30)]
)
def test_what_retention_would_delete_at_once_is_not_accepted(retention_days, past_days, accepted):
    settings = Settings(retention_days=retention_days, limits=LimitSettings(past_days=past_days))

    assert write_limits(settings).past_days == accepted


class ListOfUsers:
    """A list that notes how much each deletion took."""

    def __init__(self, real):
        self._real = real
        self.slices = []
        self.is_done = asyncio.Event()

    async def pending_users(self, limit):
        return await self._real.pending_users(limit)

    async def delete_objects(self, user_id, *, limit):
        self.slices.append(await self._real.delete_objects(user_id, limit=limit))
        return self.slices[-1]

    async def user_done(self, user_id):
        await self._real.user_done(user_id)
        self.is_done.set()


async def test_objects_of_a_deleted_user_go_slice_by_slice(tmp_path, monkeypatch):
    monkeypatch.setattr(chores, "_PURGE_LOOK_S", 0.001)
    monkeypatch.setattr(chores, "_OBJECT_SLICE", 2)
    ada = UserId("ada")
    async with open_platform(Settings(data=str(tmp_path))) as platform:
        core = platform.administration.core
        app = App(AppId("home"), "Home", frozenset(), AppSettings(), 1)
        await core.apps.add_app(app)
        await core.accounts.add_user(
            Account(User(ada, app.id, "ada@example.org", 1), "hash"),
            NewSession(Session(SessionId("s"), ada, 1, 1, 9, "A phone"), b"digest"),
            mail_link=None,
            letter=None,
        )
        for name in "abc":
            place = Place(ada, "rooms", name)
            await core.objects.create(place, "{}", CollectionLimits(), at_ms=1)
        await core.accounts.delete_user(ada, at_ms=2)
        core.purge_list = purge_list = ListOfUsers(core.purge_list)
        chore = asyncio.create_task(chores._purge_users(platform))
        async with asyncio.timeout(30):
            await purge_list.is_done.wait()
        chore.cancel()

        assert purge_list.slices == [2, 1, 0]
        for name in "abc":
            assert await core.objects.get(Place(ada, "rooms", name)) is None
        assert await core.objects.collections(ada) == []
        assert await core.purge_list.pending_users(9) == []


class PurgeList:
    """A list that notes what was crossed off, and lets a write slip in after the first purge."""

    def __init__(self, real, slip_in):
        self._real = real
        self._slip_in = slip_in
        self.looks = 0
        self.is_done = asyncio.Event()

    async def pending(self, limit):
        self.looks += 1
        if self.looks == 2:
            await self._slip_in()
        return await self._real.pending(limit)

    async def pending_epochs(self, limit):
        return await self._real.pending_epochs(limit)

    async def done(self, thing_id):
        await self._real.done(thing_id)
        self.is_done.set()


async def test_a_write_under_way_when_its_thing_is_deleted_is_purged_too(tmp_path, monkeypatch):
    monkeypatch.setattr(chores, "_PURGE_LOOK_S", 0.001)
    async with open_platform(Settings(data=str(tmp_path))) as platform:
        product = await platform.products.create("Weather station")
        new = await platform.things.create(product.id)

        async def write():
            await platform.values.submit(new.thing, IncomingWrite([IncomingValue("t", 1)]))

        await write()
        await platform.things.delete(new.thing.id)
        core = platform.administration.core
        core.purge_list = purge_list = PurgeList(core.purge_list, write)
        chore = asyncio.create_task(chores._purge_deleted(platform))
        async with asyncio.timeout(30):
            await purge_list.is_done.wait()
        chore.cancel()

        assert purge_list.looks == 2
        with pytest.raises(ResourceNotFoundError):
            await platform.values.read(new.thing, "t", Window())
        assert await core.purge_list._real.pending(10) == []


async def test_a_server_stops_quietly_when_the_last_use_of_sessions_cannot_be_noted(
    tmp_path, monkeypatch, caplog
):
    async def fail():
        raise OSError("no disk")

    async with open_platform(Settings(data=str(tmp_path))) as platform:
        monkeypatch.setattr(platform.people.sessions, "flush_seen", fail)
        with caplog.at_level(logging.WARNING, "thingstead.chores"):
            async with chores.look_after(platform):
                pass

    assert "the last use of sessions was not noted: no disk" in caplog.text
