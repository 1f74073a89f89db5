"""What every store of updates, of what runs, and of timelines promises."""

import asyncio
from dataclasses import replace

import pytest

from thingstead.features.firmware.model import (
    UNDER_WAY,
    Running,
    Step,
    ThingRecord,
    Update,
    UpdateEvent,
    UpdateState,
)
from thingstead.kernel.changes import Change, Kind

OFFERED, DOWNLOADING = UpdateState.OFFERED, UpdateState.DOWNLOADING
FAILED, SUCCEEDED = UpdateState.FAILED, UpdateState.SUCCEEDED


def an_update(thing_id, firmware, **said):
    usual = {
        "thing_id": thing_id,
        "firmware_id": firmware.id,
        "product_id": firmware.product_id,
        "mcu": firmware.mcu,
        "state": OFFERED,
        "changed_at_ms": 1,
    }
    return Update(**(usual | said))


def event(thing_id, kind="offered", at_ms=1, **said):
    return UpdateEvent(
        thing_id, said.get("firmware_id"), said.get("campaign_id"), at_ms, kind, kind.upper()
    )


async def save(core, *updates):
    return await core.firmware_updates.save([Step(update) for update in updates])


@pytest.fixture
async def firmware(make):
    return await make.firmware("1.0")


@pytest.fixture
async def one(make):
    return (await make.thing("one")).id


async def test_a_thing_of_which_nothing_is_known_has_an_empty_record(core, one):
    assert await core.firmware_updates.record(one) == ThingRecord((), ())
    assert await core.firmware_updates.record("unknown") == ThingRecord((), ())
    assert await core.firmware_updates.timeline(one, before=None, limit=9) == []


async def test_a_new_update_comes_back_with_action_and_revision(core, one, firmware):
    new = an_update(one, firmware)

    [stored] = await save(core, new)

    assert stored.action > 0
    assert stored == replace(new, action=stored.action, revision=1)
    assert (await core.firmware_updates.record(one)).updates == (stored,)
    assert await core.firmware_updates.by_action(one, stored.action) == stored


async def test_every_member_of_an_update_is_stored(core, make, one, firmware):
    campaign = await make.campaign("campaign", firmware)
    [first] = await save(core, an_update(one, firmware))
    changed = replace(
        first,
        campaign_id=campaign.id,
        ring=3,
        state=FAILED,
        reason="ünexpected",
        failures=2,
        offered_at_ms=1 << 41,
        begun_at_ms=2,
        downloaded_at_ms=3,
        reported_at_ms=4,
        ended_at_ms=5,
        changed_at_ms=6,
    )

    [stored] = await save(core, changed)

    assert stored == replace(changed, revision=2)
    assert await core.firmware_updates.by_action(one, stored.action) == stored


async def test_a_step_made_from_an_older_revision_is_left_out_with_its_events(core, one, firmware):
    [first] = await save(core, an_update(one, firmware))
    [second] = await save(core, replace(first, state=DOWNLOADING))

    late = Step(replace(first, state=FAILED), (event(one),))
    result = await core.firmware_updates.save([late])

    assert result == [None]
    assert (await core.firmware_updates.record(one)).updates == (second,)
    assert await core.firmware_updates.timeline(one, before=None, limit=9) == []


async def test_an_update_that_is_there_is_not_new(core, one, firmware):
    [stored] = await save(core, an_update(one, firmware))

    result = await save(core, an_update(one, firmware, state=FAILED))

    assert result == [None]
    assert (await core.firmware_updates.record(one)).updates == (stored,)


async def test_a_change_of_an_update_that_is_not_there_is_left_out(core, one, firmware):
    assert await save(core, an_update(one, firmware, revision=1)) == [None]
    assert (await core.firmware_updates.record(one)).updates == ()


async def test_one_result_comes_for_each_step_in_order(core, make, firmware):
    names = [(await make.thing(name)).id for name in ("b", "a", "c")]
    [known] = await save(core, an_update("a", firmware))

    results = await save(
        core,
        an_update("b", firmware),
        an_update("deleted", firmware),
        replace(known, state=SUCCEEDED),
        replace(known, state=FAILED),
        an_update("c", firmware),
    )

    assert [one and (one.thing_id, one.state) for one in results] == [
        ("b", OFFERED),
        None,
        ("a", SUCCEEDED),
        None,
        ("c", OFFERED),
    ]
    for name, result in zip(names, [results[0], results[2], results[4]], strict=True):
        assert (await core.firmware_updates.record(name)).updates == (result,)


async def test_two_steps_of_one_update_follow_each_other(core, one, firmware):
    new = an_update(one, firmware)

    first, second = await save(core, new, replace(new, state=DOWNLOADING, revision=1))

    assert (first.action, first.revision, first.state) == (second.action, 1, OFFERED)
    assert (second.revision, second.state) == (2, DOWNLOADING)
    assert (await core.firmware_updates.record(one)).updates == (second,)


