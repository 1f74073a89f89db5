"""The rules of things: activation, tokens, what is remembered, and for how long."""

import asyncio

import pytest

from doubles.clock import ManualClock
from doubles.core import MemoryCore
from doubles.ids import SequentialIds
from doubles.sealing import PlainSeal
from thingstead.features.products.service import Products
from thingstead.features.things.errors import InvalidActivationCodeError, ThingNotFoundError
from thingstead.features.things.service import ThingLimits, Things
from thingstead.features.users.model import Account, NewSession, Session, User
from thingstead.kernel.budget import Rate
from thingstead.kernel.changes import Changes
from thingstead.kernel.errors import TooManyRequestsError
from thingstead.kernel.ids import AppId, ProductId, SessionId, ThingId, UserId, is_token_shaped
from thingstead.kernel.known_tokens import TokenLimits

HERE = "192.0.2.1"
ELSEWHERE = "192.0.2.2"
LIMITS = ThingLimits(
    tokens=TokenLimits(kept=3, bad=Rate(per_second=1, burst=2), spare=Rate(per_second=1, burst=3)),
    bad_codes=Rate(per_second=1, burst=2),
    spare_codes=Rate(per_second=1, burst=3),
)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def core():
    return MemoryCore()


@pytest.fixture
def ids():
    return SequentialIds()


def service(core, ids, clock):
    changes = Changes(core.change_signal, clock)
    return Things(core.things, PlainSeal(), changes, ids=ids, clock=clock, limits=LIMITS)


@pytest.fixture
def things(core, ids, clock):
    return service(core, ids, clock)


@pytest.fixture
def other_process(core, ids, clock):
    """The same things as another process of the installation serves them."""
    return service(core.twin(), ids, clock)


@pytest.fixture
def products(core, ids, clock):
    changes = Changes(core.change_signal, clock)
    return Products(core.products, PlainSeal(), changes, ids=ids, clock=clock)


@pytest.fixture
async def product(products):
    return await products.create("Weather station")


@pytest.fixture
async def code(products, product):
    ((code,),) = [codes async for codes in products.create_codes(product.id, 1)]
    return code


@pytest.fixture
async def one(things, product):
    """A thing that has just been made."""
    return await things.create(product.id)


async def test_a_code_makes_a_thing_with_a_token_of_its_own(things, code, product, clock):
    new = await things.activate(code, None, address=HERE)

    assert (new.thing.product_id, new.thing.created_at_ms) == (product.id, clock.now_ms())
    assert is_token_shaped(new.thing.id)
    assert is_token_shaped(new.token)
    assert new.thing.id != new.token
    assert await things.resolve(new.token, address=HERE) == new.thing


async def test_a_code_may_be_typed_as_people_type(things, code):
    typed = "-".join(code[start : start + 5] for start in range(0, 20, 5)).lower()

    assert await things.activate(typed, None, address=HERE)


async def test_a_code_works_once(things, code):
    await things.activate(code, None, address=HERE)

    with pytest.raises(InvalidActivationCodeError):
        await things.activate(code, None, address=HERE)


async def test_a_code_of_another_product_is_refused_and_still_good(things, products, code):
    other = await products.create("Other")

    with pytest.raises(InvalidActivationCodeError):
        await things.activate(code, other.id, address=HERE)

    assert await things.activate(code, None, address=HERE)


@pytest.mark.parametrize("wrong", ["", "ABC", "0" * 19 + "1", "a" * 1_000, "ключ"], ids=ascii)
async def test_a_code_that_is_none_is_refused(things, wrong):
    with pytest.raises(InvalidActivationCodeError):
        await things.activate(wrong, None, address=HERE)


async def test_too_many_wrong_codes_make_an_address_wait(things, code):
    for _ in range(2):
        with pytest.raises(InvalidActivationCodeError):
            await things.activate("WRONG", None, address=HERE)

    with pytest.raises(TooManyRequestsError, match="60 wrong activation codes") as caught:
        await things.activate("WRONG", None, address=HERE)

    assert caught.value.retry_after_s == 2


async def test_right_codes_sent_together_from_one_address_all_work(things, products, product):
    count = LIMITS.bad_codes.burst + LIMITS.spare_codes.burst
    (codes,) = [codes async for codes in products.create_codes(product.id, count)]

    made = await asyncio.gather(*(things.activate(code, None, address=HERE) for code in codes))

    assert len({new.thing.id for new in made}) == count


