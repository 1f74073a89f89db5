"""Every call, made by every kind of caller (`security.md` 4, promise P8).

The rows are in `tests/support/isolation_table.py`; a route without its row fails here. Calls that
change something get a world of their own when they are allowed.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from support.app_calls import grant, grants, login, write
from support.isolation_table import (
    OF_CONTROLLERS,
    OF_MAILS,
    OF_PRODUCTS,
    OF_THINGS,
    OF_USERS,
    PEOPLE,
    PUBLIC,
)
from support.wire import ask, connect, request
from thingstead.features.products.model import ProductChange
from thingstead.features.users.model import SessionUse
from thingstead.routes import all_routes
from thingstead.settings import Settings
from thingstead.transports.http.router import Access

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a long sentence"  # Of the people whom the conftest registers.
TABLES = {
    Access.PUBLIC: PUBLIC,
    Access.THING_TOKEN: OF_THINGS,
    Access.MAIL_LINK: OF_MAILS,
    Access.PRODUCT_HASH: OF_PRODUCTS,
    Access.TARGET_TOKEN: OF_CONTROLLERS,
    Access.SESSION: OF_USERS,
}
# What stands for a session and is none; each is tried on every call that needs one.
NO_SESSIONS = (
    "nothing",
    "expired session",
    "revoked session",
    "made-up session",
    "own thing's token",
    "another thing's token",
    "thing's id",
    "mail secret",
    "user's id",
)
NO_THINGS = ("session", "thing's id", "made-up token", "mail secret", "deleted thing", "session id")
NO_HASHES = ("session", "thing token", "thing's id", "mail secret", "another product's hash")
NO_TARGETS = (*NO_THINGS, "nothing", "another thing's token")
NO_MAILS = ("session", "thing token", "thing's id", "made-up token", "kind")
_PLAIN = str.maketrans("", "", " /{}_")
MADE_UP = {
    "thing_id": "A" * 43,
    "thing_token": "A" * 43,
    "grant_id": "01KA" + "0" * 26,
    "session_id": "01KA" + "0" * 26,
    "primary_key": "attic",
    "product_id": "99999",
    "product_hash": "A" * 14,
    "controller_id": "A" * 43,
}


@dataclass
class World:
    """People, what they share, and things that only one of them may see."""

    people: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)
    wrong: dict = field(default_factory=dict)
    secrets: dict = field(default_factory=dict)
    address: object = None


@pytest_asyncio.fixture(loop_scope="module")
async def new_world(server, wire, new_person, open_mail, mailbox):
    return WorldMaker(server, wire, new_person, open_mail, mailbox).make


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def kept():
    """Holds the world that calls which are refused share."""
    return []


@pytest_asyncio.fixture(loop_scope="module")
async def shared_world(kept, new_world):
    if not kept:
        kept.append(await new_world(is_kept=True))
    return kept[0]


class WorldMaker:
    def __init__(self, server, wire, new_person, open_mail, mailbox):
        self.server, self.wire, self.new_person = server, wire, new_person
        self.open_mail, self.mailbox = open_mail, mailbox

    async def make(self, *, is_kept=False):
        world = World(address=self.server.address)
        app = (await self.server.new_app()).id
        for name in PEOPLE:
            app_id = (await self.server.new_app()).id if name == "stranger" else app
            world.people[name] = await self.new_person(app=app_id)
        for name in ("reader", "writer", "other"):
            assert (await self.open_mail(world.people[name].email)).status == 200
        await self.fill(world, app)
        if is_kept:
            await self.add_wrong_keys(world)
        return world

    async def fill(self, world, app):
        owner = world.people["owner"]
        thing = await self.server.new_thing()
        await owner.link(thing)
        await write(owner, thing, "temperature", "of the owner")
        description = {"name": "of the owner"}
        await owner.ask("PUT", f"/v2/me/resources/description/{thing.thing.id}", description)
        await owner.ask("POST", "/v2/classes/me/rooms", {"_id": "kitchen", "of": "the owner"})
        await self.wire.ask("POST", f"/v2/things/{thing.token}/tags", {"name": "tag-of-owner"})
        for name, rights in (
            ("reader", {"temperature": {thing.thing.id: {"get": True}}}),
            (
                "writer",
                {
                    "temperature": {thing.thing.id: {"get": True, "post": True}},
                    "description": {thing.thing.id: {"get": True, "put": True}},
                },
            ),
        ):
            await grant(owner, world.people[name].email, rights)
            assert (await self.open_mail(world.people[name].email)).status == 200
        other = world.people["other"].email
        await grant(owner, other, {"temperature": {thing.thing.id: {"get": True}}})
        await login(owner, PASSWORD)
        sessions = (await owner.ask("GET", "/v2/me/sessions")).json
        world.secrets["grant"] = await self.secret_for(other)
        world.secrets["email"] = await self.secret_for(owner.email)
        world.names = {
            "thing_id": thing.thing.id,
            "thing_token": thing.token,
            "grant_id": (await grants(owner))["given"][0]["_id"],
            "session_id": next(one["_id"] for one in sessions if not one["current"]),
            "collection": "rooms",
            "primary_key": "kitchen",
            "resource": "temperature",
            "key": "temperature",
            "tag_id": "tag-of-owner",
            "app_id": app,
            "owner_email": owner.email,
            "new_email": f"new-{owner.email}",
            "password": PASSWORD,
            "product_id": str(self.server.product.id),
            "product_hash": self.server.product.hash,
            "device_id": f"device of {owner.id}",
            "tenant": "DEFAULT",
            "controller_id": thing.thing.id,
            "action_id": "1",
            "firmware_id": "A" * 43,
            "module_id": "1",
            "name": "firmware.bin",
        }
        await self.add_device(world.names["device_id"])

    async def add_device(self, device_id):
        platform, product = self.server.platform, self.server.product
        await self.server.new_code()
        await platform.products.change(product.id, ProductChange(is_automatic=True))
        address = (str(product.id), product.hash)
        await platform.devices.thing_of(*address, device_id, address="192.0.2.1")

    async def secret_for(self, email):
        return urlsplit((await self.mailbox.letter_to(email)).link).path.rpartition("/")[2]

    async def add_wrong_keys(self, world):
        owner, platform = world.people["owner"], self.server.platform
        expired = (await login(owner, PASSWORD)).json["token"]
        newest = (await owner.ask("GET", "/v2/me/sessions")).json[0]
        await platform.administration.core.sessions.note_seen([SessionUse(newest["_id"], 0, 1)])
        revoked = (await login(owner, PASSWORD)).json["token"]
        ended = await self.wire.ask(
            "DELETE", "/v2/me/sessions/current", None, {"Authorization": revoked}
        )
        assert ended.status == 200
        deleted = await self.server.new_thing()
        await owner.link(deleted)
        gone = await owner.ask("DELETE", f"/v2/me/things/{deleted.thing.id}/everything")
        assert gone.status == 200
        world.wrong = {
            "nothing": None,
            "expired session": expired,
            "revoked session": revoked,
            "made-up session": "us_" + "A" * 43,
            "own thing's token": world.names["thing_token"],
            "another thing's token": await self.server.new_token(),
            "thing's id": world.names["thing_id"],
            "mail secret": world.secrets["grant"],
            "user's id": owner.id,
            "session": owner.token,
            "made-up token": "A" * 43,
            "deleted thing": deleted.token,
            "session id": world.names["session_id"],
            "thing token": world.names["thing_token"],
            "another product's hash": (await platform.products.create("other")).hash,
        }


async def call(world, key, row, *, names=None, token=None, secret=None):
    """The answer to a row's call; of a stream that is opened, its head."""
    method, pattern = key
    filled = {**world.names, **(names or {})}
    if secret is not None:
        filled["secret"] = secret
    target = pattern.format(**filled)
    body = None if row.body is None else row.body(filled)
    headers = {} if token is None else {"Authorization": token}
    if pattern.startswith("/confirm"):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with connect(world.address) as wire:
        await wire.send(request(method, target, body, headers))
        is_stream = "subscribe=true" in pattern or pattern == "/v2/things/{thing_token}"
        if not is_stream or method != "GET":
            return await wire.read()
        head = await wire.read_head()
        if head.status != 200:
            head.body = await wire.reader.readexactly(int(head.get("Content-Length")))
        return head