async def test_of_two_savings_of_one_revision_one_wins(core, open_again, one, firmware):
    other = await open_again()
    [first] = await save(core, an_update(one, firmware))

    results = await asyncio.gather(
        *(
            save(store, replace(first, failures=number))
            for number, store in enumerate([core, other] * 4)
        )
    )

    [winner] = [one for [one] in results if one is not None]
    assert (await core.firmware_updates.record(one)).updates == (winner,)


async def test_of_two_additions_of_one_update_one_wins(core, open_again, one, firmware):
    other = await open_again()

    results = await asyncio.gather(
        *(save(store, an_update(one, firmware)) for store in [core, other] * 4)
    )

    assert len([one for [one] in results if one is not None]) == 1


async def test_nothing_at_all_is_saved_without_complaint(core):
    assert await core.firmware_updates.save([]) == []
    await core.firmware_updates.save_running([])


async def test_a_whole_fleet_is_saved_at_once(core, make, firmware):
    product = await make.product()
    things = [(await make.thing(f"{number:04d}", product)).id for number in range(1_001)]

    results = await core.firmware_updates.save(
        [Step(an_update(thing, firmware), (event(thing),)) for thing in things]
    )
    again = await core.firmware_updates.save(
        [Step(replace(one, state=DOWNLOADING), (event(one.thing_id),)) for one in results]
    )

    assert [one.thing_id for one in again] == things
    assert {one.revision for one in again} == {2}
    assert len({one.action for one in again}) == 1_001
    for thing in (things[0], things[-1]):
        entries = await core.firmware_updates.timeline(thing, before=None, limit=9)
        assert len(entries) == 2


async def test_updates_of_a_thing_come_by_action(core, make, one, firmware):
    product_id = firmware.product_id
    other = await make.firmware("0.9", product_id, mcu="radio")
    [first] = await save(core, an_update(one, other))
    [second] = await save(core, an_update(one, firmware))
    [first] = await save(core, replace(first, state=SUCCEEDED))

    assert (await core.firmware_updates.record(one)).updates == (first, second)


async def test_an_action_of_another_thing_is_not_found(core, make, one, firmware):
    two = await make.thing("two")
    [stored] = await save(core, an_update(one, firmware))

    assert await core.firmware_updates.by_action(two.id, stored.action) is None
    assert await core.firmware_updates.by_action(one, stored.action + 1) is None


async def test_an_action_never_comes_back(core, make, one, firmware):
    two = await make.thing("two")
    [last] = await save(core, an_update(two.id, firmware))
    await core.things.delete_thing(two.id, at_ms=1)

    [next_one] = await save(core, an_update(one, firmware))

    assert next_one.action > last.action


async def test_what_a_thing_runs_is_replaced_for_each_mcu(core, one):
    old = [Running(one, "radio", "0.1", 1, 2), Running(one, "main", "1.0", 3, 4)]
    new = Running(one, "main", "1.1", 5, 1 << 41)
    await core.firmware_updates.save_running(old)

    await core.firmware_updates.save_running([new, Running(one, "extra", "7", 6, 6)])

    record = await core.firmware_updates.record(one)
    assert record.running == (Running(one, "extra", "7", 6, 6), new, old[0])


async def test_the_last_of_several_reports_counts(core, one):
    reports = [Running(one, "main", "1.0", 1, 1), Running(one, "main", "1.1", 2, 2)]

    await core.firmware_updates.save_running(reports)

    assert (await core.firmware_updates.record(one)).running == (reports[1],)


async def test_what_a_deleted_thing_runs_is_not_stored(core, one):
    known = Running(one, "main", "1.0", 1, 1)

    await core.firmware_updates.save_running([Running("gone", "main", "1.0", 1, 1), known])

    assert (await core.firmware_updates.record("gone")).running == ()
    assert (await core.firmware_updates.record(one)).running == (known,)


async def test_a_timeline_tells_the_newest_first_in_pages(core, make, one, firmware):
    two = await make.thing("two")
    events = [event(one, f"kind {n}", n, firmware_id=firmware.id) for n in range(5)]
    await core.firmware_updates.save(
        [
            Step(an_update(one, firmware), tuple(events)),
            Step(an_update(two.id, firmware), (event(two.id, campaign_id="any"),)),
        ]
    )

    first = await core.firmware_updates.timeline(one, before=None, limit=3)
    rest = await core.firmware_updates.timeline(one, before=first[-1][0], limit=3)
    [(_, other)] = await core.firmware_updates.timeline(two.id, before=None, limit=3)

    assert [entry for _, entry in first + rest] == events[::-1]
    numbers = [number for number, _ in first + rest]
    assert numbers == sorted(numbers, reverse=True)
    assert other == event(two.id, campaign_id="any")