async def test_right_codes_from_an_address_of_wrong_ones_are_let_through_a_few_at_a_time(
    things, products, product
):
    (codes,) = [codes async for codes in products.create_codes(product.id, 4)]
    for _ in range(2):
        with pytest.raises(InvalidActivationCodeError):
            await things.activate("WRONG", None, address=HERE)

    for code in codes[:3]:
        assert await things.activate(code, None, address=HERE)
    with pytest.raises(TooManyRequestsError) as caught:
        await things.activate(codes[3], None, address=HERE)

    assert caught.value.retry_after_s == 2


async def test_an_address_that_waited_may_try_again(things, code, clock):
    for _ in range(2):
        with pytest.raises(InvalidActivationCodeError):
            await things.activate("WRONG", None, address=HERE)

    clock.advance(1.0)

    assert await things.activate(code, None, address=HERE)


async def test_wrong_codes_cost_no_other_address(things, code):
    for _ in range(2):
        with pytest.raises(InvalidActivationCodeError):
            await things.activate("WRONG", None, address=HERE)

    assert await things.activate(code, None, address=ELSEWHERE)


async def test_successful_activations_cost_nothing(things, products, product):
    async for codes in products.create_codes(product.id, 5):
        for code in codes:
            assert await things.activate(code, None, address=HERE)


async def test_a_thing_can_be_made_without_a_code(things, product):
    new = await things.create(product.id)

    assert await things.get(new.thing.id) == new.thing


async def test_no_thing_is_made_of_an_unknown_product(things):
    assert await things.create(ProductId(10_001)) is None


async def test_an_unknown_thing_is_refused(things):
    with pytest.raises(ThingNotFoundError):
        await things.get(ThingId("nobody"))


@pytest.mark.parametrize("token", ["", "short", "x" * 43, "x" * 44], ids=len)
async def test_an_unknown_token_is_refused(things, token):
    with pytest.raises(ThingNotFoundError):
        await things.resolve(token, address=HERE)


async def test_too_many_unknown_tokens_make_an_address_wait(things, one):
    for _ in range(2):
        with pytest.raises(ThingNotFoundError):
            await things.resolve("x" * 43, address=HERE)

    with pytest.raises(TooManyRequestsError, match="60 unknown thing tokens"):
        await things.resolve("x" * 43, address=HERE)
    with pytest.raises(ThingNotFoundError):
        await things.resolve("x" * 43, address=ELSEWHERE)


async def test_a_device_that_shares_its_address_with_a_guesser_is_let_in(things, one):
    for _ in range(2):
        with pytest.raises(ThingNotFoundError):
            await things.resolve("x" * 43, address=HERE)

    assert await things.resolve(one.token, address=HERE) == one.thing


async def test_guessers_share_few_look_ups(things, one):
    for _ in range(2):
        with pytest.raises(ThingNotFoundError):
            await things.resolve("x" * 43, address=HERE)
    for _ in range(LIMITS.tokens.spare.burst):
        with pytest.raises(TooManyRequestsError):
            await things.resolve("x" * 43, address=HERE)

    with pytest.raises(TooManyRequestsError):
        await things.resolve(one.token, address=HERE)


async def test_a_stream_that_checks_again_pays_nothing(things):
    for _ in range(5):
        with pytest.raises(ThingNotFoundError):
            await things.resolve("x" * 43, address=None)


async def test_a_remembered_token_is_served_to_an_address_that_must_wait(things, one):
    await things.resolve(one.token, address=HERE)
    for _ in range(2):
        with pytest.raises(ThingNotFoundError):
            await things.resolve("x" * 43, address=HERE)

    assert await things.resolve(one.token, address=HERE) == one.thing


async def test_a_token_is_known_once_it_was_resolved(things, one):
    before = things.known(one.token)

    await things.resolve(one.token, address=HERE)

    assert before is None
    assert things.known(one.token) == one.thing


async def test_the_oldest_token_is_forgotten_when_too_many_are_known(things, product):
    made = [await things.create(product.id) for _ in range(4)]

    for new in made:
        await things.resolve(new.token, address=HERE)

    known = [things.known(new.token) for new in made]
    assert known == [None, *(new.thing for new in made[1:])]