def like(answer):
    """What a caller can tell two answers apart by."""
    return answer.status, answer.body, sorted(name.lower() for name, _ in answer.headers)


async def test_every_route_has_its_row_and_every_row_its_route(server):
    wanted = {access: set() for access in Access}
    for route in all_routes(Settings(), server.platform):
        key = (route.method, route.pattern)
        wanted[route.access].add(key)
        if route.handler is not None and route.stream is not None:
            wanted[route.access].add((route.method, f"{route.pattern}?subscribe=true"))

    assert {access: set(table) for access, table in TABLES.items()} == wanted


def cells(table, callers):
    return [
        pytest.param(key, caller, id=f"{key[0]} {key[1]} {caller}")
        for key in table
        for caller in callers
    ]


@pytest.mark.parametrize(("key", "caller"), cells(OF_USERS, PEOPLE))
async def test_people_with_a_session(shared_world, new_world, key, caller):
    row = OF_USERS[key]
    expected = row.statuses[PEOPLE.index(caller)]
    world = await new_world() if row.changes and expected < 400 else shared_world

    got = await call(world, key, row, token=world.people[caller].token)

    assert got.status == expected, got.body
    if caller in ("other", "stranger"):
        assert b"of the owner" not in got.body
        assert world.names["thing_token"].encode() not in got.body


