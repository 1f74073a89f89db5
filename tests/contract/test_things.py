"""What every store of things promises, with its purge list."""

import asyncio

import pytest

from thingstead.features.sharing.model import Rights
from thingstead.features.things.model import Thing
from thingstead.kernel.ids import ProductId, ThingId, digest

DAY_MS = 86_400_000


@pytest.fixture
async def product(core, make):
    """A product with one unused code, `CODE`."""
    product = await make.product()
    await core.products.add_codes(product.id, [make.code("CODE")], at_ms=1_000)
    return product


async def test_a_code_makes_a_thing_of_its_product(core, make, product):
    thing = await core.things.activate(
        digest("CODE"), None, thing_id=ThingId("one"), token=make.token("t"), at_ms=2_000
    )

    assert thing == Thing(ThingId("one"), product.id, 2_000)
    assert await core.things.thing(ThingId("one")) == thing
    assert await core.things.thing_by_token(digest("t"), at_ms=2_000) == (thing, None)


async def test_a_code_is_accepted_with_its_product_named(core, make, product):
    thing = await core.things.activate(
        digest("CODE"), product.id, thing_id=ThingId("one"), token=make.token("t"), at_ms=2
    )

    assert thing is not None


async def test_a_code_of_another_product_is_not_used_up(core, make, product):
    other = await make.product()

    refused = await core.things.activate(
        digest("CODE"), other.id, thing_id=ThingId("one"), token=make.token("t"), at_ms=2
    )

    assert refused is None
    assert await core.things.thing(ThingId("one")) is None
    assert len(await core.products.unused_codes(None, after=None, limit=2)) == 1


async def test_an_unknown_code_makes_nothing(core, make, product):
    refused = await core.things.activate(
        digest("WRONG"), None, thing_id=ThingId("one"), token=make.token("t"), at_ms=2
    )

    assert refused is None
    assert await core.things.thing_by_token(digest("t"), at_ms=2) is None


async def test_of_many_concurrent_activations_exactly_one_succeeds(core, make, product):
    made = await asyncio.gather(
        *(
            core.things.activate(
                digest("CODE"),
                None,
                thing_id=ThingId(f"thing {number}"),
                token=make.token(f"token {number}"),
                at_ms=2,
            )
            for number in range(200)
        )
    )

    (thing,) = [thing for thing in made if thing is not None]
    assert [kept for kept, _ in await core.things.things(None, after=None, limit=9)] == [thing]


async def test_two_processes_do_not_both_use_one_code(open_again, core, make, product):
    other = await open_again()

    made = await asyncio.gather(
        *(
            process.things.activate(
                digest("CODE"),
                None,
                thing_id=ThingId(f"thing {number}"),
                token=make.token(f"token {number}"),
                at_ms=2,
            )
            for number, process in enumerate([core, other] * 20)
        )
    )

    assert sum(thing is not None for thing in made) == 1


async def test_a_thing_without_a_code_needs_its_product(core, make):
    made = await core.things.add_thing(
        ProductId(10_001), thing_id=ThingId("one"), token=make.token("t"), at_ms=2
    )

    assert made is None


async def test_an_unknown_thing_is_none(core):
    assert await core.things.thing(ThingId("nobody")) is None


async def test_things_come_in_pages_ascending_by_id_with_their_tokens(core, make, product):
    names = ["b", "A", "_", "a", "-"]
    made = {name: await make.thing(name, product) for name in names}

    first = await core.things.things(None, after=None, limit=3)
    second = await core.things.things(None, after=first[-1][0].id, limit=3)

    expected = [(made[name], make.token(f"token of {name}")) for name in sorted(names)]
    assert (first, second) == (expected[:3], expected[3:])


async def test_things_of_one_product_leave_out_the_others(core, make, product):
    mine = await make.thing("mine", product)
    await make.thing("other")

    page = await core.things.things(product.id, after=None, limit=10)

    assert [thing for thing, _ in page] == [mine]


async def test_an_earlier_token_works_until_its_overlap_ends(core, make):
    thing = await make.thing("one")

    replaced = await core.things.replace_token(
        thing.id, make.token("new"), at_ms=5_000, old_expires_at_ms=6_000
    )

    old = digest("token of one")
    assert replaced
    assert await core.things.thing_by_token(old, at_ms=5_999) == (thing, 6_000)
    assert await core.things.thing_by_token(old, at_ms=6_000) is None
    assert await core.things.thing_by_token(digest("new"), at_ms=10 * DAY_MS) == (thing, None)


async def test_a_thing_is_listed_with_its_newest_token_only(core, make):
    thing = await make.thing("one")
    await core.things.replace_token(
        thing.id, make.token("new"), at_ms=2_000, old_expires_at_ms=DAY_MS
    )

    page = await core.things.things(None, after=None, limit=10)

    assert page == [(thing, make.token("new"))]


async def test_replacing_again_does_not_lengthen_an_overlap(core, make):
    thing = await make.thing("one")
    await core.things.replace_token(
        thing.id, make.token("second"), at_ms=5_000, old_expires_at_ms=6_000
    )

    await core.things.replace_token(
        thing.id, make.token("third"), at_ms=5_500, old_expires_at_ms=9_000
    )

    first = await core.things.thing_by_token(digest("token of one"), at_ms=5_500)
    second = await core.things.thing_by_token(digest("second"), at_ms=5_500)
    assert (first, second) == ((thing, 6_000), (thing, 9_000))


