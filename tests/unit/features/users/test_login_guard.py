"""Guessing passwords: who is refused, who is slowed down, who is let in."""

import asyncio

import pytest

from doubles.clock import ManualClock
from thingstead.features.users.errors import WrongPasswordError
from thingstead.features.users.limits import GuessLimits
from thingstead.features.users.login_guard import LoginGuard, account_key
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import OverloadedError, TooManyRequestsError

ADA = account_key("app", "ada@example.org")
BOB = account_key("app", "bob@example.org")
HERE = "192.0.2.1"
FEW = GuessLimits(
    of_pair=Rate(2 / 60, 2),
    of_address=Rate(4 / 60, 4),
    of_account=Rate(3 / 3600, 3),
    waiting=2,
    familiar=2,
    familiar_s=1_000,
)


class Sleep:
    def __init__(self):
        self.slept = []
        self.gate = None

    async def __call__(self, seconds):
        self.slept.append(seconds)
        if self.gate is not None:
            await self.gate.wait()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def sleep():
    return Sleep()


@pytest.fixture
def guard(clock, sleep):
    return LoginGuard(clock, FEW, sleep)


async def fail(guard, account=ADA, address=HERE, error=WrongPasswordError):
    with pytest.raises(error):
        async with guard.attempt(account, address):
            raise error


async def succeed(guard, account=ADA, address=HERE):
    async with guard.attempt(account, address):
        pass


async def exhaust(guard, account=ADA):
    """Use up the account's budget from addresses that nobody else uses."""
    for number in range(3):
        await fail(guard, account, f"203.0.113.{number}")


def test_accounts_of_two_apps_are_two():
    assert account_key("a", "bc") != account_key("ab", "c")


async def test_one_account_can_be_tried_so_often_from_one_address(guard):
    await fail(guard)
    await fail(guard)

    with pytest.raises(TooManyRequestsError, match=r"at most 2 wrong .* one account") as caught:
        await succeed(guard)
    assert caught.value.retry_after_s == 31


async def test_after_the_wait_it_can_be_tried_again(guard, clock):
    await fail(guard)
    await fail(guard)

    clock.advance(30.1)

    await succeed(guard)


async def test_one_address_can_try_so_many_accounts(guard):
    for number in range(4):
        await fail(guard, account_key("app", str(number)))

    with pytest.raises(TooManyRequestsError, match="at most 4 wrong passwords in a minute"):
        await succeed(guard)
    await succeed(guard, address="192.0.2.2")


async def test_successes_cost_nothing(guard, sleep):
    for _ in range(10):
        await succeed(guard)

    assert sleep.slept == []


async def test_a_busy_server_is_nobodys_failure(guard, sleep):
    for _ in range(10):
        await fail(guard, error=OverloadedError)

    await succeed(guard)
    assert sleep.slept == []


async def test_whoever_goes_away_before_the_answer_has_paid(guard):
    for _ in range(2):
        await fail(guard, error=asyncio.CancelledError)

    with pytest.raises(TooManyRequestsError):
        await succeed(guard)


async def test_guesses_sent_together_are_paid_for_before_any_has_failed(guard):
    gate = asyncio.Event()

    async def guess():
        async with guard.attempt(ADA, HERE):
            await gate.wait()
            raise WrongPasswordError

    guesses = [asyncio.create_task(guess()) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*guesses, return_exceptions=True)

    kinds = [type(result) for result in results]
    assert kinds == [WrongPasswordError] * 2 + [TooManyRequestsError] * 3


async def test_right_passwords_sent_together_are_all_looked_at(guard):
    gate = asyncio.Event()
    looked_at = []

    async def log_in(number):
        async with guard.attempt(ADA, HERE):
            looked_at.append(number)
            await gate.wait()

    log_ins = [asyncio.create_task(log_in(number)) for number in range(4)]
    await asyncio.sleep(0)
    at_once = list(looked_at)
    gate.set()
    await asyncio.gather(*log_ins)

    assert at_once == [0, 1]
    assert looked_at == [0, 1, 2, 3]


