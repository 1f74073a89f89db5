"""One server and one mail server serve a module; each test has an app and users of its own."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from support.in_process import served
from support.mailbox import Mailbox
from support.wire import Address, Answer, Wire, connect
from thingstead.features.things.model import NewThing

PASSWORD = "a long sentence"
_numbers = itertools.count(1)


@dataclass
class Person:
    """A user of an app, with a connection and a session."""

    wire: Wire
    app: str
    email: str
    token: str
    id: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    address: Address | None = None

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Make a call with the person's session."""
        sent = {"Authorization": self.token, **headers}
        return await self.wire.ask(method, path, body, headers=sent)

    @asynccontextmanager
    async def elsewhere(self, *, source: str | None = None) -> AsyncIterator[Self]:
        """The same person and session on a new connection."""
        assert self.address is not None
        async with connect(self.address, source=source) as wire:
            yield replace(self, wire=wire)

    async def link(self, thing: NewThing) -> None:
        got = await self.ask("POST", "/v2/me/things", {"thingToken": thing.token})
        assert got.status == 200, got.body


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def mailbox():
    async with Mailbox() as box:
        yield box


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory, mailbox):
    folder = tmp_path_factory.mktemp("api") / "folder"
    async with served(
        folder,
        with_chores=True,
        mail=mailbox.url,
        mail_from="thingstead@things.example",
        public_url="https://things.example",
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def wire(server):
    async with connect(server.address) as connected:
        yield connected


@pytest_asyncio.fixture(loop_scope="module")
async def app(server):
    return (await server.new_app()).id


@pytest.fixture
def email():
    """An address that nobody else uses."""
    return f"somebody{next(_numbers)}@example.org"


@pytest_asyncio.fixture(loop_scope="module")
async def new_person(server, wire, app):
    """Register a user: `await new_person()`, of another app with `app=`."""

    async def register(*, app: str = app, wire: Wire = wire, email: str | None = None) -> Person:
        email = email or f"person{next(_numbers)}@example.org"
        got = await wire.ask(
            "POST", "/v2/register", {"email": email, "password": PASSWORD, "app": app}
        )
        assert got.status == 201, got.body
        person = Person(wire, app, email, got.json["token"], address=server.address)
        person.id = (await person.ask("GET", "/v2/me")).json["_id"]
        return person

    return register


@pytest_asyncio.fixture(loop_scope="module")
async def ada(new_person):
    return await new_person()


@pytest_asyncio.fixture(loop_scope="module")
async def bob(new_person):
    return await new_person()


@pytest_asyncio.fixture(loop_scope="module")
async def thing(server):
    return await server.new_thing()


@pytest_asyncio.fixture(loop_scope="module")
async def open_mail(mailbox, wire):
    """Follow the link of the newest mail to an address, and press the page's button."""

    async def opened(address: str, form: dict[str, str] | None = None) -> Answer:
        letter = await mailbox.letter_to(address)
        return await wire.ask("POST", urlsplit(letter.link).path, form or {})

    return opened


@pytest_asyncio.fixture(loop_scope="module")
async def confirm(open_mail):
    """Confirm a person's address by the mail that registering sent: `await confirm(ada)`."""

    async def confirmed(person: Person) -> Person:
        got = await open_mail(person.email)
        assert got.status == 200, got.body
        return person

    return confirmed


@pytest_asyncio.fixture(loop_scope="module")
async def share(open_mail, confirm):
    """Grant to a person who accepts: `await share(ada, bob, permissions)`.

    The first time it confirms the person's address, with which no mail may have been opened yet.
    """

    async def shared(giver: Person, friend: Person, permissions: object) -> None:
        if not friend.extra.get("confirmed"):
            friend.extra["confirmed"] = "yes"
            await confirm(friend)
        body = {"email": friend.email, "permissions": permissions}
        got = await giver.ask("PUT", "/v2/me/grant", body)
        assert got.status == 200, got.body
        accepted = await open_mail(friend.email)
        assert accepted.status == 200, accepted.body

    return shared
