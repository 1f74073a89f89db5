"""One server serves a module, over MQTT too; each test gets a new thing."""

import itertools

import pytest
import pytest_asyncio

from support.in_process import served
from support.wire import ask

PASSWORD = "a long sentence"
_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mqtt") / "folder"
    async with served(folder, roads=("mqtt",)) as running:
        yield running


@pytest.fixture
def port(server):
    return server.ports["mqtt"]


@pytest_asyncio.fixture(loop_scope="module")
async def token(server):
    return await server.new_token()


@pytest_asyncio.fixture(loop_scope="module")
async def other_token(server):
    return await server.new_token()


@pytest.fixture
def stored(server):
    """The values of a resource, newest first, as HTTP reads them."""

    async def read(token, key="k"):
        got = await ask(server.address, "GET", f"/v2/things/{token}/resources/{key}?limit=100")
        return [one["value"] for one in got.json] if got.status == 200 else []

    return read


@pytest.fixture
def write(server):
    """Write values of a resource over HTTP."""

    async def post(token, *values, key="k"):
        body = {"values": [{"key": key, "value": value} for value in values]}
        got = await ask(server.address, "POST", f"/v2/things/{token}", body)
        assert got.status == 201, got.body

    return post


@pytest_asyncio.fixture(loop_scope="module")
async def app(server):
    return (await server.new_app("k", "temperature")).id


@pytest.fixture
def new_user(server, app):
    """The session token of a new user who has linked these things."""

    async def register(*things):
        email = f"mqtt{next(_numbers)}@example.org"
        body = {"email": email, "password": PASSWORD, "app": app}
        got = await ask(server.address, "POST", "/v2/register", body)
        assert got.status == 201, got.body
        session = got.json["token"]
        for thing in things:
            await call(server, session, "POST", "/v2/me/things", {"thingToken": thing.token})
        return session

    return register


async def call(server, session, method, path, body=None):
    """Make a call with a session, which must succeed."""
    got = await ask(server.address, method, path, body, {"Authorization": session})
    assert got.status < 300, got.body
    return got
