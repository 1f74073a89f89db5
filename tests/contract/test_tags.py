"""What every store of tags promises."""

import asyncio

import pytest

from thingstead.features.things.errors import ThingNotFoundError
from thingstead.kernel.ids import ThingId


async def test_a_thing_without_tags_has_none(core, make):
    thing = await make.thing("one")

    assert await core.tags.tags(thing.id) == []


async def test_tags_come_in_the_order_of_their_code_points(core, make):
    thing = await make.thing("one")

    await core.tags.add_tags(thing.id, ["roof", "Zebra", "äther", "10", "9"], max_tags=50, at_ms=1)

    assert await core.tags.tags(thing.id) == ["10", "9", "Zebra", "roof", "äther"]


async def test_adding_a_tag_twice_is_the_same_as_once(core, make):
    thing = await make.thing("one")

    added = [
        await core.tags.add_tags(thing.id, ["roof", "roof"], max_tags=50, at_ms=at_ms)
        for at_ms in (1, 2)
    ]

    assert added == [True, True]
    assert await core.tags.tags(thing.id) == ["roof"]


async def test_as_many_tags_as_may_be_are_accepted(core, make):
    thing = await make.thing("one")

    assert await core.tags.add_tags(thing.id, ["a", "b"], max_tags=2, at_ms=1)


async def test_of_too_many_tags_none_is_added(core, make):
    thing = await make.thing("one")
    await core.tags.add_tags(thing.id, ["a"], max_tags=2, at_ms=1)

    added = await core.tags.add_tags(thing.id, ["b", "c"], max_tags=2, at_ms=2)

    assert not added
    assert await core.tags.tags(thing.id) == ["a"]


async def test_tags_that_are_there_do_not_count_twice(core, make):
    thing = await make.thing("one")
    await core.tags.add_tags(thing.id, ["a"], max_tags=2, at_ms=1)

    assert await core.tags.add_tags(thing.id, ["a", "b"], max_tags=2, at_ms=2)


async def test_a_tag_that_is_there_is_accepted_when_the_limit_was_lowered(core, make):
    thing = await make.thing("one")
    await core.tags.add_tags(thing.id, ["a", "b"], max_tags=2, at_ms=1)

    assert await core.tags.add_tags(thing.id, ["a"], max_tags=1, at_ms=2)


async def test_concurrent_additions_do_not_pass_the_limit(core, make):
    thing = await make.thing("one")

    added = await asyncio.gather(
        *(
            core.tags.add_tags(thing.id, [f"tag {number}"], max_tags=5, at_ms=1)
            for number in range(20)
        )
    )

    assert added.count(True) == 5
    assert len(await core.tags.tags(thing.id)) == 5


async def test_deleting_a_tag_leaves_the_same_name_on_other_things_alone(core, make):
    one, two = await make.thing("one"), await make.thing("two")
    for thing in (one, two):
        await core.tags.add_tags(thing.id, ["roof"], max_tags=50, at_ms=1)

    deleted = await core.tags.delete_tag(one.id, "roof")

    assert deleted
    assert await core.tags.tags(one.id) == []
    assert await core.tags.tags(two.id) == ["roof"]


async def test_deleting_a_tag_that_is_not_there_says_so(core, make):
    thing = await make.thing("one")

    assert not await core.tags.delete_tag(thing.id, "roof")


async def test_deleting_a_tag_tells_upper_case_from_lower(core, make):
    thing = await make.thing("one")
    await core.tags.add_tags(thing.id, ["Roof"], max_tags=50, at_ms=1)

    assert not await core.tags.delete_tag(thing.id, "roof")


async def test_a_deleted_thing_takes_no_tag(core, make):
    thing = await make.thing("one")
    await core.things.delete_thing(thing.id, at_ms=2)

    with pytest.raises(ThingNotFoundError):
        await core.tags.add_tags(thing.id, ["roof"], max_tags=50, at_ms=3)


async def test_tags_go_with_the_thing_s_owner(core, make):
    ada, bob = await make.user("ada"), await make.user("bob")
    await make.owned("one", ada)
    await make.owned("two", ada)
    for name in ("one", "two"):
        await core.tags.add_tags(name, ["of ada"], max_tags=50, at_ms=1)

    await core.links.unlink(bob.id, "one", at_ms=2)
    await core.links.unlink(ada.id, "one", at_ms=2)

    assert await core.tags.tags("one") == []
    assert await core.tags.tags("two") == ["of ada"]


async def test_an_unknown_thing_has_no_tags(core):
    assert await core.tags.tags(ThingId("nobody")) == []