@pytest.mark.parametrize(("count", "oldest"), [(200, 0), (201, 1)])
async def test_a_timeline_keeps_the_newest_two_hundred_entries(core, one, firmware, count, oldest):
    events = [event(one, "offered", at_ms) for at_ms in range(count)]
    [first] = await core.firmware_updates.save(
        [Step(an_update(one, firmware), tuple(events[:199]))]
    )

    await core.firmware_updates.save([Step(first, tuple(events[199:]))])

    entries = await core.firmware_updates.timeline(one, before=None, limit=500)
    assert [entry.at_ms for _, entry in entries] == list(range(count - 1, oldest - 1, -1))


async def test_more_entries_at_once_than_are_kept_leave_the_newest(core, one, firmware):
    events = tuple(event(one, "offered", at_ms) for at_ms in range(450))

    await core.firmware_updates.save([Step(an_update(one, firmware), events)])

    entries = await core.firmware_updates.timeline(one, before=None, limit=500)
    assert [entry.at_ms for _, entry in entries] == list(range(449, 249, -1))


async def test_trimming_leaves_other_timelines_alone(core, make, one, firmware):
    two = await make.thing("two")
    await core.firmware_updates.save([Step(an_update(two.id, firmware), (event(two.id),))])
    events = tuple(event(one, "offered", at_ms) for at_ms in range(300))

    await core.firmware_updates.save([Step(an_update(one, firmware), events)])

    assert len(await core.firmware_updates.timeline(two.id, before=None, limit=9)) == 1


async def test_updates_under_way_come_ascending_by_action(core, make, firmware):
    stored = []
    for number, state in enumerate(UpdateState):
        thing = await make.thing(f"{9 - number} {state}")
        stored += await save(core, an_update(thing.id, firmware, state=state))
    expected = [one for one in stored if one.state in UNDER_WAY]

    first = await core.firmware_updates.under_way(sorted(UNDER_WAY), after=0, limit=3)
    rest = await core.firmware_updates.under_way(sorted(UNDER_WAY), after=first[-1].action, limit=3)

    assert (first, rest) == (expected[:3], expected[3:])


async def test_some_states_or_others_may_be_asked_for(core, make, firmware):
    stored = {}
    for state in UpdateState:
        thing = await make.thing(state.value)
        [stored[state]] = await save(core, an_update(thing.id, firmware, state=state))
    under_way = core.firmware_updates.under_way

    assert await under_way([DOWNLOADING], after=0, limit=9) == [stored[DOWNLOADING]]
    assert await under_way([FAILED, DOWNLOADING], after=0, limit=9) == [
        stored[DOWNLOADING],
        stored[FAILED],
    ]
    assert await under_way([], after=0, limit=9) == []


async def test_all_about_a_deleted_thing_goes_with_it(core, make, one, firmware):
    two = await make.thing("two")
    for thing_id in (one, two.id):
        await core.firmware_updates.save([Step(an_update(thing_id, firmware), (event(thing_id),))])
        await core.firmware_updates.save_running([Running(thing_id, "main", "1.0", 1, 1)])

    assert await core.things.delete_thing(one, at_ms=5)

    assert await core.firmware_updates.record(one) == ThingRecord((), ())
    assert await core.firmware_updates.timeline(one, before=None, limit=9) == []
    left = await core.firmware_updates.record(two.id)
    assert (len(left.updates), len(left.running)) == (1, 1)
    assert len(await core.firmware_updates.timeline(two.id, before=None, limit=9)) == 1


async def test_a_deleted_thing_gets_no_update(core, one, firmware):
    await core.things.delete_thing(one, at_ms=5)

    result = await core.firmware_updates.save([Step(an_update(one, firmware), (event(one),))])

    assert result == [None]
    assert await core.firmware_updates.timeline(one, before=None, limit=9) == []


async def test_savings_are_not_announced(core, open_again, one, firmware):
    other = await open_again()

    await core.firmware_updates.save([Step(an_update(one, firmware), (event(one),))])
    await core.firmware_updates.save_running([Running(one, "main", "1.0", 1, 1)])

    assert list(other.change_signal.changes()) == []


async def test_what_an_operator_released_is_announced_with_the_product(
    core, open_again, one, firmware
):
    [blocked] = await save(core, an_update(one, firmware, state=UpdateState.BLOCKED))
    other = await open_again()
    other.change_signal.changes()
    released = Step(replace(blocked, state=UpdateState.WAITING), (event(one, "released"),))

    for _ in range(2):  # The second one comes too late, and is not stored.
        await core.firmware_updates.save([released])

    assert list(other.change_signal.changes()) == [Change(Kind.FIRMWARE, str(firmware.product_id))]