async def test_only_so_many_wait_for_others_of_their_account(guard):
    gate = asyncio.Event()

    async def log_in():
        async with guard.attempt(ADA, HERE):
            await gate.wait()

    log_ins = [asyncio.create_task(log_in()) for _ in range(4)]
    await asyncio.sleep(0)

    with pytest.raises(TooManyRequestsError):
        await log_in()
    gate.set()
    await asyncio.gather(*log_ins)


async def test_strange_addresses_wait_longer_each_time_for_an_account_under_attack(guard, sleep):
    await exhaust(guard)

    for number in range(7):
        await fail(guard, ADA, f"198.51.100.{number}")

    assert sleep.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


async def test_the_owner_gets_in_from_a_strange_address_after_the_delay(guard, sleep):
    await exhaust(guard)

    await succeed(guard)

    assert sleep.slept == [0.25]


async def test_the_owner_does_not_wait_at_a_familiar_address(guard, sleep):
    await succeed(guard)
    await exhaust(guard)

    await succeed(guard)

    assert sleep.slept == []


async def test_other_accounts_do_not_wait(guard, sleep):
    await exhaust(guard)

    await succeed(guard, BOB)

    assert sleep.slept == []


async def test_what_time_gives_back_makes_the_next_delay_shorter(guard, sleep, clock):
    await exhaust(guard)
    for number in range(3):
        await fail(guard, ADA, f"198.51.100.{number}")

    clock.advance(1_200.1)
    await fail(guard)
    await fail(guard)

    assert sleep.slept == [0.25, 0.5, 1.0, 1.0]


async def test_an_account_left_alone_is_as_it_was(guard, sleep, clock):
    await exhaust(guard)
    await fail(guard)

    clock.advance(3_601)
    await exhaust(guard)
    await fail(guard)

    assert sleep.slept == [0.25, 0.25]


async def test_an_address_is_familiar_for_a_while(guard, sleep, clock):
    await succeed(guard)
    clock.advance(1_000)
    await exhaust(guard)

    await fail(guard)
    slept = list(sleep.slept)
    clock.advance(0.1)
    await fail(guard)

    assert slept == []
    assert sleep.slept == [0.25]


async def test_the_address_used_longest_ago_becomes_strange_first(guard, sleep):
    for address in ("a", "b", "a", "c"):
        await succeed(guard, address=address)
    await exhaust(guard)

    for address in ("a", "c", "b"):
        await succeed(guard, address=address)

    assert sleep.slept == [0.25]


async def test_the_same_address_again_makes_none_strange(guard, sleep):
    for address in ("a", "b", "b"):
        await succeed(guard, address=address)
    await exhaust(guard)

    for address in ("a", "b"):
        await succeed(guard, address=address)

    assert sleep.slept == []


async def test_only_so_many_wait_at_once(guard, sleep):
    await exhaust(guard)
    sleep.gate = asyncio.Event()
    waiting = [asyncio.create_task(succeed(guard, address=f"198.51.100.{n}")) for n in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(TooManyRequestsError, match=r"at most 3 .* of one account in an hour"):
        await succeed(guard)

    sleep.gate.set()
    await asyncio.gather(*waiting)
    await succeed(guard)


async def test_one_that_goes_away_while_it_waits_leaves_its_place(guard, sleep):
    await exhaust(guard)
    sleep.gate = asyncio.Event()
    waiting = [asyncio.create_task(succeed(guard, address=f"198.51.100.{n}")) for n in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])

    sleep.gate.set()

    await succeed(guard)
    await waiting[1]


async def test_the_delays_of_only_so_many_accounts_are_remembered(clock, sleep):
    limits = GuessLimits(of_account=Rate(1e-9, 1), of_address=Rate(1e6, 1e6))
    guard = LoginGuard(clock, limits, sleep)
    accounts = [account_key("app", str(number)) for number in range(10_001)]
    for account in accounts:
        await fail(guard, account)
        await fail(guard, account)

    await fail(guard, accounts[-1])
    await fail(guard, accounts[0])

    assert sleep.slept[-2:] == [0.5, 0.25]
