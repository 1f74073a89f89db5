"""Calls of the app API that tests in several files make. A `person` is one of the conftest's."""

from contextlib import asynccontextmanager

from support.wire import connect, request, values


async def login(person, password):
    """The answer to a further log-in."""
    body = {"email": person.email, "password": password, "app": person.app}
    return await person.wire.ask("POST", "/v2/login", body)


async def write(person, thing, *members, **common):
    """Write one value after the other, as the thing itself would; see `support.wire.values`."""
    pairs = list(zip(members[::2], members[1::2], strict=True))
    got = await person.wire.ask("POST", f"/v2/things/{thing.token}", values(*pairs, **common))
    assert got.status == 201, got.body


async def stored(person, thing, resource, *, by_token=False):
    """The resource's values, newest first, as the person or the thing's token reads them."""
    target = f"/v2/me/resources/{resource}/{thing.thing.id}"
    if by_token:
        target = f"/v2/things/{thing.token}/resources/{resource}"
    got = await person.ask("GET", f"{target}?limit=100")
    assert got.status == 200, got.body
    return [one["value"] for one in got.json]


async def grant(giver, email, permissions):
    """Grant, which must be answered as it always is."""
    got = await giver.ask("PUT", "/v2/me/grant", {"email": email, "permissions": permissions})
    assert (got.status, got.body) == (200, b'{"status":"success","message":"granted"}')


async def grants(person):
    """What the person gave and received."""
    got = await person.ask("GET", "/v2/me/grants")
    assert got.status == 200, got.body
    return got.json


@asynccontextmanager
async def listening(address, person, target):
    """A live stream of the person's whose confirmation has been read."""
    async with connect(address) as wire:
        await wire.send(request("GET", target, headers={"Authorization": person.token}))
        head = await wire.read_head()
        assert head.status == 200, (head, await wire.rest())
        assert await wire.read_chunk() == b'{"status":"success","message":"subscribed"}'
        yield wire
