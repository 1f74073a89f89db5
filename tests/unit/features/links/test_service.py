"""The rules of links: tokens, ids, link ids, and what is answered to whom does not own."""

import pytest

from doubles.callers import a_caller, a_thing, thing_id, thing_token
from thingstead.features.links.errors import (
    InvalidLinkError,
    LinkIdNotAllowedError,
    TooManyLinkIdsError,
    TooManyThingsError,
)
from thingstead.features.links.model import ByLinkId
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.kernel.errors import StoreUnavailableError, TooManyRequestsError
from thingstead.kernel.ids import AppId, ProductId

HERE = "192.0.2.1"
ADA = a_caller("ada")
BOB = a_caller("bob")
SERIAL = "SN-00001"
DAY_S = 24 * 3_600


async def test_a_token_makes_its_holder_the_owner(links, rig):
    linked = await links.link_by_token(ADA, thing_token(1), address=HERE)

    assert linked == thing_id(1)
    assert rig.store.owners == {thing_id(1): "ada"}
    assert [own.thing.id for own in await links.linked(ADA)] == [thing_id(1)]


async def test_the_process_knows_of_a_link_before_the_call_returns(links, rig):
    rig.changes.look()

    await links.link_by_token(ADA, thing_token(1), address=HERE)

    assert rig.told == ["ada", thing_id(1)]


async def test_linking_twice_is_like_once(links):
    await links.link_by_token(ADA, thing_token(1), address=HERE)

    assert await links.link_by_token(ADA, thing_token(1), address=HERE) == thing_id(1)


async def test_somebody_elses_thing_is_answered_like_an_unknown_one(links):
    await links.link_by_token(ADA, thing_token(1), address=HERE)

    with pytest.raises(ThingNotFoundError) as foreign:
        await links.link_by_token(BOB, thing_token(1), address=HERE)
    with pytest.raises(ThingNotFoundError) as unknown:
        await links.link_by_token(BOB, thing_token(99), address=HERE)

    assert str(foreign.value) == str(unknown.value)


async def test_a_user_owns_as_many_things_as_they_may_and_no_more(links):
    await links.link_by_token(ADA, thing_token(1), address=HERE)
    await links.link_by_token(ADA, thing_token(2), address=HERE)

    with pytest.raises(TooManyThingsError, match="2"):
        await links.link_by_token(ADA, thing_token(3), address=HERE)


async def test_failed_tries_are_limited_for_each_user(links):
    for number in (97, 98, 99):
        with pytest.raises(ThingNotFoundError):
            await links.link_by_token(ADA, thing_token(number), address=HERE)

    with pytest.raises(TooManyRequestsError, match="3 failed links in an hour") as refused:
        await links.link_by_token(ADA, thing_token(1), address=HERE)

    assert refused.value.retry_after_s > 0
    assert await links.link_by_token(BOB, thing_token(1), address=HERE) == thing_id(1)


async def test_time_gives_tries_back(links, rig):
    for number in (97, 98, 99):
        with pytest.raises(ThingNotFoundError):
            await links.link_by_token(ADA, thing_token(number), address=HERE)
    rig.clock.advance(1_201)

    assert await links.link_by_token(ADA, thing_token(1), address=HERE) == thing_id(1)


async def test_a_successful_try_costs_nothing(links):
    for _ in range(4):
        await links.link_by_token(ADA, thing_token(1), address=HERE)


async def test_a_try_that_the_server_failed_costs_nothing(links, rig):
    rig.store.is_out_of_order = True
    for _ in range(4):
        with pytest.raises(StoreUnavailableError):
            await links.link_by_token(ADA, thing_token(1), address=HERE)
    rig.store.is_out_of_order = False

    assert await links.link_by_token(ADA, thing_token(1), address=HERE) == thing_id(1)


async def test_unknown_tokens_cost_their_address_too(links):
    for number in range(20):
        guesser = a_caller(f"guesser{number}")
        with pytest.raises(ThingNotFoundError):
            await links.link_by_token(guesser, thing_token(90), address=HERE)

    with pytest.raises(TooManyRequestsError, match="one address"):
        await links.link_by_token(ADA, thing_token(90), address=HERE)


async def test_the_last_owner_links_again_by_the_id(links):
    await links.link_by_token(ADA, thing_token(1), address=HERE)
    await links.unlink(ADA, thing_id(1))

    assert await links.link_by_id(ADA, thing_id(1)) == thing_id(1)


@pytest.mark.parametrize("text", [thing_id(1), thing_id(99), "short", "\x00"])
async def test_nobody_else_links_by_an_id(links, text):
    await links.link_by_token(ADA, thing_token(1), address=HERE)
    await links.unlink(ADA, thing_id(1))

    with pytest.raises(ThingNotFoundError):
        await links.link_by_id(BOB, text)


async def test_failed_tries_by_id_are_limited_too(links):
    for _ in range(3):
        with pytest.raises(ThingNotFoundError):
            await links.link_by_id(BOB, thing_id(1))

    with pytest.raises(TooManyRequestsError):
        await links.link_by_id(BOB, thing_id(1))


async def test_a_text_is_a_token_first(links):
    assert await links.link_by_text(ADA, thing_token(1), address=HERE) == thing_id(1)


async def test_a_text_that_is_no_token_may_be_an_id(links):
    await links.link_by_token(ADA, thing_token(1), address=HERE)
    await links.unlink(ADA, thing_id(1))

    assert await links.link_by_text(ADA, thing_id(1), address=HERE) == thing_id(1)


