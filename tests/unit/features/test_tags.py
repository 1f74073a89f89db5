"""The rules of tags."""

import pytest

from doubles.clock import ManualClock
from doubles.core import MemoryCore
from doubles.things import MemoryThingStore
from thingstead.features.tags.errors import InvalidTagError, TagNotFoundError, TooManyTagsError
from thingstead.features.tags.service import Tags
from thingstead.features.things.model import SealedToken
from thingstead.kernel.ids import ThingId

THING = ThingId("one")


async def add_thing(things: MemoryThingStore, product_id):
    await things.add_thing(product_id, thing_id=THING, token=SealedToken(b"d", b"s"), at_ms=1)


@pytest.fixture
async def tags():
    """The tags of one thing, which may have three."""
    core = MemoryCore()
    product = await core.products.add_product("Station", "hash", at_ms=1)
    await add_thing(core.things, product.id)
    return Tags(core.tags, ManualClock(), max_tags=3)


async def test_a_thing_has_no_tags_at_first(tags):
    assert await tags.of(THING) == []


async def test_added_tags_are_returned_as_sent_and_listed_in_order(tags):
    added = await tags.add(THING, ["roof", "north"])

    assert added == ["roof", "north"]
    assert await tags.of(THING) == ["north", "roof"]


async def test_blanks_around_a_tag_do_not_count(tags):
    assert await tags.add(THING, ["  roof "]) == ["roof"]


async def test_a_tag_is_kept_in_composed_form(tags):
    assert await tags.add(THING, ["u\u0308ber"]) == ["\u00fcber"]


async def test_a_tag_is_deleted_in_any_form_of_its_letters(tags):
    await tags.add(THING, ["\u00fcber"])

    await tags.delete(THING, "u\u0308ber")

    assert await tags.of(THING) == []


async def test_no_tag_at_all_is_refused(tags):
    with pytest.raises(InvalidTagError, match="missing"):
        await tags.add(THING, [])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a" * 65, "64 characters"),
        ("a\nb", "control characters"),
        ("a\x00b", "control characters"),
        ("a\ud800b", "control characters"),
        ("roof/north", "slash"),
        ("roof\\north", "slash"),
    ],
    ids=ascii,
)
async def test_a_name_that_cannot_be_a_tag_is_refused(tags, name, reason):
    with pytest.raises(InvalidTagError, match=reason):
        await tags.add(THING, [name])


async def test_the_longest_tag_has_64_characters(tags):
    assert await tags.add(THING, ["ü" * 64]) == ["ü" * 64]


async def test_one_bad_name_refuses_them_all(tags):
    with pytest.raises(InvalidTagError):
        await tags.add(THING, ["roof", "a/b"])

    assert await tags.of(THING) == []


async def test_more_tags_than_a_thing_may_have_are_refused(tags):
    await tags.add(THING, ["a", "b"])

    with pytest.raises(TooManyTagsError, match="3"):
        await tags.add(THING, ["c", "d"])

    assert await tags.of(THING) == ["a", "b"]


async def test_deleting_a_tag_that_is_not_there_is_refused(tags):
    with pytest.raises(TagNotFoundError):
        await tags.delete(THING, "roof")
