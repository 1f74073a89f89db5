"""What users write and delete, and with which right."""

import pytest

from doubles.callers import a_caller, thing_id, thing_token
from thingstead.features.sharing.errors import RightMissingError
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.values.errors import (
    InvalidKeyError,
    InvalidValuesError,
    ResourceNotFoundError,
)
from thingstead.features.values.model import Position, StoredValue, Window
from thingstead.kernel.errors import TooManyRequestsError

ONE = thing_id(1)
NOON_MS = 1_767_182_400_000


ANY = {"values": [{"value": 1}]}


def sent(*values):
    return {"values": [{"value": value} for value in values]}


async def test_values_are_written_to_the_resource_of_the_address(resources, rig, bob):
    heard = []
    rig.bus.listen(ONE, heard.append)
    placed = {
        "key": "pressure",
        "value": 55,
        "geo": {"lat": 41.4, "long": 2.2},
        "datetime": "2025-12-31T12:00:00Z",
        "unknown": True,
    }

    appended = await resources.write(bob, "humidity", thing_token(1), {"values": [placed]})

    assert heard[0].entries == (StoredValue("humidity", 55, NOON_MS, Position(41.4, 2.2)),)
    assert appended.sequence == heard[0].sequence


async def test_a_value_without_a_time_gets_the_servers(resources, rig, ada):
    await resources.write(ada, "humidity", ONE, sent(1, 2))

    reading = await resources.read(ada, "humidity", ONE, Window(limit=2))
    assert [row[:2] for row in reading.rows] == [(2, rig.clock.now_ms()), (1, rig.clock.now_ms())]


async def test_a_write_goes_to_the_last_epoch(resources, rig, ada, make_owner_reach):
    rig.reaches.of_user["ada"] = make_owner_reach(one=(0, 3))

    await resources.write(ada, "humidity", ONE, sent(1))

    assert await rig.store.keys(ONE, (3,)) == ["humidity"]
    assert await rig.store.keys(ONE, (0,)) == []


async def test_who_has_another_right_does_not_write(resources, bob):
    with pytest.raises(RightMissingError, match="temperature: post is missing"):
        await resources.write(bob, "temperature", ONE, ANY)


async def test_who_has_no_right_does_not_write(resources, bob):
    with pytest.raises(ResourceNotFoundError):
        await resources.write(bob, "secret", ONE, ANY)
    with pytest.raises(ThingNotFoundError):
        await resources.write(bob, "temperature", thing_id(2), ANY)


async def test_nothing_is_written_beyond_what_the_app_reaches(resources):
    with pytest.raises(ResourceNotFoundError):
        await resources.write(a_caller("ada", resources=["humidity"]), "temperature", ONE, ANY)


@pytest.mark.parametrize(
    "resource", ["$geo", "$settings.a", "description", "publicDescription", "", "a b"]
)
async def test_only_ordinary_keys_are_written(resources, ada, resource):
    with pytest.raises(InvalidKeyError):
        await resources.write(ada, resource, ONE, ANY)


async def test_a_write_is_checked_like_a_things(resources, ada):
    with pytest.raises(InvalidValuesError, match="empty"):
        await resources.write(ada, "humidity", ONE, sent())
    with pytest.raises(InvalidValuesError, match=r"values\[0\].value: missing"):
        await resources.write(ada, "humidity", ONE, {"values": [{}]})
    with pytest.raises(InvalidValuesError, match="more than 3"):
        await resources.write(ada, "humidity", ONE, sent(1, 2, 3, 4))


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (None, "values: expected an array"),
        ([], "values: expected an array"),
        ({}, "values: expected an array"),
        ({"values": {"value": 1}}, "values: expected an array"),
        ({"values": [{"value": 1}, 2]}, r"values\[1\]: expected an object"),
    ],
)
async def test_a_body_of_another_shape_is_refused_with_its_place(resources, ada, body, place):
    with pytest.raises(InvalidValuesError, match=place):
        await resources.write(ada, "humidity", ONE, body)


async def test_users_write_no_oftener_than_the_thing_may(resources, ada):
    for _ in range(5):
        await resources.write(ada, "humidity", ONE, sent(1))

    with pytest.raises(TooManyRequestsError):
        await resources.write(ada, "humidity", ONE, ANY)


@pytest.mark.parametrize("text", [ONE, thing_token(1)])
async def test_the_owner_deletes_values_of_a_window(resources, rig, ada, text):
    for at_ms in range(5):
        await rig.wrote(1, "temperature", at_ms, at_ms=at_ms)

    deleted = await resources.delete_values(ada, "temperature", text, from_ms=1, until_ms=3)

    reading = await resources.read(ada, "temperature", ONE, Window(limit=9))
    assert deleted == 2
    assert [row[0] for row in reading.rows] == [4, 3, 0]


async def test_values_of_an_earlier_owner_stay(resources, rig, ada, make_owner_reach):
    rig.reaches.of_user["ada"] = make_owner_reach(one=(1,))
    await rig.wrote(1, "temperature", 20, epoch=0)
    await rig.wrote(1, "temperature", 21, epoch=1)

    assert await resources.delete_values(ada, "temperature", ONE, from_ms=None, until_ms=None) == 1
    assert await rig.store.keys(ONE, (0,)) == ["temperature"]


async def test_a_guest_deletes_nothing(resources, bob):
    everything = {"from_ms": None, "until_ms": None}

    with pytest.raises(RightMissingError, match="only the owner"):
        await resources.delete_values(bob, "temperature", ONE, **everything)
    with pytest.raises(ResourceNotFoundError):
        await resources.delete_values(bob, "secret", ONE, **everything)
    with pytest.raises(ThingNotFoundError):
        await resources.delete_values(bob, "temperature", thing_id(2), **everything)


@pytest.mark.parametrize("resource", ["$geo", "description"])
async def test_only_ordinary_keys_are_deleted(resources, ada, resource):
    with pytest.raises(ResourceNotFoundError):
        await resources.delete_values(ada, resource, ONE, from_ms=None, until_ms=None)