async def test_a_text_that_is_neither_is_not_found(links):
    with pytest.raises(ThingNotFoundError):
        await links.link_by_text(ADA, thing_id(1), address=HERE)


@pytest.mark.parametrize("text", [thing_id(1), thing_token(1)])
async def test_the_owner_unlinks_by_id_or_token(links, rig, text):
    await links.link_by_token(ADA, thing_token(1), address=HERE)
    rig.told.clear()

    assert await links.unlink(ADA, text) == thing_id(1)
    assert rig.store.owners == {}
    assert rig.told == ["ada", thing_id(1)]


@pytest.mark.parametrize("text", [thing_id(1), thing_token(1), thing_token(99), "short"])
async def test_nobody_else_unlinks(links, rig, text):
    await links.link_by_token(ADA, thing_token(1), address=HERE)

    with pytest.raises(ThingNotFoundError):
        await links.unlink(BOB, text)
    assert rig.store.owners == {thing_id(1): "ada"}


async def test_the_owner_deletes_a_thing(links, rig):
    await links.link_by_token(ADA, thing_token(1), address=HERE)
    rig.told.clear()

    await links.delete_thing(ADA, thing_id(1))

    assert thing_id(1) not in rig.store.things
    assert rig.told == ["ada", thing_id(1)]


@pytest.mark.parametrize("text", [thing_id(1), "short"])
async def test_nobody_else_deletes_a_thing(links, text):
    await links.link_by_token(ADA, thing_token(1), address=HERE)

    with pytest.raises(ThingNotFoundError):
        await links.delete_thing(BOB, text)


async def test_a_user_and_a_thing_that_present_the_same_link_id_are_linked(links, rig):
    await links.set_link_app(ProductId(1), AppId("app"))

    waiting = await links.claim(ADA, f" {SERIAL}\n")
    met = await links.offer(a_thing(1), SERIAL)

    assert waiting.outcome is ByLinkId.WAITING
    assert (met.outcome, met.thing_id) == (ByLinkId.LINKED, thing_id(1))
    assert rig.told == ["ada", thing_id(1)]


async def test_a_link_id_that_meets_a_user_with_as_many_things_as_may_be_says_so(links):
    await links.set_link_app(ProductId(1), AppId("app"))
    for number in (2, 3):
        await links.link_by_token(ADA, thing_token(number), address=HERE)
    await links.offer(a_thing(1), SERIAL)

    with pytest.raises(TooManyThingsError, match="2"):
        await links.claim(ADA, SERIAL)


async def test_a_product_takes_no_link_ids_by_default(links):
    with pytest.raises(LinkIdNotAllowedError):
        await links.offer(a_thing(1), SERIAL)


async def test_as_many_link_ids_wait_as_may_and_no_more(links):
    await links.claim(ADA, "SN-00001")
    await links.claim(ADA, "SN-00002")
    await links.claim(ADA, "SN-00002")

    with pytest.raises(TooManyLinkIdsError, match="2"):
        await links.claim(ADA, "SN-00003")


@pytest.mark.parametrize("link_id", ["x" * 8, "x" * 128, "Gerät 17 b"])
async def test_link_ids_have_8_to_128_printable_characters(links, link_id):
    assert (await links.claim(ADA, link_id)).outcome is ByLinkId.WAITING


@pytest.mark.parametrize(
    "link_id",
    ["x" * 7, "x" * 129, " " * 8, "x       ", "SN-0\x000001", "SN-0\n00001", "SN-0\ud80000001"],
)
async def test_other_texts_are_no_link_ids(links, link_id):
    with pytest.raises(InvalidLinkError, match="linkId"):
        await links.claim(ADA, link_id)
    with pytest.raises(InvalidLinkError, match="linkId"):
        await links.offer(a_thing(1), link_id)


async def test_a_link_id_waits_for_24_hours(links, rig):
    await links.claim(ADA, SERIAL)

    rig.clock.advance(DAY_S - 1)
    early = await links.forget_expired()
    rig.clock.advance(1)
    late = await links.forget_expired()

    assert (early, late) == (0, 1)


async def test_expired_link_ids_go_however_many_there_are(links, rig):
    rig.store.claims = {f"SN-{number:05d}": ("ada", 0) for number in range(501)}

    assert await links.forget_expired() == 501
    assert rig.store.claims == {}


async def test_only_a_product_that_exists_can_take_link_ids(links, rig):
    await links.set_link_app(ProductId(1), AppId("app"))
    await links.set_link_app(ProductId(1), None)

    assert rig.store.link_app is None
    with pytest.raises(ProductNotFoundError):
        await links.set_link_app(ProductId(2), AppId("app"))


async def test_a_thing_is_unlinked_only_so_often(links):
    for _ in range(4):
        await links.link_by_token(ADA, thing_token(1), address=HERE)
        await links.unlink(ADA, thing_id(1))
    await links.link_by_token(ADA, thing_token(1), address=HERE)

    with pytest.raises(TooManyRequestsError, match="4 times in an hour"):
        await links.unlink(ADA, thing_id(1))
    with pytest.raises(ThingNotFoundError):
        await links.unlink(BOB, thing_id(1))


async def test_time_lets_a_thing_be_unlinked_again(links, rig):
    for _ in range(4):
        await links.link_by_token(ADA, thing_token(1), address=HERE)
        await links.unlink(ADA, thing_id(1))
    await links.link_by_token(ADA, thing_token(1), address=HERE)
    rig.clock.advance(901)

    assert await links.unlink(ADA, thing_id(1)) == thing_id(1)