async def test_replacing_at_once_shortens_an_overlap(core, make):
    thing = await make.thing("one")
    await core.things.replace_token(
        thing.id, make.token("second"), at_ms=5_000, old_expires_at_ms=DAY_MS
    )

    await core.things.replace_token(
        thing.id, make.token("third"), at_ms=5_500, old_expires_at_ms=5_500
    )

    for earlier in ("token of one", "second"):
        assert await core.things.thing_by_token(digest(earlier), at_ms=5_500) is None


async def test_an_unknown_thing_gets_no_token(core, make):
    replaced = await core.things.replace_token(
        ThingId("nobody"), make.token("t"), at_ms=1, old_expires_at_ms=2
    )

    assert not replaced
    assert await core.things.thing_by_token(digest("t"), at_ms=1) is None


async def test_deleting_a_thing_deletes_its_tokens_and_tags(core, make, product):
    thing = await make.thing("one", product)
    await core.things.replace_token(
        thing.id, make.token("new"), at_ms=2_500, old_expires_at_ms=DAY_MS
    )
    await core.tags.add_tags(thing.id, ["roof"], max_tags=50, at_ms=3_000)

    deleted = await core.things.delete_thing(thing.id, at_ms=4_000)

    assert deleted
    assert await core.things.thing(thing.id) is None
    assert await core.things.thing_by_token(digest("token of one"), at_ms=4_000) is None
    assert await core.things.thing_by_token(digest("new"), at_ms=4_000) is None
    assert await core.tags.tags(thing.id) == []


async def test_deleting_a_thing_leaves_the_others_alone(core, make, product):
    one, two = await make.thing("one", product), await make.thing("two", product)

    await core.things.delete_thing(one.id, at_ms=4_000)

    assert await core.things.thing(two.id) == two
    assert await core.things.thing_by_token(digest("token of two"), at_ms=1) == (two, None)


async def test_the_code_of_a_deleted_thing_stays_used(core, make, product):
    await core.things.activate(
        digest("CODE"), None, thing_id=ThingId("one"), token=make.token("t"), at_ms=2
    )
    await core.things.delete_thing(ThingId("one"), at_ms=3)

    again = await core.things.activate(
        digest("CODE"), None, thing_id=ThingId("two"), token=make.token("u"), at_ms=4
    )

    assert again is None


async def test_deleting_an_unknown_thing_says_so_and_notes_nothing(core):
    deleted = await core.things.delete_thing(ThingId("nobody"), at_ms=1)

    assert not deleted
    assert await core.purge_list.pending(10) == []


async def test_deleted_things_are_pending_in_the_order_of_their_deletion(core, make, product):
    for at_ms, name in enumerate(["c", "a", "b"], start=4_000):
        thing = await make.thing(name, product)
        await core.things.delete_thing(thing.id, at_ms=at_ms)

    assert await core.purge_list.pending(2) == ["c", "a"]


async def test_a_purged_thing_is_no_longer_pending(core, make):
    thing = await make.thing("one")
    await core.things.delete_thing(thing.id, at_ms=4_000)

    await core.purge_list.done(thing.id)
    await core.purge_list.done(thing.id)

    assert await core.purge_list.pending(10) == []


async def test_what_one_process_wrote_another_reads_at_once(open_again, core, make):
    other = await open_again()

    thing = await make.thing("one")

    assert await other.things.thing(thing.id) == thing


async def test_a_thing_that_nobody_owns_shows_its_current_epoch_only(core, make):
    user = await make.user("ada")
    thing = await make.owned("one", user)
    await core.links.unlink(user.id, thing.id, at_ms=4_000)

    by_id = await core.things.thing(thing.id)
    by_token, _ = await core.things.thing_by_token(digest("token of one"), at_ms=1)
    ((listed, _),) = await core.things.things(None, after=None, limit=9)

    assert by_id.epochs == by_token.epochs == listed.epochs == (1,)


async def test_a_thing_shows_all_epochs_of_its_owner_and_no_other(core, make):
    ada, bob = await make.user("ada"), await make.user("bob")
    thing = await make.owned("one", ada)
    await core.links.unlink(ada.id, thing.id, at_ms=4_000)
    for user in (bob, ada):
        await core.links.link(user.id, thing.id, at_ms=5_000, max_things=9)
        if user is bob:
            await core.links.unlink(user.id, thing.id, at_ms=6_000)

    by_id = await core.things.thing(thing.id)
    by_token, _ = await core.things.thing_by_token(digest("token of one"), at_ms=1)
    ((listed, _),) = await core.things.things(None, after=None, limit=9)

    assert by_id.epochs == by_token.epochs == listed.epochs == (0, 2)


async def test_a_deleted_thing_belongs_to_nobody(core, make):
    ada, bob = await make.user("ada"), await make.user("bob")
    thing = await make.owned("one", ada)
    await make.share(ada, bob, ("one", "door", Rights.GET))

    await core.things.delete_thing(thing.id, at_ms=7_000)

    assert await core.links.linked(ada.id) == []
    assert await core.links.last_owner(thing.id) is None
    assert await core.grants.given(ada.id, at_ms=7_000) == []
    assert (await core.reach.reach(bob.id)).shared == {}
