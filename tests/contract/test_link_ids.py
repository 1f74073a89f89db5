"""What every store of link ids promises."""

import asyncio

import pytest

from thingstead.features.links.model import ByLinkId, LinkIdResult
from thingstead.kernel.ids import ProductId, UserId

WAITING = LinkIdResult(ByLinkId.WAITING)
TOO_MANY = LinkIdResult(ByLinkId.TOO_MANY)
DAY_MS = 86_400_000


@pytest.fixture
async def ada(make):
    return await make.user("ada")


@pytest.fixture
async def bob(make):
    return await make.user("bob")


@pytest.fixture
async def product(core, make, ada):
    """A product that takes the link ids of the app `home`."""
    product = await make.product()
    assert await core.link_ids.set_link_app(product.id, ada.app_id)
    return product


@pytest.fixture
async def thing(make, product):
    return await make.thing("one", product)


async def claim(core, user, link_id="SERIAL-1", *, at_ms=0, max_pending=10, max_things=9):
    return await core.link_ids.claim(
        user.id,
        user.app_id,
        link_id,
        at_ms=at_ms,
        expires_at_ms=at_ms + DAY_MS,
        max_pending=max_pending,
        max_things=max_things,
    )


async def offer(core, thing, link_id="SERIAL-1", *, at_ms=0, max_things=9):
    return await core.link_ids.offer(
        thing.id, link_id, at_ms=at_ms, expires_at_ms=at_ms + DAY_MS, max_things=max_things
    )


def linked(thing):
    return LinkIdResult(ByLinkId.LINKED, thing.id)


async def owned(core, user):
    return [one.thing.id for one in await core.links.linked(user.id)]


async def test_a_user_and_then_a_thing_meet(core, ada, thing):
    assert await claim(core, ada) == WAITING
    assert await offer(core, thing) == linked(thing)
    assert await owned(core, ada) == ["one"]


async def test_a_thing_and_then_a_user_meet(core, ada, thing):
    assert await offer(core, thing) == WAITING
    assert await claim(core, ada) == linked(thing)
    assert await owned(core, ada) == ["one"]


async def test_different_ids_do_not_meet(core, ada, thing):
    await claim(core, ada, "SERIAL-1")

    assert await offer(core, thing, "serial-1") == WAITING


async def test_presenting_twice_is_the_same_as_once(core, ada, thing):
    presented = [await claim(core, ada, max_pending=1) for _ in range(2)]

    assert presented == [WAITING, WAITING]
    assert await offer(core, thing) == linked(thing)


async def test_a_thing_presenting_twice_is_one_thing(core, ada, thing):
    await offer(core, thing)
    await offer(core, thing)

    assert await claim(core, ada) == linked(thing)


async def test_what_has_met_is_used_up(core, ada, bob, thing):
    await claim(core, ada)
    await offer(core, thing)
    await core.links.unlink(ada.id, thing.id, at_ms=1)

    assert await claim(core, bob) == WAITING


async def test_a_product_takes_no_link_ids_at_first(core, make, ada):
    thing = await make.thing("two")
    await claim(core, ada)

    assert await offer(core, thing) == LinkIdResult(ByLinkId.NOT_ALLOWED)


async def test_an_unknown_thing_is_not_allowed_to_offer(core, ada, thing):
    result = await core.link_ids.offer(
        "nothing", "SERIAL-1", at_ms=0, expires_at_ms=DAY_MS, max_things=9
    )

    assert result == LinkIdResult(ByLinkId.NOT_ALLOWED)


async def test_a_product_that_no_longer_takes_link_ids_forgets_those_that_wait(
    core, ada, product, thing
):
    await offer(core, thing)

    await core.link_ids.set_link_app(product.id, None)

    assert await claim(core, ada) == WAITING
    assert await offer(core, thing) == LinkIdResult(ByLinkId.NOT_ALLOWED)


async def test_an_unknown_product_takes_no_link_ids(core, ada):
    assert not await core.link_ids.set_link_app(ProductId(99_999), ada.app_id)


async def test_users_of_another_app_do_not_meet_the_thing(core, make, thing):
    stranger = await make.user("zoe", "other")

    await claim(core, stranger)

    assert await offer(core, thing) == WAITING
    assert await owned(core, stranger) == []


async def test_an_id_of_two_users_links_nobody_until_one_has_expired(core, ada, bob, thing):
    await claim(core, ada)
    await claim(core, bob, at_ms=1_000)

    during = [await offer(core, thing, at_ms=2_000), await claim(core, ada, at_ms=2_000)]
    after = await offer(core, thing, at_ms=DAY_MS)

    assert during == [WAITING, WAITING]
    assert after == linked(thing)
    assert (await owned(core, ada), await owned(core, bob)) == ([], ["one"])


async def test_an_id_of_two_things_links_nobody(core, make, ada, product, thing):
    other = await make.thing("two", product)
    await offer(core, thing)
    await offer(core, other)

    assert await claim(core, ada) == WAITING
    assert await owned(core, ada) == []


