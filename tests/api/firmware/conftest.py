"""One server serves a module; each test has a product, with its images and things, of its own."""

from dataclasses import replace

import pytest_asyncio

from support.firmware import Device, fleet_of
from support.in_process import GENEROUS, served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory):
    # Clients here cut connections faster than the server can know of it.
    limits = replace(GENEROUS, downloads_per_thing=1_000)
    folder = tmp_path_factory.mktemp("firmware") / "folder"
    async with served(folder, limits=limits) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(server):
    return await fleet_of(server)


@pytest_asyncio.fixture(loop_scope="module")
async def device(fleet, wire):
    thing = await fleet.thing()
    return Device(wire, thing.token, thing.thing.id)
