"""One server with all roads serves a module; each test has things and users of its own."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from contract.transports.driver import Refused
from contract.transports.roads import ROADS
from e2e.people import User, follow, register
from support.in_process import GENEROUS, served
from support.mailbox import Mailbox
from support.wire import ask

_BESIDE_HTTP = ("mqtt", "coap", "udp")
# The suite writes quickly.
_QUICK = replace(GENEROUS, writes_per_second=1_000_000, write_burst=1_000_000)


@asynccontextmanager
async def all_roads(folder, *, mailbox=None, **limits):
    """A server with all roads; mails go to the mailbox, if there is one."""
    mail = {"mail": mailbox.url, "mail_from": "suite@things.example"} if mailbox else {}
    async with served(
        folder,
        roads=_BESIDE_HTTP,
        limits=replace(_QUICK, **limits),
        with_chores=mailbox is not None,
        **mail,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def road_named():
    return {road.name: road for road in ROADS}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def mailbox():
    async with Mailbox() as box:
        yield box


@pytest.fixture(scope="module")
def limits():
    """The limits of the module's server that are not as usual."""
    return {}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory, mailbox, limits):
    folder = tmp_path_factory.mktemp("roads") / "folder"
    async with all_roads(folder, mailbox=mailbox, **limits) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def thing(server):
    return await server.new_thing()


@dataclass
class People:
    """Makes users of one app, and what there is between them."""

    server: object
    mailbox: Mailbox
    app: str

    async def new(self) -> User:
        return await register(self.server.address, self.app)

    async def link(self, user, *things) -> None:
        for thing in things:
            await user.expect(200, "POST", "/v2/me/things", {"thingToken": thing.token})

    async def unlink(self, user, thing) -> None:
        await user.expect(200, "DELETE", f"/v2/me/things/{thing.thing.id}")

    async def share(self, giver, friend, resource, thing) -> None:
        """Grant, and have the friend accept, whose address must not be confirmed yet."""
        assert (await self._press(friend)).status == 200
        permissions = {resource: {thing.thing.id: {"get": True}}}
        body = {"email": friend.email, "permissions": permissions}
        await giver.expect(200, "PUT", "/v2/me/grant", body)
        assert (await self._press(friend)).status == 200

    async def _press(self, friend):
        letter = await self.mailbox.letter_to(friend.email)
        return await follow(self.server.address, letter.link)


@pytest_asyncio.fixture(loop_scope="module")
async def people(server, mailbox):
    return People(server, mailbox, (await server.new_app()).id)


@pytest_asyncio.fixture(loop_scope="module")
async def user(people):
    return await people.new()


@pytest_asyncio.fixture(loop_scope="module")
async def tell(server):
    """Write over HTTP, which must succeed: `await tell(thing, t=1, u=2)`."""

    async def told(thing, *, query="", token="", **values):
        body = {"values": [{"key": key, "value": value} for key, value in values.items()]}
        target = f"/v2/things/{token or thing.token}{query}"
        got = await ask(server.address, "POST", target, body)
        assert got.status == 201, got.body

    return told


@pytest_asyncio.fixture(loop_scope="module")
async def stored(server):
    """Keys and values that a thing holds, as HTTP reads them right now."""

    async def read(thing, *, token=""):
        target = f"/v2/things/{token or thing.token}/all_resources?limit=100"
        got = await ask(server.address, "GET", target)
        assert got.status == 200, got.body
        return {one["key"]: [value["value"] for value in one["values"]] for one in got.json}

    return read


def accepted(outcome: Refused | None) -> None:
    """Fail unless the write was acknowledged."""
    assert outcome is None, outcome
