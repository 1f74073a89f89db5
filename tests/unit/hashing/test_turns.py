"""Turns that are fair between those who pay for them."""

import asyncio

import pytest

from thingstead.hashing.turns import FairTurns
from thingstead.kernel.errors import OverloadedError


class Crowd:
    """Calls that wait for turns; `served` is the order in which they got theirs."""

    def __init__(self, turns):
        self.turns = turns
        self.served = []

    async def join(self, payer, name=None):
        call = asyncio.create_task(self._take(payer, name or payer))
        await settled()
        return call

    async def serve(self, calls):
        for _ in range(calls):
            self.turns.give_back()
            await settled()

    async def _take(self, payer, name):
        await self.turns.take(payer)
        self.served.append(name)


async def settled():
    for _ in range(3):
        await asyncio.sleep(0)


async def crowd(*, places=1, waiting):
    """A crowd before places that are all taken."""
    turns = FairTurns(places, waiting)
    for _ in range(places):
        await turns.take("somebody before")
    return Crowd(turns)


def is_refused(call):
    return call.done() and isinstance(call.exception(), OverloadedError)


async def test_one_payer_alone_may_fill_the_queue_and_no_more():
    waiting = await crowd(waiting=3)
    calls = [await waiting.join("a") for _ in range(3)]

    one_more = await waiting.join("a")

    assert is_refused(one_more)
    assert not any(call.done() for call in calls)
    await waiting.serve(3)
    assert waiting.served == ["a", "a", "a"]


async def test_places_go_round_between_payers():
    waiting = await crowd(waiting=9)
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        await waiting.join(name[0], name)

    await waiting.serve(6)

    assert waiting.served == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_newcomer_takes_the_place_of_the_newest_call_of_who_has_most():
    waiting = await crowd(waiting=4)
    await waiting.join("b", "b1")
    calls = [await waiting.join("a", f"a{number}") for number in range(3)]

    await waiting.join("c", "c1")

    assert [is_refused(call) for call in calls] == [False, False, True]
    await waiting.serve(4)
    assert sorted(waiting.served) == ["a0", "a1", "b1", "c1"]


@pytest.mark.parametrize(("own", "of_greediest", "may_enter"), [(0, 2, True), (1, 2, False)])
async def test_a_newcomer_never_ends_up_with_more_than_who_made_room(own, of_greediest, may_enter):
    waiting = await crowd(waiting=own + of_greediest)
    for _ in range(of_greediest):
        await waiting.join("a")
    for _ in range(own):
        await waiting.join("b")

    newcomer = await waiting.join("b")

    assert is_refused(newcomer) is not may_enter


async def test_a_crowd_of_single_calls_makes_no_room():
    waiting = await crowd(waiting=2)
    calls = [await waiting.join("a"), await waiting.join("b")]

    newcomer = await waiting.join("c")

    assert is_refused(newcomer)
    assert not any(call.done() for call in calls)
    await waiting.serve(2)


async def test_without_a_queue_nobody_waits_but_a_free_place_is_taken():
    waiting = await crowd(waiting=0)

    assert is_refused(await waiting.join("a"))
    waiting.turns.give_back()

    await waiting.turns.take("a")


async def test_a_place_given_back_while_nobody_waits_is_free_again():
    waiting = await crowd(places=2, waiting=1)
    await waiting.serve(2)

    calls = [await waiting.join("a") for _ in range(4)]

    assert [call.done() for call in calls] == [True, True, False, True]
    assert is_refused(calls[3])
    await waiting.serve(1)


async def test_a_cancelled_call_leaves_its_place_in_the_queue():
    waiting = await crowd(waiting=1)
    first = await waiting.join("a", "cancelled")

    first.cancel()
    await settled()
    await waiting.join("b", "next")
    await waiting.serve(1)

    assert waiting.served == ["next"]


async def test_a_call_cancelled_in_the_moment_of_its_turn_passes_it_on():
    waiting = await crowd(waiting=2)
    first = await waiting.join("a", "cancelled")
    await waiting.join("b", "next")

    waiting.turns.give_back()
    first.cancel()
    await settled()

    assert waiting.served == ["next"]


async def test_a_call_cancelled_just_before_a_turn_is_passed_over():
    waiting = await crowd(waiting=2)
    first = await waiting.join("a", "cancelled")
    await waiting.join("b", "next")

    first.cancel()
    waiting.turns.give_back()
    await settled()

    assert waiting.served == ["next"]


async def test_a_call_cancelled_while_it_makes_room_is_only_cancelled():
    waiting = await crowd(waiting=2)
    await waiting.join("a")
    newest = await waiting.join("a")

    newcomer = asyncio.create_task(waiting.turns.take("b"))
    await asyncio.sleep(0)
    newest.cancel()
    await settled()

    assert newest.cancelled()
    assert not newcomer.done()
    await waiting.serve(2)
    await newcomer


async def test_closing_refuses_who_waits_and_who_comes():
    waiting = await crowd(waiting=2)
    calls = [await waiting.join("a"), await waiting.join("b")]
    gone = calls.pop()
    gone.cancel()

    waiting.turns.close()
    await settled()

    assert is_refused(calls[0])
    assert gone.cancelled()
    assert is_refused(await waiting.join("c"))
