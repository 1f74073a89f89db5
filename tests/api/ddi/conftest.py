"""One server for a module; each test has a product and a thing of its own."""

import pytest_asyncio

from support.hawkbit import new_agent
from support.in_process import served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory):
    async with served(tmp_path_factory.mktemp("ddi") / "folder") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def agent(server):
    return await new_agent(server)
