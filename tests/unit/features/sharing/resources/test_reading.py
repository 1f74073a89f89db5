"""What users see: roles, lists of resources, and values of one thing or of all."""

import pytest

from doubles.callers import a_caller, thing_id, thing_token
from thingstead.features.sharing.errors import RightMissingError, TooManyResourcesError
from thingstead.features.sharing.model import Rights
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.values.errors import ResourceNotFoundError
from thingstead.features.values.model import Window

ONE, TWO, THREE = thing_id(1), thing_id(2), thing_id(3)
CARL = a_caller("carl")
NEWEST = Window()
TEN = Window(limit=10)


async def test_an_owner_has_all_rights_on_what_was_written_and_on_descriptions(resources, rig, ada):
    await rig.wrote(1, "temperature", 20)
    await rig.wrote(2, "temperature", 21)
    await rig.wrote(2, "humidity", 50)

    assert await resources.roles(ada) == {
        "description": {ONE: Rights.ALL, TWO: Rights.ALL},
        "temperature": {ONE: Rights.ALL, TWO: Rights.ALL},
        "humidity": {TWO: Rights.ALL},
    }


async def test_a_guest_has_what_was_granted_and_written(resources, rig, bob):
    await rig.wrote(1, "temperature", 20)
    await rig.wrote(1, "humidity", 50)
    await rig.wrote(1, "secret", 1)
    await rig.wrote(3, "temperature", 1)

    assert await resources.roles(bob) == {
        "temperature": {ONE: Rights.GET},
        "humidity": {ONE: Rights.POST},
        "description": {THREE: Rights.GET},
    }


async def test_roles_end_where_the_app_does(resources, rig):
    await rig.wrote(1, "temperature", 20)
    await rig.wrote(1, "humidity", 50)

    roles = await resources.roles(a_caller("ada", resources=["humidity"]))

    assert sorted(roles) == ["description", "humidity"]


@pytest.mark.parametrize("written", [6, 7])
async def test_roles_hold_as_many_entries_as_they_may(resources, rig, ada, written):
    # Two descriptions and six keys are eight entries, which is the limit.
    for number in range(written):
        await rig.wrote(1, f"r{number}", 1)

    roles = await resources.roles(ada)

    assert sum(len(things) for things in roles.values()) == 8
    assert (TWO in roles["description"]) is (written == 6)


async def test_what_is_not_readable_takes_no_room_among_roles(resources, rig, bob):
    for number in range(9):
        await rig.wrote(1, f"secret{number}", 1)

    assert await resources.roles(bob) == {"description": {THREE: Rights.GET}}


async def test_who_has_no_things_has_no_roles(resources):
    assert await resources.roles(CARL) == {}
    assert await resources.resources(CARL) == []


async def test_resources_are_those_that_may_be_read_with_their_things(resources, rig, ada, bob):
    await rig.wrote(1, "temperature", 20)
    await rig.wrote(2, "temperature", 21)
    await rig.wrote(1, "humidity", 50)

    assert await resources.resources(ada) == [
        ("humidity", [ONE]),
        ("temperature", [ONE, TWO]),
    ]
    assert await resources.resources(bob) == [("temperature", [ONE])]


async def test_resources_are_listed_beyond_what_roles_hold(resources, rig, ada):
    # Descriptions do not count; eleven is the most that is listed.
    for number in range(11):
        await rig.wrote(1, f"r{number}", 1)

    listed = await resources.resources(ada)

    assert listed == sorted((f"r{n}", [ONE]) for n in range(11))


async def test_more_resources_than_are_listed_are_refused_and_not_cut_off(resources, rig, ada):
    for number in range(12):
        await rig.wrote(1, f"r{number}", 1)

    with pytest.raises(TooManyResourcesError, match="more than 11 of all things"):
        await resources.resources(ada)


async def test_what_is_not_readable_takes_no_room_in_the_list(resources, rig, bob):
    for number in range(12):
        await rig.wrote(1, f"secret{number}", 1)

    assert await resources.resources(bob) == []