@pytest.mark.parametrize(("key", "wrong"), cells(OF_USERS, NO_SESSIONS))
async def test_without_a_valid_session(shared_world, key, wrong):
    row = OF_USERS[key]

    real = await call(shared_world, key, row, token=shared_world.wrong[wrong])
    made_up = await call(shared_world, key, row, names=MADE_UP, token=shared_world.wrong[wrong])

    assert (real.status, real.message) == (401, "Invalid session token")
    assert like(real) == like(made_up)


@pytest.mark.parametrize("caller", ["other", "stranger"])
@pytest.mark.parametrize(
    "key", [key for key, row in OF_USERS.items() if row.names_foreign], ids=str
)
async def test_what_is_foreign_is_like_what_does_not_exist(shared_world, key, caller):
    row = OF_USERS[key]
    if row.statuses[PEOPLE.index(caller)] < 400:
        return  # It is theirs too.
    token = shared_world.people[caller].token

    foreign = await call(shared_world, key, row, token=token)
    absent = await call(shared_world, key, row, names=MADE_UP, token=token)

    assert like(foreign) == like(absent)


@pytest.mark.parametrize("key", OF_THINGS, ids=str)
@pytest.mark.parametrize("header", ["nothing", "session", "another thing's token"])
async def test_a_things_own_token_in_the_path(shared_world, key, header):
    row = OF_THINGS[key]
    if row.changes:
        tags = f"/v2/things/{shared_world.names['thing_token']}/tags"
        await ask(shared_world.address, "POST", tags, {"name": "tag-of-owner"})

    got = await call(shared_world, key, row, token=shared_world.wrong[header])

    assert got.status == row.statuses[0], got.body


@pytest.mark.parametrize(("key", "wrong"), cells(OF_THINGS, NO_THINGS))
async def test_what_is_no_things_token_in_the_path(shared_world, key, wrong):
    row = OF_THINGS[key]
    names = {"thing_token": shared_world.wrong[wrong]}
    owner = shared_world.people["owner"]

    got = await call(shared_world, key, row, names=names)
    with_session = await call(shared_world, key, row, names=names, token=owner.token)
    absent = await call(shared_world, key, row, names=MADE_UP)

    assert (got.status, got.message) == (404, "Thing not found")
    assert like(got) == like(with_session) == like(absent)


@pytest.mark.parametrize("key", OF_THINGS, ids=str)
async def test_another_things_token_shows_nothing_of_the_first(shared_world, key):
    names = {"thing_token": shared_world.wrong["another thing's token"]}

    got = await call(shared_world, key, OF_THINGS[key], names=names)

    assert b"of the owner" not in got.body
    assert b"tag-of-owner" not in got.body


@pytest.mark.parametrize("key", OF_CONTROLLERS, ids=str)
async def test_a_things_own_token_as_target_token(shared_world, key):
    token = f"TargetToken {shared_world.names['thing_token']}"

    got = await call(shared_world, key, OF_CONTROLLERS[key], token=token)

    assert got.status == OF_CONTROLLERS[key].statuses[0], got.body