async def test_an_id_of_things_of_two_products_of_the_app_links_nobody(core, make, ada, thing):
    second = await make.product()
    await core.link_ids.set_link_app(second.id, ada.app_id)
    await offer(core, thing)
    await offer(core, await make.thing("two", second))

    assert await claim(core, ada) == WAITING


async def test_what_has_expired_does_not_meet(core, ada, thing):
    await claim(core, ada)
    just_before = await offer(core, thing, "other", at_ms=DAY_MS - 1)

    assert just_before == WAITING
    assert await offer(core, thing, at_ms=DAY_MS) == WAITING
    assert await claim(core, ada, at_ms=2 * DAY_MS) == WAITING


async def test_the_last_moment_of_an_id_still_meets(core, ada, thing):
    await claim(core, ada)

    assert await offer(core, thing, at_ms=DAY_MS - 1) == linked(thing)


async def test_a_thing_that_somebody_owns_stays_theirs(core, ada, bob, thing):
    await core.links.link(bob.id, thing.id, at_ms=1, max_things=9)
    await claim(core, ada)

    assert await offer(core, thing) == WAITING
    assert (await owned(core, ada), await owned(core, bob)) == ([], ["one"])


async def test_a_thing_that_is_theirs_already_counts_as_linked(core, ada, thing):
    await core.links.link(ada.id, thing.id, at_ms=1, max_things=9)
    await claim(core, ada)

    assert await offer(core, thing) == linked(thing)


async def test_a_user_with_as_many_things_as_may_be_gets_no_other(core, make, ada, thing):
    await make.owned("two", ada)
    await claim(core, ada, max_things=1)

    assert await offer(core, thing, max_things=1) == LinkIdResult(ByLinkId.TOO_MANY_THINGS)
    assert await owned(core, ada) == ["two"]


async def test_as_many_ids_as_may_be_wait_and_one_more_is_refused(core, ada, bob, thing):
    waiting = [await claim(core, ada, f"SERIAL-{n}", max_pending=2) for n in (1, 2, 3)]

    assert waiting == [WAITING, WAITING, TOO_MANY]
    assert await claim(core, bob, "SERIAL-3", max_pending=2) == WAITING
    assert await offer(core, thing, "SERIAL-3") == linked(thing)
    assert await owned(core, bob) == ["one"]


async def test_expired_ids_do_not_count_as_waiting(core, ada):
    await claim(core, ada, "SERIAL-1", max_pending=1)

    assert await claim(core, ada, "SERIAL-2", at_ms=DAY_MS, max_pending=1) == WAITING


async def test_a_thing_waits_with_ten_ids_and_not_with_eleven(core, thing):
    waiting = [await offer(core, thing, f"SERIAL-{number}") for number in range(11)]

    assert waiting == [WAITING] * 10 + [TOO_MANY]


async def test_of_many_users_who_claim_at_once_nobody_or_one_is_linked(core, make, thing):
    users = [await make.user(f"user {number}") for number in range(20)]
    await offer(core, thing)

    results = await asyncio.gather(*(claim(core, user) for user in users))

    # The first one met the thing, whose offer was used up for the others.
    assert results.count(linked(thing)) == 1
    assert results.count(WAITING) == 19


async def test_a_user_who_is_gone_claims_nothing(core, thing):
    await offer(core, thing)

    result = await core.link_ids.claim(
        UserId("nobody"),
        "home",
        "SERIAL-1",
        at_ms=0,
        expires_at_ms=DAY_MS,
        max_pending=9,
        max_things=9,
    )

    assert result == WAITING


async def test_claims_and_offers_of_the_deleted_do_not_meet(core, ada, bob, thing):
    await claim(core, ada)
    await core.accounts.delete_user(ada.id, at_ms=1)
    await offer(core, thing, "SERIAL-2")
    await core.things.delete_thing(thing.id, at_ms=1)

    assert await claim(core, bob, "SERIAL-2") == WAITING
    assert await owned(core, bob) == []


async def test_expired_ids_are_deleted_in_slices(core, ada, bob, thing):
    await claim(core, ada)
    await claim(core, bob)
    await offer(core, thing, "other")
    at_each = [DAY_MS - 1, *[DAY_MS] * 3]

    deleted = [await core.link_ids.delete_expired_link_ids(at_ms=at, limit=2) for at in at_each]

    assert deleted == [0, 2, 1, 0]


@pytest.mark.parametrize("ended_by", ["unlinking", "deleting the account"])
async def test_a_link_id_of_the_thing_does_not_outlive_its_owner(core, thing, ada, bob, ended_by):
    await core.links.link(ada.id, thing.id, at_ms=1, max_things=9)
    assert await offer(core, thing) == WAITING

    if ended_by == "unlinking":
        await core.links.unlink(ada.id, thing.id, at_ms=2)
    else:
        await core.accounts.delete_user(ada.id, at_ms=2)

    assert await claim(core, bob) == WAITING
