"""What one road writes every other tells and gives in the same bytes."""

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from contract.transports.conftest import accepted
from contract.transports.driver import Can, only_ears
from contract.transports.roads import each_road, roads_that

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLACE = {"lat": 41.41, "long": 2.21}
KINDS = [21.5, 21, 2.0, -0.0, 0.1, 2**53, "21", 'é😀\n"/', True, None, [1, {"ü": []}], {"b": {}}]


def yesterday(number):
    return (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=number * 1_000)


@pytest.fixture
def members():
    """What is written: a value of each kind, each with a time of its own, some with a place."""
    at = [yesterday(number).isoformat(timespec="milliseconds") for number in range(len(KINDS))]
    written = [
        {"key": f"k{number % 3}", "value": value, "datetime": at[number]}
        for number, value in enumerate(KINDS)
    ]
    written[2]["geo"] = written[4]["geo"] = PLACE
    return written


def as_told(members, *more, key=None):
    """The array that must be told; with the thing's id first for a user's resource."""
    told = []
    for member in members:
        if key is not None and member["key"] != key:
            continue
        at = member["datetime"].replace("+00:00", "Z")
        one = dict(more) | {"datetime": at, "key": member["key"], "value": member["value"]}
        told.append(one | ({"geo": member["geo"]} if "geo" in member else {}))
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


@pytest_asyncio.fixture(loop_scope="module")
async def everybody(server, people, user, thing):
    """Subscribers on all roads, by name: of the thing, and of its user's resource `k1`."""
    await people.link(user, thing)
    async with AsyncExitStack() as stack:
        ears = {}
        for road in roads_that(Can.HEAR):
            driver = await stack.enter_async_context(road.open(server, thing.token))
            ears[road.name, "thing"] = only_ears(await driver.hear())
        for road in roads_that(Can.HEAR_RESOURCE):
            driver = await stack.enter_async_context(road.open(server, user.token))
            ears[road.name, "resource"] = only_ears(await driver.hear("k1"))
        yield ears


@each_road(Can.WRITE)
async def test_every_road_tells_the_same_bytes(road, server, thing, everybody, members):
    async with road.open(server, thing.token) as driver:
        accepted(await driver.write(members))

        heard = {name: await ears.next() for name, ears in everybody.items()}

    resource = as_told(members, ("thingId", thing.thing.id), key="k1")
    expected = {"thing": as_told(members), "resource": resource}
    for (name, of), array in heard.items():
        assert array == expected[of], name


@each_road(Can.WRITE)
async def test_every_road_gives_the_same_bytes(road, server, thing, members):
    async with road.open(server, thing.token) as driver:
        accepted(await driver.write(members))

    read = {}
    for reading in roads_that(Can.READ):
        async with reading.open(server, thing.token) as driver:
            read[reading.name] = await driver.read("k2", 3)
    newest_first = [member for member in reversed(members) if member["key"] == "k2"][:3]
    assert read == dict.fromkeys(read, as_told(newest_first))


async def test_magic_resources_are_told_in_the_same_bytes(thing, tell, everybody):
    await tell(thing, k0=1, **{"$settings.name": "roof"})

    heard = {name: await ears.next() for name, ears in everybody.items() if name[1] == "thing"}

    told = set(heard.values())
    assert len(told) == 1
    assert b'"key":"$settings.name","value":"roof"}]' in told.pop()
