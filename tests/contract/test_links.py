"""What every store of links promises."""

import asyncio

import pytest

from thingstead.features.links.model import LinkedThing, LinkOutcome
from thingstead.features.sharing.model import Rights
from thingstead.kernel.ids import ThingId, UserId, digest


@pytest.fixture
async def ada(make):
    return await make.user("ada")


@pytest.fixture
async def bob(make):
    return await make.user("bob")


async def link(core, user, thing, *, max_things=9):
    return await core.links.link(user.id, thing.id, at_ms=3_000, max_things=max_things)


async def test_a_thing_without_an_owner_is_linked(core, make, ada):
    thing = await make.thing("one")

    assert await link(core, ada, thing) is LinkOutcome.LINKED
    assert await core.links.linked(ada.id) == [LinkedThing(thing, 3_000)]
    assert await core.links.last_owner(thing.id) == ada.id


async def test_linking_ones_own_thing_again_changes_nothing(core, make, ada):
    thing = await make.thing("one")
    await link(core, ada, thing)
    core.change_signal.changes()

    again = await core.links.link(ada.id, thing.id, at_ms=4_000, max_things=1)

    assert again is LinkOutcome.ALREADY_THEIRS
    assert await core.links.linked(ada.id) == [LinkedThing(thing, 3_000)]
    assert not core.change_signal.changes()


async def test_somebody_elses_thing_is_not_free(core, make, ada, bob):
    thing = await make.owned("one", ada)

    assert await link(core, bob, thing) is LinkOutcome.NOT_FREE
    assert await core.links.last_owner(thing.id) == ada.id


async def test_an_unknown_thing_is_not_free(core, ada):
    outcome = await core.links.link(ada.id, ThingId("nothing"), at_ms=1, max_things=9)

    assert outcome is LinkOutcome.NOT_FREE
    assert await core.links.last_owner(ThingId("nothing")) is None


async def test_a_user_who_is_gone_gets_no_thing(core, make):
    thing = await make.thing("one")

    outcome = await core.links.link(UserId("nobody"), thing.id, at_ms=1, max_things=9)

    assert outcome is LinkOutcome.NOT_FREE


async def test_as_many_things_as_may_be_are_linked_and_one_more_is_not(core, make, ada):
    outcomes = [
        await link(core, ada, await make.thing(name), max_things=2) for name in ("a", "b", "c")
    ]

    assert outcomes == [LinkOutcome.LINKED, LinkOutcome.LINKED, LinkOutcome.TOO_MANY]
    assert [linked.thing.id for linked in await core.links.linked(ada.id)] == ["a", "b"]


async def test_of_many_users_who_link_one_thing_at_once_one_succeeds(open_again, core, make):
    thing = await make.thing("one")
    users = [await make.user(f"user {number}") for number in range(50)]
    other = await open_again()

    outcomes = await asyncio.gather(
        *(
            process.links.link(user.id, thing.id, at_ms=3_000, max_things=9)
            for user, process in zip(users, [core, other] * 25, strict=True)
        )
    )

    assert outcomes.count(LinkOutcome.LINKED) == 1
    assert outcomes.count(LinkOutcome.NOT_FREE) == 49
    owner = users[outcomes.index(LinkOutcome.LINKED)]
    assert await core.links.last_owner(thing.id) == owner.id


async def test_concurrent_links_do_not_pass_the_limit(core, make, ada):
    things = [await make.thing(f"thing {number}") for number in range(10)]

    outcomes = await asyncio.gather(*(link(core, ada, thing, max_things=3) for thing in things))

    assert outcomes.count(LinkOutcome.LINKED) == 3
    assert len(await core.links.linked(ada.id)) == 3


async def test_linked_things_come_ascending_by_id_with_their_epochs(core, make, ada, bob):
    for name in ("b", "A", "_"):
        await make.owned(name, ada)
    await make.owned("c", bob)
    await core.links.unlink(ada.id, "b", at_ms=4_000)
    await core.links.link(ada.id, "b", at_ms=5_000, max_things=9)

    linked = await core.links.linked(ada.id)

    assert [(one.thing.id, one.thing.epochs) for one in linked] == [
        ("A", (0,)),
        ("_", (0,)),
        ("b", (0, 1)),
    ]


async def test_an_unlinked_thing_is_free_in_a_new_epoch(core, make, ada, bob):
    thing = await make.owned("one", ada)

    unlinked = await core.links.unlink(ada.id, thing.id, at_ms=4_000)

    assert unlinked
    assert await core.links.linked(ada.id) == []
    assert await link(core, bob, thing) is LinkOutcome.LINKED
    assert (await core.links.linked(bob.id))[0].thing.epochs == (1,)


async def test_the_last_owner_is_known_until_somebody_else_links(core, make, ada, bob):
    thing = await make.owned("one", ada)
    await core.links.unlink(ada.id, thing.id, at_ms=4_000)
    before = await core.links.last_owner(thing.id)

    await link(core, bob, thing)

    assert (before, await core.links.last_owner(thing.id)) == (ada.id, bob.id)


async def test_somebody_elses_thing_is_not_unlinked(core, make, ada, bob):
    thing = await make.owned("one", ada)

    assert not await core.links.unlink(bob.id, thing.id, at_ms=4_000)
    assert (await core.things.thing(thing.id)).epochs == (0,)
    assert len(await core.links.linked(ada.id)) == 1


async def test_a_thing_is_unlinked_once(core, make, ada):
    thing = await make.owned("one", ada)

    unlinked = await asyncio.gather(
        *(core.links.unlink(ada.id, thing.id, at_ms=4_000) for _ in range(10))
    )

    assert unlinked.count(True) == 1
    assert (await core.things.thing(thing.id)).epochs == (1,)


async def test_unlinking_ends_every_grant_on_the_thing_and_no_other(core, make, ada, bob):
    for name in ("one", "two"):
        await make.owned(name, ada)
    get = Rights.GET
    await make.share(ada, bob, ("one", "door", get), ("two", "door", get))
    await make.grant(ada, "eve", ("one", "door", get))

    await core.links.unlink(ada.id, "one", at_ms=7_000)
    await core.links.link(ada.id, "one", at_ms=8_000, max_things=9)

    assert set((await core.reach.reach(bob.id)).shared) == {"two"}
    (left,) = await core.grants.given(ada.id, at_ms=8_000)
    assert [entry.thing_id for entry in left.entries] == ["two"]


async def test_an_owner_deletes_their_thing(core, make, ada):
    thing = await make.owned("one", ada)
    await core.tags.add_tags(thing.id, ["roof"], max_tags=9, at_ms=1)

    deleted = await core.links.delete_linked(ada.id, thing.id, at_ms=4_000)

    assert deleted
    assert await core.things.thing(thing.id) is None
    assert await core.things.thing_by_token(digest("token of one"), at_ms=1) is None
    assert await core.purge_list.pending(9) == ["one"]
    assert await core.links.linked(ada.id) == []


async def test_only_the_owner_deletes_a_thing(core, make, ada, bob):
    thing = await make.owned("one", ada)
    free = await make.thing("free")

    for one in (thing, free):
        assert not await core.links.delete_linked(bob.id, one.id, at_ms=4_000)

    assert await core.things.thing(thing.id) == thing
    assert await core.purge_list.pending(9) == []
