"""From what was missed to live: without gap, without double, in order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.replays import History
from thingstead.bus.memory import MemoryBus
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.replay import replayed
from thingstead.features.live.service import Live
from thingstead.features.live.subscription import LiveLimits
from thingstead.features.values.model import StoredValue
from thingstead.kernel.ids import ThingId

THING, OTHER_THING = ThingId("one"), ThingId("two")


def event(sequence, thing=THING):
    return LiveEvent(thing, sequence, (StoredValue("t", 1, 0),))


@pytest.fixture
def history():
    return History(MemoryBus())


@pytest.fixture
def subscription(history):
    with Live(history.bus, LiveLimits()).subscribe(THING) as one:
        yield one


async def heard(subscription, history, after):
    """Everything that is replayed, and then what is queued."""
    pages = [page async for page in replayed(subscription, history.missed, after)]
    sequences = [event.sequence for page in pages for event in page.events]
    return sequences + [event.sequence for event in subscription.take()]


async def test_what_was_missed_comes_in_order_over_several_pages(subscription, history):
    for sequence in range(1, 9):
        history.commit(event(sequence))

    assert await heard(subscription, history, 1) == list(range(2, 9))
    assert history.looks == [1, 4, 7]


async def test_who_missed_nothing_hears_nothing_twice(subscription, history):
    history.commit(event(1))

    assert await heard(subscription, history, 1) == []


async def test_what_is_committed_during_a_look_is_found_by_the_next_one(subscription, history):
    history.commit(event(1))
    history.during = [lambda: history.happen(event(2)), lambda: history.happen(event(3))]

    assert await heard(subscription, history, 0) == [1, 2, 3]
    assert len(history.looks) == 3


async def test_what_comes_after_the_last_look_is_queued(subscription, history):
    history.commit(event(1))
    await heard(subscription, history, 0)

    history.happen(event(2))

    assert [event.sequence for event in subscription.take()] == [2]


async def test_what_a_look_saw_before_it_was_announced_does_not_come_again(subscription, history):
    history.commit(event(1))
    history.commit(event(2))
    assert await heard(subscription, history, 0) == [1, 2]

    history.bus.publish(event(1))
    history.bus.publish(event(2))
    history.happen(event(3))

    assert [event.sequence for event in subscription.take()] == [3]


async def test_what_was_queued_before_the_replay_began_does_not_come_twice(subscription, history):
    history.happen(event(1))
    history.happen(event(2))

    assert await heard(subscription, history, 0) == [1, 2]


async def test_an_announced_write_that_left_no_trace_keeps_nobody_waiting(subscription, history):
    class Forgetful(History):
        async def missed(self, after):
            page = await super().missed(after)
            return type(page)(page.events, 0, page.is_complete, page.has_gap)

    forgetful = Forgetful(history.bus)
    forgetful.during = [lambda: history.bus.publish(event(7))]

    async with asyncio.timeout(10):
        assert await heard(subscription, forgetful, 0) == []
    assert len(forgetful.looks) == 2


async def test_a_gap_is_told_with_its_page(subscription, history):
    history.first_known = 5
    history.commit(event(6))

    pages = [page async for page in replayed(subscription, history.missed, 2)]

    assert [page.has_gap for page in pages] == [True]


async def test_a_place_in_another_history_is_a_gap_and_what_comes_then_is_heard(
    subscription, history
):
    history.commit(event(3))

    pages = [page async for page in replayed(subscription, history.missed, 1_000)]
    history.happen(event(4))

    assert [(page.has_gap, page.events) for page in pages] == [(True, [])]
    assert [event.sequence for event in subscription.take()] == [4]


async def test_while_pages_are_read_nothing_piles_up(history):
    with Live(history.bus, LiveLimits(queued_events=1)).subscribe(THING) as subscription:
        history.commit(event(1))
        history.during = [lambda: [history.happen(event(n)) for n in range(2, 20)]]

        assert await heard(subscription, history, 0) == list(range(1, 20))
        assert subscription.ended is None


# Each step commits a write, or announces the oldest committed one that has not been.
STEPS = st.lists(st.lists(st.sampled_from("ca"), max_size=4), max_size=12)


@given(STEPS, st.integers(1, 4), st.integers(0, 6))
async def test_whatever_the_order_everything_is_heard_once(steps, page, missed):
    history = History(MemoryBus(), page)
    waiting = []

    def commit():
        waiting.append(event(history.newest + 1))
        history.commit(waiting[-1])

    def announce():
        if waiting:
            history.bus.publish(waiting.pop(0))

    def step(letters):
        for letter in letters:
            commit() if letter == "c" else announce()

    for _ in range(missed):
        commit()
    history.during = [lambda letters=letters: step(letters) for letters in steps[:6]]
    with Live(history.bus, LiveLimits()).subscribe(THING) as subscription:
        sequences = await heard(subscription, history, 0)
        for letters in steps[6:]:
            step(letters)
        while waiting:
            announce()
        sequences += [event.sequence for event in subscription.take(100)]

    assert sequences == list(range(1, history.newest + 1))


async def test_whose_right_is_looked_at_during_a_page_looks_once_more(subscription, history):
    history.commit(event(1))
    heard = []

    async for page in replayed(subscription, history.missed, 0):
        heard += [event.sequence for event in page.events]
        if len(history.looks) == 1:
            # Committed before it was known that the subscriber may hear of it.
            subscription.recheck()
            history.commit(event(2))
            assert subscription.takes_recheck()

    assert heard == [1, 2]
    assert len(history.looks) == 2