async def test_a_rotated_token_replaces_the_old_one_after_its_overlap(things, one, clock):
    new = await things.rotate_token(one.thing.id, overlap_ms=60_000)

    clock.advance(59.0)
    assert await things.resolve(one.token, address=HERE) == one.thing
    clock.advance(1.5)
    with pytest.raises(ThingNotFoundError):
        await things.resolve(one.token, address=HERE)
    assert await things.resolve(new, address=HERE) == one.thing


async def test_a_known_token_is_not_known_longer_than_it_lasts(things, one, clock):
    await things.rotate_token(one.thing.id, overlap_ms=60_000)
    await things.resolve(one.token, address=HERE)

    clock.advance(60.5)

    assert things.known(one.token) is None


async def test_an_old_token_lasts_a_day_unless_told(things, one, clock):
    await things.rotate_token(one.thing.id)

    clock.advance(86_399)
    assert await things.resolve(one.token, address=HERE) == one.thing
    clock.advance(2)
    with pytest.raises(ThingNotFoundError):
        await things.resolve(one.token, address=HERE)


async def test_rotating_the_token_of_an_unknown_thing_is_refused(things):
    with pytest.raises(ThingNotFoundError):
        await things.rotate_token(ThingId("nobody"))


async def test_a_deleted_thing_is_gone_at_once(things, one):
    await things.resolve(one.token, address=HERE)

    await things.delete(one.thing.id)

    assert things.known(one.token) is None
    with pytest.raises(ThingNotFoundError):
        await things.resolve(one.token, address=HERE)


async def test_the_values_of_a_deleted_thing_are_noted_for_purging(things, one, core):
    await things.delete(one.thing.id)

    assert await core.purge_list.pending(10) == [one.thing.id]


async def test_deleting_an_unknown_thing_is_refused(things):
    with pytest.raises(ThingNotFoundError):
        await things.delete(ThingId("nobody"))


async def test_all_things_are_listed_with_their_tokens(things, product):
    made = [await things.create(product.id) for _ in range(501)]

    assert [new async for new in things.all()] == sorted(made, key=lambda new: new.thing.id)


async def test_things_of_one_product_are_listed_without_the_others(things, products, one):
    other = await products.create("Other")
    mine = await things.create(other.id)

    assert [new async for new in things.all(other.id)] == [mine]


async def test_a_thing_is_listed_with_its_rotated_token(things, one):
    token = await things.rotate_token(one.thing.id)

    assert [new.token async for new in things.all()] == [token]


async def test_what_another_process_deletes_is_gone_within_50_ms(things, other_process, one, clock):
    await things.resolve(one.token, address=HERE)

    await other_process.delete(one.thing.id)

    clock.advance(0.051)
    assert things.known(one.token) is None


async def test_the_signal_is_looked_at_once_in_50_ms(things, other_process, one, clock):
    await things.resolve(one.token, address=HERE)

    await other_process.delete(one.thing.id)

    clock.advance(0.04)
    assert things.known(one.token) == one.thing


async def test_a_new_thing_of_another_process_is_in_force_at_once(things, other_process, product):
    with pytest.raises(ThingNotFoundError):
        await things.resolve("x" * 43, address=HERE)

    new = await other_process.create(product.id)

    assert await things.resolve(new.token, address=HERE) == new.thing


async def test_an_installation_that_shows_all_epochs_shows_earlier_owners_too(
    core, ids, clock, things, one
):
    ada = UserId("ada")
    session = NewSession(Session(SessionId("s"), ada, 0, 0, 1, ""), b"")
    account = Account(User(ada, AppId("app"), "ada@example.org", 0), "hash")
    await core.accounts.add_user(account, session, mail_link=None, letter=None)
    for _ in range(2):
        await core.links.link(ada, one.thing.id, at_ms=0, max_things=1)
        await core.links.unlink(ada, one.thing.id, at_ms=0)
    changes = Changes(core.change_signal, clock)
    open_things = Things(
        core.things,
        PlainSeal(),
        changes,
        ids=ids,
        clock=clock,
        limits=LIMITS,
        shows_all_epochs=True,
    )

    assert (await things.resolve(one.token, address=HERE)).epochs == (2,)
    assert (await open_things.resolve(one.token, address=HERE)).epochs == (0, 1, 2)
    assert (await open_things.get(one.thing.id)).epochs == (0, 1, 2)
