"""What guessing a secret costs."""

import pytest

from doubles.clock import ManualClock
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import ThingsteadError, TooManyRequestsError
from thingstead.kernel.guesses import Guesses

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class UnknownError(ThingsteadError):
    """There is no such secret."""


class Rig:
    def __init__(self):
        self.clock = ManualClock()
        self.guesses = Guesses("links", self.clock, bad=Rate(2 / 60, 2), spare=Rate(1, 1))
        self.looked = 0

    async def try_it(self, found=None, address=HERE):
        async def look_up():
            self.looked += 1
            return found

        return await self.guesses.find(look_up, address=address, refusal=UnknownError)

    async def exhaust(self):
        for _ in range(2):
            with pytest.raises(UnknownError):
                await self.try_it()


@pytest.fixture
def rig():
    return Rig()


async def test_what_is_found_costs_nothing(rig):
    for _ in range(5):
        assert await rig.try_it("found") == "found"

    await rig.exhaust()


async def test_one_failure_too_many_is_refused_for_its_address_only(rig):
    await rig.exhaust()

    with pytest.raises(TooManyRequestsError, match="at most 2 links in a minute"):
        await rig.try_it()
    with pytest.raises(UnknownError):
        await rig.try_it(address=ELSEWHERE)


async def test_time_gives_guesses_back(rig):
    await rig.exhaust()
    rig.clock.advance(30)

    with pytest.raises(UnknownError):
        await rig.try_it()


async def test_without_a_budget_so_much_is_looked_up_from_the_reserve(rig):
    await rig.exhaust()

    found = await rig.try_it("found")
    with pytest.raises(TooManyRequestsError):
        await rig.try_it("found")

    assert (found, rig.looked) == ("found", 3)


async def test_what_cannot_be_a_secret_costs_as_much(rig):
    for _ in range(2):
        with pytest.raises(UnknownError):
            await rig.guesses.find(None, address=HERE, refusal=UnknownError)

    with pytest.raises(TooManyRequestsError):
        await rig.guesses.find(None, address=HERE, refusal=UnknownError)


async def test_without_an_address_nobody_pays(rig):
    for _ in range(5):
        with pytest.raises(UnknownError):
            await rig.try_it(address=None)

    await rig.exhaust()
