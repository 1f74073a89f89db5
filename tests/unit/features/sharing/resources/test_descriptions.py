"""Descriptions as users read and replace them."""

import asyncio

import pytest

from doubles.callers import a_caller, thing_id, thing_token
from thingstead.features.magic.documents import document_tag
from thingstead.features.magic.errors import (
    DocumentChangedError,
    DocumentTooLargeError,
    InvalidDescriptionError,
)
from thingstead.features.sharing.descriptions import Described
from thingstead.features.sharing.errors import RightMissingError
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.values.errors import ResourceNotFoundError
from thingstead.features.values.model import MagicEcho

ONE, TWO, THREE = thing_id(1), thing_id(2), thing_id(3)
ROOF = {"name": "Roof"}


async def test_who_may_reads_a_description(resources, rig, ada, bob):
    await rig.describe(1, ROOF)
    await rig.describe(3, {"name": "Cellar"})

    assert await resources.description(ada, thing_token(1)) == Described(ONE, ROOF)
    assert await resources.description(bob, THREE) == Described(THREE, {"name": "Cellar"})
    assert await resources.description(ada, TWO) == Described(TWO, None)


async def test_a_description_is_a_resource_of_its_own(resources, rig, bob):
    await rig.describe(1, ROOF)

    with pytest.raises(ResourceNotFoundError):
        await resources.description(bob, ONE)


async def test_any_right_of_a_thing_opens_its_public_description(resources, rig, bob):
    await rig.describe(1, ROOF)

    assert await resources.public_description(bob, thing_token(1)) == Described(ONE, ROOF)
    with pytest.raises(ThingNotFoundError):
        await resources.public_description(bob, TWO)


async def test_public_descriptions_are_those_of_all_things_with_any_right(resources, rig, ada, bob):
    for number in (1, 2, 3):
        await rig.describe(number, {"name": f"{number}"})

    public = await resources.public_descriptions(bob)

    assert [thing for thing, _ in public] == [ONE, THREE]
    assert [thing for thing, _ in await resources.public_descriptions(ada)] == [ONE, TWO]


async def test_an_app_with_declared_resources_sees_descriptions_too(resources, rig):
    await rig.describe(1, ROOF)
    narrow = a_caller("ada", resources=["humidity"])

    assert (await resources.description(narrow, ONE)).document == ROOF
    assert await resources.descriptions(narrow) == [(ONE, ROOF)]


async def test_descriptions_are_those_that_may_be_read(resources, rig, ada, bob):
    for number in (1, 2, 3):
        await rig.describe(number, {"name": f"{number}"})

    assert await resources.descriptions(ada) == [(ONE, {"name": "1"}), (TWO, {"name": "2"})]
    assert await resources.descriptions(bob) == [(THREE, {"name": "3"})]


async def test_who_may_replaces_a_description(resources, rig, ada):
    heard = []
    rig.bus.listen(ONE, heard.append)

    etag = await resources.replace_description(ada, thing_token(1), ROOF, etag=None)

    assert (await resources.description(ada, ONE)).document == ROOF
    assert etag == document_tag(ROOF)
    assert heard[0].entries == (MagicEcho("description", ROOF),)


async def test_who_may_only_read_does_not_replace(resources, bob):
    with pytest.raises(RightMissingError, match="description: put is missing"):
        await resources.replace_description(bob, THREE, ROOF, etag=None)


@pytest.mark.parametrize(
    ("description", "refusal"),
    [
        ([], InvalidDescriptionError),
        (None, InvalidDescriptionError),
        ({"name": "x" * 90}, DocumentTooLargeError),
    ],
)
async def test_what_is_no_description_changes_nothing(resources, rig, ada, description, refusal):
    await rig.describe(1, ROOF)

    with pytest.raises(refusal):
        await resources.replace_description(ada, ONE, description, etag=None)
    assert (await resources.description(ada, ONE)).document == ROOF


async def test_a_description_is_as_large_as_it_may_be(resources, ada):
    longest = {"name": "x" * 89}

    await resources.replace_description(ada, ONE, longest, etag=None)

    assert (await resources.description(ada, ONE)).document == longest


async def test_the_tag_of_what_was_read_lets_it_be_replaced(resources, ada):
    absent = (await resources.description(ada, ONE)).etag

    first = await resources.replace_description(ada, ONE, ROOF, etag=absent)
    await resources.replace_description(ada, ONE, {"name": "Door"}, etag=first)

    assert (await resources.description(ada, ONE)).document == {"name": "Door"}


async def test_another_tag_changes_nothing(resources, rig, ada):
    await rig.describe(1, ROOF)

    with pytest.raises(DocumentChangedError):
        await resources.replace_description(ada, ONE, {"name": "Door"}, etag=document_tag(None))
    assert (await resources.description(ada, ONE)).document == ROOF


async def test_of_two_writers_with_the_same_tag_one_succeeds(resources, rig, ada):
    await rig.describe(1, ROOF)
    etag = document_tag(ROOF)

    outcomes = await asyncio.gather(
        resources.replace_description(ada, ONE, {"name": "a"}, etag=etag),
        resources.replace_description(ada, ONE, {"name": "b"}, etag=etag),
        return_exceptions=True,
    )

    assert outcomes[0] == document_tag({"name": "a"})
    assert isinstance(outcomes[1], DocumentChangedError)
    assert (await resources.description(ada, ONE)).document == {"name": "a"}


async def test_a_writer_that_compares_sees_what_a_blind_one_is_writing(resources, rig, ada):
    await rig.describe(1, ROOF)

    outcomes = await asyncio.gather(
        resources.replace_description(ada, ONE, {"name": "a"}, etag=None),
        resources.replace_description(ada, ONE, {"name": "b"}, etag=document_tag(ROOF)),
        return_exceptions=True,
    )

    assert isinstance(outcomes[1], DocumentChangedError)
    assert (await resources.description(ada, ONE)).document == {"name": "a"}


def test_a_tag_tells_descriptions_apart_but_not_the_order_of_their_members():
    assert document_tag({"a": 1, "b": 2}) == document_tag({"b": 2, "a": 1})
    assert len({document_tag(one) for one in (None, {}, {"a": 1}, {"a": 1.5})}) == 4
    assert len(document_tag(ROOF)) == 32
