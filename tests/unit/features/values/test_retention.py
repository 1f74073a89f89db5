"""Sweeping: when it goes on, and when it stops."""

import asyncio

import pytest

from doubles.clock import ManualClock
from thingstead.features.values import retention
from thingstead.features.values.retention import Retention, Swept
from thingstead.kernel.ids import ThingId

DAY = 86_400_000


class ScriptedStore:
    """Answers from lists, the last answer for ever; notes what it was asked."""

    def __init__(self, slices=((0, None),), spaces=(0,), purges=(True,)):
        self.answers = {"slice": list(slices), "space": list(spaces), "purge": list(purges)}
        self.asked = []

    def _next(self, kind):
        answers = self.answers[kind]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def delete_before(self, cutoff_ms, after_series):
        self.asked.append((cutoff_ms, after_series))
        return self._next("slice")

    async def give_space_back(self):
        self.asked.append("space")
        return self._next("space")

    async def purge(self, thing_id):
        self.asked.append(thing_id)
        return self._next("purge")

    async def purge_epoch(self, thing_id, epoch):
        self.asked.append((thing_id, epoch))
        return self._next("purge")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(retention, "_PAUSE_S", 0)


async def test_slices_follow_each_other_to_the_end():
    clock = ManualClock()
    store = ScriptedStore(slices=[(5, 0), (3, 7), (0, 9), (1, None)])

    swept = await Retention(store, clock, max_age_days=30).sweep()

    cutoff = clock.now_ms() - 30 * DAY
    assert swept == Swept(9)
    assert store.asked == [(cutoff, 0), (cutoff, 0), (cutoff, 7), (cutoff, 9), "space"]


async def test_with_no_age_everything_is_kept_and_space_still_goes_back():
    store = ScriptedStore()

    swept = await Retention(store, ManualClock(), max_age_days=0).sweep()

    assert swept == Swept(0)
    assert store.asked == ["space"]


async def test_space_is_given_back_until_none_is_left():
    store = ScriptedStore(spaces=[500, 300, 100, 0])

    await Retention(store, ManualClock(), max_age_days=0).sweep()

    assert store.asked == ["space"] * 4


@pytest.mark.parametrize("later", [500, 501])
async def test_giving_space_back_stops_when_it_does_not_get_less(later):
    store = ScriptedStore(spaces=[600, 500, later, 0])

    await Retention(store, ManualClock(), max_age_days=0).sweep()

    assert store.asked == ["space"] * 3


async def test_a_deleted_thing_is_purged_until_nothing_is_left():
    store = ScriptedStore(purges=[False, False, True])

    await Retention(store, ManualClock(), max_age_days=0).purge(ThingId("one"))

    assert store.asked == ["one"] * 3


async def test_an_epoch_is_purged_until_nothing_is_left():
    store = ScriptedStore(purges=[False, False, True])

    await Retention(store, ManualClock(), max_age_days=0).purge_epoch(ThingId("one"), 3)

    assert store.asked == [("one", 3)] * 3


async def test_other_tasks_run_between_two_slices():
    store = ScriptedStore(slices=[(1, 1)] * 50 + [(0, None)])
    sweep = asyncio.create_task(Retention(store, ManualClock(), max_age_days=1).sweep())
    turns = 0

    while not sweep.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns >= 50