@pytest.mark.parametrize(("key", "wrong"), cells(OF_CONTROLLERS, NO_TARGETS))
async def test_what_is_no_target_token_of_that_thing(shared_world, key, wrong):
    row, key_of_wrong = OF_CONTROLLERS[key], shared_world.wrong[wrong]
    token = None if key_of_wrong is None else f"TargetToken {key_of_wrong}"

    got = await call(shared_world, key, row, token=token)
    bare = await call(shared_world, key, row, token=shared_world.names["thing_token"])
    absent = await call(shared_world, key, row, names=MADE_UP, token=token)

    assert (got.status, got.message) == (401, "Invalid target token")
    assert like(got) == like(bare) == like(absent)


@pytest.mark.parametrize("key", OF_PRODUCTS, ids=str)
async def test_a_products_own_hash_in_the_path(shared_world, key):
    got = await call(shared_world, key, OF_PRODUCTS[key])

    assert got.status == OF_PRODUCTS[key].statuses[0], got.body


@pytest.mark.parametrize(("key", "wrong"), cells(OF_PRODUCTS, NO_HASHES))
async def test_what_is_no_products_hash_in_the_path(shared_world, key, wrong):
    row = OF_PRODUCTS[key]
    names = {"product_hash": shared_world.wrong[wrong]}
    owner = shared_world.people["owner"]

    got = await call(shared_world, key, row, names=names)
    with_session = await call(shared_world, key, row, names=names, token=owner.token)
    absent = await call(shared_world, key, row, names=MADE_UP)

    assert (got.status, got.message) == (404, "Invalid product or hash")
    assert like(got) == like(with_session) == like(absent)


@pytest.mark.parametrize("key", OF_MAILS, ids=str)
async def test_the_secret_of_a_mail(new_world, wire, mailbox, key):
    world = await new_world()
    owner = world.people["owner"]
    kind = key[1].split("/")[2]
    if kind == "password":
        await wire.ask("POST", "/v2/password-reset", {"email": owner.email, "app": owner.app})
        path = urlsplit((await mailbox.letter_to(owner.email)).link).path
        world.secrets["password"] = path.rpartition("/")[2]

    got = await call(world, key, OF_MAILS[key], secret=world.secrets[kind])

    assert got.status == 200, got.body
    again = await call(world, key, OF_MAILS[key], secret=world.secrets[kind])
    assert again.status == (404 if key[0] == "POST" else 200)


@pytest.mark.parametrize(("key", "wrong"), cells(OF_MAILS, NO_MAILS))
async def test_what_is_no_secret_of_that_mail(shared_world, key, wrong):
    row, kind = OF_MAILS[key], key[1].split("/")[2]
    secret = shared_world.secrets["email" if kind == "grant" else "grant"]
    if wrong != "kind":
        secret = shared_world.wrong[wrong]

    got = await call(shared_world, key, row, secret=secret)
    absent = await call(shared_world, key, row, secret="B" * 43)

    assert got.status == 404
    assert like(got) == like(absent)


@pytest.mark.parametrize(
    ("key", "header"), cells(PUBLIC, ("nothing", "session", "made-up session"))
)
async def test_what_needs_nothing_answers_alike(shared_world, key, header):
    row = PUBLIC[key]
    names = {"new_email": f"{header}{key[1]}@example.org".translate(_PLAIN)}

    got = await call(shared_world, key, row, names=names, token=shared_world.wrong[header])

    assert got.status == row.statuses[0], got.body


async def test_after_all_this_the_owner_has_what_was_there(shared_world):
    address, names = shared_world.address, shared_world.names
    headers = {"Authorization": shared_world.people["owner"].token}

    exported = (await ask(address, "GET", "/v2/me/export", None, headers)).json
    sessions = (await ask(address, "GET", "/v2/me/sessions", None, headers)).json

    (thing,) = exported["things"]
    values = [one["value"] for one in thing["resources"]["temperature"]]
    assert thing["_id"] == names["thing_id"]
    assert "of the owner" in values
    assert set(values) == {"of the owner", 1}
    assert [one["_id"] for one in exported["collections"]["rooms"]] == ["kitchen"]
    assert len(exported["grants"]["given"]) == 3
    assert names["session_id"] in [one["_id"] for one in sessions]
