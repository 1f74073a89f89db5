"""What the composition root decides itself, and the chores of a server."""

import asyncio

import pytest

from thingstead import bootstrap
from thingstead.bootstrap import open_platform
from thingstead.features.values.errors import ResourceNotFoundError
from thingstead.features.values.model import IncomingValue, IncomingWrite, Window
from thingstead.settings import LimitSettings, Settings


@pytest.mark.parametrize(
    ("retention_days", "past_days", "accepted"), [(0, 90, 90), (30, 90, 30), (90, 30, 30)]
)
def test_what_retention_would_delete_at_once_is_not_accepted(retention_days, past_days, accepted):
    settings = Settings(retention_days=retention_days, limits=LimitSettings(past_days=past_days))

    assert bootstrap._write_limits(settings).past_days == accepted


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

    async def done(self, thing_id):
        await self._real.done(thing_id)
        self.is_done.set()


async def test_a_write_under_way_when_its_thing_is_deleted_is_purged_too(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "_PURGE_LOOK_S", 0.001)
    async with open_platform(Settings(data=str(tmp_path))) as platform:
        product = await platform.products.create("Weather station")
        new = await platform.things.create(product.id)

        async def write():
            await platform.values.submit(new.thing, IncomingWrite([IncomingValue("t", 1)]))

        await write()
        await platform.things.delete(new.thing.id)
        core = platform.administration.core
        core.purge_list = purge_list = PurgeList(core.purge_list, write)
        chore = asyncio.create_task(bootstrap._purge_deleted(platform))
        async with asyncio.timeout(30):
            await purge_list.is_done.wait()
        chore.cancel()

        assert purge_list.looks == 2
        with pytest.raises(ResourceNotFoundError):
            await platform.values.read(new.thing.id, "t", Window())
        assert await core.purge_list._real.pending(10) == []
