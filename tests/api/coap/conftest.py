"""One server of both transports serves a module; each test gets a new thing and a new peer."""

import pytest
import pytest_asyncio

from support.coap import coap_of, peer_of
from support.in_process import served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory):
    async with served(tmp_path_factory.mktemp("coap") / "folder") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def coap(server):
    async with coap_of(server) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def peer(coap):
    async with peer_of(coap) as connected:
        yield connected


@pytest_asyncio.fixture(loop_scope="module")
async def token(server):
    return await server.new_token()


@pytest.fixture
def thing(token):
    return f"/v2/things/{token}"
