"""Tokens seen lately, and what guessing one costs."""

import asyncio

import pytest

from doubles.clock import ManualClock
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import ThingsteadError, TooManyRequestsError
from thingstead.kernel.known_tokens import Found, KnownTokens, TokenLimits

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
LIMITS = TokenLimits(kept=3, bad=Rate(1, 2), spare=Rate(1, 3))


class UnknownError(ThingsteadError):
    """Nobody has the token."""


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tokens(clock):
    return KnownTokens("unknown keys", clock, LIMITS)


def finding(holder, subject="subject", expires_at_ms=None):
    async def look_up():
        return Found(holder, subject, expires_at_ms)

    return look_up


async def nothing():
    return None


async def find(tokens, token, look_up, address=HERE):
    return await tokens.find(token, look_up, address=address, refusal=UnknownError)


async def exhaust(tokens):
    for _ in range(2):
        with pytest.raises(UnknownError):
            await find(tokens, "bad", nothing)


async def test_what_was_found_is_known(tokens):
    before = tokens.get("token")

    assert await find(tokens, "token", finding("ada")) == "ada"

    assert (before, tokens.get("token"), len(tokens)) == (None, "ada", 1)


async def test_what_was_not_found_is_refused_and_looked_up_again(tokens):
    with pytest.raises(UnknownError):
        await find(tokens, "token", nothing)

    assert tokens.get("token") is None
    assert await find(tokens, "token", finding("ada")) == "ada"


async def test_what_cannot_be_a_token_is_refused_and_paid_for(tokens):
    for _ in range(2):
        with pytest.raises(UnknownError):
            await find(tokens, "?", None)

    with pytest.raises(TooManyRequestsError, match="60 unknown keys in a minute"):
        await find(tokens, "?", None)


async def test_who_pays_nothing_is_refused_without_end(tokens):
    for _ in range(10):
        with pytest.raises(UnknownError):
            await find(tokens, "bad", nothing, address=None)


async def test_the_refusal_says_how_long_to_wait(tokens):
    await exhaust(tokens)

    with pytest.raises(TooManyRequestsError) as caught:
        await find(tokens, "bad", nothing)

    assert caught.value.retry_after_s == 2


async def test_one_address_costs_no_other(tokens):
    await exhaust(tokens)

    with pytest.raises(UnknownError):
        await find(tokens, "bad", nothing, address=ELSEWHERE)


async def test_who_shares_an_address_with_a_guesser_is_let_in(tokens):
    await exhaust(tokens)

    assert await find(tokens, "token", finding("ada")) == "ada"


async def test_guessers_share_few_look_ups(tokens, clock):
    await exhaust(tokens)
    for number in range(3):
        assert await find(tokens, str(number), finding("ada"))

    with pytest.raises(TooManyRequestsError):
        await find(tokens, "token", finding("ada"))
    clock.advance(1.0)
    assert await find(tokens, "token", finding("ada")) == "ada"


async def test_a_token_is_known_until_it_expires(tokens, clock):
    await find(tokens, "token", finding("ada", expires_at_ms=clock.now_ms() + 1_000))

    clock.advance(0.999)
    assert tokens.get("token") == "ada"
    clock.advance(0.002)
    assert tokens.get("token") is None


async def test_an_expired_token_can_be_found_anew(tokens, clock):
    await find(tokens, "token", finding("ada", expires_at_ms=clock.now_ms() + 1_000))
    clock.advance(1.001)

    await find(tokens, "token", finding("ada", expires_at_ms=clock.now_ms() + 1_000))

    assert (tokens.get("token"), len(tokens)) == ("ada", 1)


async def test_the_oldest_is_forgotten_when_too_many_are_known(tokens):
    for number in range(4):
        await find(tokens, str(number), finding(number, subject=f"subject {number % 2}"))

    assert [tokens.get(str(number)) for number in range(4)] == [None, 1, 2, 3]
    assert len(tokens) == 3


async def test_the_tokens_of_one_subject_are_forgotten(tokens):
    await find(tokens, "a", finding("ada", subject="ada"))
    await find(tokens, "b", finding("bob", subject="bob"))
    await find(tokens, "c", finding("ada", subject="ada"))

    tokens.forget("ada")

    assert [tokens.get(token) for token in "abc"] == [None, "bob", None]


async def test_all_tokens_are_forgotten(tokens):
    await find(tokens, "a", finding("ada", subject="ada"))
    await find(tokens, "b", finding("bob", subject="bob"))

    tokens.forget(None)

    assert len(tokens) == 0
    assert tokens.get("a") is None


async def test_forgetting_who_is_not_known_changes_nothing(tokens):
    await find(tokens, "a", finding("ada", subject="ada"))

    tokens.forget("bob")

    assert tokens.get("a") == "ada"


async def test_a_token_whose_subject_was_dropped_and_came_back_is_forgotten(tokens):
    for token in "abcd":
        await find(tokens, token, finding(token, subject=token))
    await find(tokens, "a", finding("a", subject="a"))

    tokens.forget("a")

    assert tokens.get("a") is None


@pytest.mark.parametrize("subject", ["ada", "bob", None])
async def test_what_was_looked_up_before_a_change_is_not_remembered_after_it(tokens, subject):
    gate = asyncio.Event()

    async def look_up():
        await gate.wait()
        return Found("ada", "ada", None)

    looking = asyncio.create_task(find(tokens, "token", look_up))
    await asyncio.sleep(0)
    tokens.forget(subject)
    gate.set()

    assert await looking == "ada"
    assert tokens.get("token") is None
