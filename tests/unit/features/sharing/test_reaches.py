"""What users may do: remembered, bounded, and forgotten in time."""

import asyncio

import pytest

from doubles.callers import a_caller, thing_id
from thingstead.features.links.model import LinkedThing
from thingstead.features.sharing.model import Reach, Rights, SharedThing
from thingstead.features.things.model import Thing
from thingstead.kernel.changes import Kind
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.kernel.ids import ProductId

ADA = a_caller("ada")
BOB = a_caller("bob")


async def test_a_reach_is_looked_up_once(rig, reaches):
    first = await reaches.of(ADA)
    second = await reaches.of(ADA)

    assert first is second
    assert rig.reach_store.asked == ["ada"]


async def test_a_change_of_a_user_is_seen_at_once(rig, reaches):
    await reaches.of(ADA)
    await reaches.of(BOB)
    rig.reach_store.of_user["ada"] = Reach({}, {})
    rig.announcements.announce(Kind.USER, "ada")
    rig.clock.advance(0.06)

    assert await reaches.of(ADA) == Reach({}, {})
    assert await reaches.of(BOB) is await reaches.of(BOB)
    assert rig.reach_store.asked == ["ada", "bob", "ada"]


async def test_a_change_of_somebody_unknown_forgets_nobody(rig, reaches):
    await reaches.of(ADA)
    rig.changes.tell(Kind.USER, "carl")

    await reaches.of(ADA)

    assert rig.reach_store.asked == ["ada"]


async def test_when_anything_may_have_changed_everything_is_forgotten(rig, reaches):
    await reaches.of(ADA)
    await reaches.of(BOB)
    rig.announcements.lose()

    rig.changes.look_now()

    assert len(reaches) == 0


async def test_what_was_read_before_a_change_is_not_remembered_after_it(rig, reaches):
    rig.reach_store.before_answer = lambda: rig.changes.tell(Kind.USER, "ada")
    old = await reaches.of(ADA)
    rig.reach_store.before_answer = None
    rig.reach_store.of_user["ada"] = Reach({}, {})

    assert old.owned
    assert await reaches.of(ADA) == Reach({}, {})


async def test_as_many_things_are_remembered_as_may_be(rig, make_owned):
    rig.reach_store.of_user = {
        "ada": Reach(make_owned(1, 2), {}),
        "bob": Reach(make_owned(3), {}),
        "carl": Reach({}, {}),
    }
    reaches = rig.make_reaches(kept_things=5)

    await reaches.of(ADA)
    await reaches.of(BOB)
    at_the_limit = len(reaches)
    await reaches.of(a_caller("carl"))

    assert (at_the_limit, len(reaches)) == (2, 2)
    rig.reach_store.asked.clear()
    await reaches.of(BOB)
    await reaches.of(ADA)
    assert rig.reach_store.asked == ["ada"]


async def test_room_is_counted_anew_after_forgetting(rig, make_owned):
    rig.reach_store.of_user = {"ada": Reach(make_owned(1, 2), {}), "bob": Reach(make_owned(3), {})}
    reaches = rig.make_reaches(kept_things=5)
    for _ in range(3):
        await reaches.of(ADA)
        rig.changes.tell(Kind.USER, "ada")
    rig.announcements.lose()
    await reaches.of(ADA)
    rig.changes.look_now()

    await reaches.of(ADA)
    await reaches.of(BOB)

    assert len(reaches) == 2


async def test_who_asks_while_a_reach_is_looked_up_waits_for_it(rig, reaches):
    found = await asyncio.gather(*(reaches.of(ADA) for _ in range(50)), reaches.of(BOB))

    assert rig.reach_store.asked == ["ada", "bob"]
    assert len(set(map(id, found[:50]))) == 1


async def test_what_is_being_looked_up_is_not_given_to_who_asks_after_a_change(rig, reaches):
    first = asyncio.create_task(reaches.of(ADA))
    await asyncio.sleep(0)
    rig.reach_store.of_user["ada"] = Reach({}, {})
    rig.changes.tell(Kind.USER, "ada")

    later = await reaches.of(ADA)

    assert later == Reach({}, {})
    assert (await first).owned
    assert await reaches.of(ADA) is later


async def test_a_change_of_somebody_else_does_not_spoil_a_look_up(rig, reaches):
    rig.reach_store.before_answer = lambda: rig.changes.tell(Kind.USER, "bob")

    first = await reaches.of(ADA)

    assert await reaches.of(ADA) is first


async def test_when_everything_is_forgotten_a_look_up_under_way_is_too(rig, reaches):
    first = asyncio.create_task(reaches.of(ADA))
    await asyncio.sleep(0)
    rig.announcements.lose()
    rig.changes.look_now()

    await reaches.of(ADA)
    await first

    assert rig.reach_store.asked == ["ada", "ada"]


@pytest.mark.parametrize("gone", [0, 1])
async def test_a_caller_who_goes_away_takes_no_other_along(rig, reaches, gone):
    waiting = [asyncio.create_task(reaches.of(ADA)) for _ in range(3)]
    await asyncio.sleep(0)

    waiting[gone].cancel()
    found = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(found.pop(gone), asyncio.CancelledError)
    assert [sorted(reach.owned) for reach in found] == [[thing_id(1), thing_id(2)]] * 2


async def test_a_failed_look_up_fails_for_all_who_wait_and_is_tried_again(rig, reaches):
    def fail():
        raise StoreUnavailableError

    rig.reach_store.before_answer = fail
    found = await asyncio.gather(reaches.of(ADA), reaches.of(ADA), return_exceptions=True)
    rig.reach_store.before_answer = None

    assert [type(one) for one in found] == [StoreUnavailableError] * 2
    assert (await reaches.of(ADA)).owned
    assert rig.reach_store.asked == ["ada", "ada"]


async def test_a_reach_larger_than_the_room_is_not_remembered(rig, make_owned):
    rig.reach_store.of_user["ada"] = Reach(make_owned(1, 2, 3, 4, 5), {})
    reaches = rig.make_reaches(kept_things=5)

    assert len((await reaches.of(ADA)).owned) == 5
    assert len(reaches) == 0


async def test_an_installation_may_show_all_epochs(rig, make_owned):
    there = Thing(thing_id(2), ProductId(1), 0, (1,))
    rig.reach_store.of_user["ada"] = Reach(
        make_owned(1, epochs=(0, 2)), {thing_id(2): SharedThing(there, {"t": Rights.GET})}
    )
    reach = await rig.make_reaches(shows_all_epochs=True).of(ADA)

    assert reach.owned[thing_id(1)] == LinkedThing(
        Thing(thing_id(1), ProductId(1), 0, (0, 1, 2)), 0
    )
    assert reach.shared[thing_id(2)].thing.epochs == (0, 1)
    assert reach.shared[thing_id(2)].rights == {"t": Rights.GET}
