"""The whole suite runs twice: writes on the direct lane, and on the ordinary way.

One server serves a module; each test gets a new thing, so that tests do not see each other.
"""

import pytest
import pytest_asyncio

from support.in_process import served
from support.wire import connect


@pytest_asyncio.fixture(
    loop_scope="module", scope="module", params=[True, False], ids=["lane", "plain"]
)
async def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("api") / "folder"
    async with served(folder, has_lane=request.param) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def wire(server):
    async with connect(server.address) as connected:
        yield connected


@pytest_asyncio.fixture(loop_scope="module")
async def token(server):
    return await server.new_token()


@pytest.fixture
def thing(token):
    return f"/v2/things/{token}"
