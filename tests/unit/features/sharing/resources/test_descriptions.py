"""Descriptions as users read and replace them."""

import asyncio
import json

import pytest

from doubles.callers import a_caller, thing_id, thing_token
from thingstead.features.magic.documents import document_tag
from thingstead.features.magic.errors import (
    DocumentChangedError,
    DocumentTooLargeError,
    InvalidDescriptionError,
)
from thingstead.features.sharing import resources as sharing_resources
from thingstead.features.sharing.descriptions import Described
from thingstead.features.sharing.errors import RightMissingError
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.values.errors import ResourceNotFoundError
from thingstead.features.values.model import MagicEcho
from thingstead.kernel.json_values import JSONText

ONE, TWO, THREE = thing_id(1), thing_id(2), thing_id(3)
ROOF = {"name": "Roof"}


async def all_of(pages):
    return [one async for page in pages for one in page]


async def decoded(pages):
    return [(thing, text.decoded()) for thing, text in await all_of(pages)]


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

    assert await all_of(resources.public_description_pages(bob)) == [
        (ONE, {"name": "1"}),
        (THREE, JSONText(b'{"name":"3"}')),
    ]
    public = await all_of(resources.public_description_pages(ada))
    assert [thing for thing, _ in public] == [ONE, TWO]


async def test_a_page_of_public_descriptions_is_never_empty(resources, rig, bob, monkeypatch):
    monkeypatch.setattr(sharing_resources, "DESCRIPTIONS_A_PAGE", 1)
    await rig.describe(1, {"floor": 2})
    await rig.describe(3, ROOF)

    pages = [page async for page in resources.public_description_pages(bob)]

    assert [[thing for thing, _ in page] for page in pages] == [[THREE]]


@pytest.mark.parametrize(
    ("name", "most", "pages"),
    [
        ("DESCRIPTIONS_A_PAGE", 1, [[ONE], [TWO]]),
        ("DESCRIPTIONS_A_PAGE", 2, [[ONE, TWO]]),
        ("DESCRIPTION_BYTES_A_PAGE", 15, [[ONE], [TWO]]),
        ("DESCRIPTION_BYTES_A_PAGE", 16, [[ONE, TWO]]),
    ],
)
async def test_descriptions_come_in_pages(resources, rig, ada, monkeypatch, name, most, pages):
    monkeypatch.setattr(sharing_resources, name, most)
    await rig.describe(1, ROOF)
    await rig.describe(2, ROOF)

    given = [page async for page in resources.description_pages(ada)]

    assert len(json.dumps(ROOF, separators=(",", ":"))) == 15
    assert [[thing for thing, _ in page] for page in given] == pages


async def test_without_a_description_there_is_no_page(resources, ada):
    assert [page async for page in resources.description_pages(ada)] == []


async def test_an_app_with_declared_resources_sees_descriptions_too(resources, rig):
    await rig.describe(1, ROOF)
    narrow = a_caller("ada", resources=["humidity"])

    assert (await resources.description(narrow, ONE)).document == ROOF
    assert await decoded(resources.description_pages(narrow)) == [(ONE, ROOF)]


async def test_descriptions_are_those_that_may_be_read(resources, rig, ada, bob):
    for number in (1, 2, 3):
        await rig.describe(number, {"name": f"{number}"})

    assert await decoded(resources.description_pages(ada)) == [
        (ONE, {"name": "1"}),
        (TWO, {"name": "2"}),
    ]
    assert await decoded(resources.description_pages(bob)) == [(THREE, {"name": "3"})]


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