async def test_values_of_all_things_come_newest_first_and_the_limit_counts_over_all(
    resources, rig, ada
):
    await rig.wrote(1, "temperature", 20, at_ms=1)
    await rig.wrote(2, "temperature", 21, at_ms=2)
    await rig.wrote(1, "temperature", 22, at_ms=3)

    rows = await resources.read_all(ada, "temperature", Window(limit=2))

    assert [(thing, row[0]) for thing, row in rows] == [(ONE, 22), (TWO, 21)]


async def test_values_of_all_things_are_those_of_things_that_may_be_read(resources, rig, bob):
    await rig.wrote(1, "temperature", 20)
    await rig.wrote(2, "temperature", 21)
    await rig.wrote(3, "temperature", 22)

    assert [thing for thing, _ in await resources.read_all(bob, "temperature", TEN)] == [ONE]


async def test_a_window_without_values_is_empty_where_the_resource_is_known(resources, rig, ada):
    await rig.wrote(2, "temperature", 21, at_ms=5)

    assert await resources.read_all(ada, "temperature", Window(from_ms=6)) == []


@pytest.mark.parametrize("resource", ["pressure", "humidity", "$geo"])
async def test_what_no_readable_thing_has_written_is_not_found(resources, rig, bob, resource):
    await rig.wrote(1, "temperature", 20)
    await rig.wrote(1, "humidity", 50)

    with pytest.raises(ResourceNotFoundError):
        await resources.read_all(bob, resource, TEN)


async def test_reading_all_ends_where_the_app_does(resources, rig):
    await rig.wrote(1, "temperature", 20)

    with pytest.raises(ResourceNotFoundError):
        await resources.read_all(a_caller("ada", resources=["humidity"]), "temperature", TEN)


@pytest.mark.parametrize("text", [ONE, thing_token(1)])
async def test_a_thing_is_named_by_its_id_or_its_token(resources, rig, bob, text):
    await rig.wrote(1, "temperature", 20)

    reading = await resources.read(bob, "temperature", text, NEWEST)

    assert [row[0] for row in reading.rows] == [20]
    assert (await resources.thing_of(bob, text)).id == ONE


@pytest.mark.parametrize(
    "text", [thing_id(2), thing_token(2), thing_id(99), thing_token(99), "short", "\ud800"]
)
async def test_a_thing_out_of_reach_is_answered_like_an_unknown_one(resources, rig, bob, text):
    await rig.wrote(2, "temperature", 21)

    with pytest.raises(ThingNotFoundError) as refused:
        await resources.read(bob, "temperature", text, NEWEST)

    assert refused.value.detail == ""


@pytest.mark.parametrize("resource", ["secret", "absent"])
async def test_a_resource_without_any_right_is_answered_like_an_absent_one(
    resources, rig, bob, resource
):
    await rig.wrote(1, "secret", 1)

    with pytest.raises(ResourceNotFoundError) as refused:
        await resources.read(bob, resource, ONE, NEWEST)

    assert refused.value.detail == ""


async def test_an_owner_finds_what_was_written_only(resources, ada):
    with pytest.raises(ResourceNotFoundError):
        await resources.read(ada, "temperature", ONE, NEWEST)


async def test_who_has_another_right_is_told_which_one_is_missing(resources, rig, bob):
    await rig.wrote(1, "humidity", 50)

    with pytest.raises(RightMissingError, match="humidity: get is missing"):
        await resources.read(bob, "humidity", ONE, NEWEST)


async def test_reading_one_thing_ends_where_the_app_does(resources, rig):
    await rig.wrote(1, "temperature", 20)

    with pytest.raises(ResourceNotFoundError):
        await resources.read(a_caller("ada", resources=["humidity"]), "temperature", ONE, NEWEST)


async def test_values_of_other_epochs_are_not_there(resources, rig, ada, make_owner_reach):
    rig.reaches.of_user["ada"] = make_owner_reach(one=(1,))
    await rig.wrote(1, "temperature", 20, epoch=0)
    await rig.wrote(1, "humidity", 50, epoch=1)

    assert (await resources.read(ada, "humidity", thing_token(1), NEWEST)).rows
    assert "temperature" not in await resources.roles(ada)
    with pytest.raises(ResourceNotFoundError):
        await resources.read(ada, "temperature", thing_token(1), NEWEST)
    with pytest.raises(ResourceNotFoundError):
        await resources.read_all(ada, "temperature", TEN)
