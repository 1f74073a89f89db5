import asyncio
from dataclasses import replace

import pytest

from doubles.kept_rig import ALERTS, COMMANDS, ONE, VALUES
from thingstead.features.kept_sessions import service as service_module
from thingstead.features.kept_sessions.model import Holder, HolderKind
from thingstead.kernel.errors import StoreUnavailableError


async def test_the_first_session_of_a_client_is_not_one_that_was_kept(rig):
    session, is_present = await rig.open()

    assert not is_present
    assert (session.holder, session.client_id, session.expires_after_s) == (ONE, "sensor", 60)
    assert rig.stored(session) == session


async def test_a_client_that_comes_back_finds_its_session_and_subscriptions(rig):
    asleep = await rig.asleep(VALUES, COMMANDS)

    session, is_present = await rig.open(expires_after_s=30)

    assert is_present
    assert session == replace(
        asleep, expires_after_s=30, subscriptions=(VALUES, COMMANDS), expires_at_ms=None
    )
    assert rig.stored(session) == session


@pytest.mark.parametrize(
    ("holder", "client_id"), [(Holder(HolderKind.USER, "one"), "sensor"), (ONE, "other")]
)
async def test_nobody_else_finds_it(rig, holder, client_id):
    await rig.asleep()

    _, is_present = await rig.service.open(holder, client_id, is_clean=False, expires_after_s=9)

    assert not is_present


async def test_a_clean_start_takes_a_new_session_and_forgets_the_former(rig):
    asleep = await rig.asleep(VALUES, COMMANDS)
    rig.deliveries.packets[asleep.id] = {1}

    session, is_present = await rig.open(is_clean=True)

    assert not is_present
    assert session.id != asleep.id
    assert session.subscriptions == ()
    assert rig.service.away_for("one") == []
    assert list(rig.kept.sessions) == [session.id]
    await rig.service.sweep()
    assert rig.deliveries.packets == {}


async def test_a_clean_session_that_is_not_to_last_forgets_the_former_and_is_not_stored(rig):
    await rig.asleep(COMMANDS)

    session, is_present = await rig.open(is_clean=True, expires_after_s=0)

    assert (is_present, session.expires_after_s) == (False, 0)
    assert rig.kept.sessions == {}
    assert rig.service.away_for("one") == []


async def test_a_session_that_is_not_to_last_costs_no_write(rig):
    session, _ = await rig.open(expires_after_s=0)
    await rig.service.subscribe(session, VALUES)
    await rig.service.unsubscribe(session, VALUES.filter)
    await rig.service.note(session.id, [VALUES])
    await rig.leave(session, COMMANDS)

    assert rig.faults.writes == 0
    assert rig.service.away_for("one") == []


async def test_a_kept_session_that_is_to_last_no_longer_is_found_once_more(rig):
    await rig.asleep(VALUES)

    session, is_present = await rig.open(expires_after_s=0)

    assert is_present
    assert session.subscriptions == (VALUES,)
    await rig.leave(session, COMMANDS, expires_after_s=60)
    assert rig.kept.sessions == {}
    assert rig.service.away_for("one") == []


@pytest.mark.parametrize(("asked", "given"), [(3_600, 3_600), (3_601, 3_600), (2**32, 3_600)])
async def test_a_session_lasts_no_longer_than_the_longest_may(rig, asked, given):
    session, _ = await rig.open(expires_after_s=asked)

    assert session.expires_after_s == given
    await rig.leave(session)
    assert rig.stored(session).expires_at_ms == rig.clock.now_ms() + given * 1_000


@pytest.mark.parametrize(("seconds", "expected"), [(59.999, True), (60, False)])
async def test_a_session_is_kept_for_as_long_as_it_said(rig, seconds, expected):
    await rig.asleep()

    rig.clock.advance(seconds)

    assert (await rig.open())[1] is expected


async def test_a_disconnect_may_say_how_long_it_is_kept(rig):
    session = await rig.connected()

    await rig.leave(session, expires_after_s=3_601)

    assert rig.stored(session).expires_at_ms == rig.clock.now_ms() + 3_600_000
    assert rig.stored(session).expires_after_s == 3_600


async def test_a_disconnect_may_end_it(rig):
    session = await rig.connected(COMMANDS)

    await rig.leave(session, COMMANDS, expires_after_s=0)

    assert rig.stored(session) is None
    assert rig.service.away_for("one") == []


async def test_a_subscription_takes_the_place_of_one_with_the_same_filter(rig):
    session = await rig.connected(VALUES, COMMANDS)
    changed = replace(VALUES, options=0, after=None)

    await rig.service.subscribe(session, ALERTS, changed)

    assert rig.stored(session).subscriptions == (changed, COMMANDS, ALERTS)


async def test_an_unsubscribed_filter_is_forgotten(rig):
    session = await rig.connected(VALUES, COMMANDS)

    await rig.service.unsubscribe(session, VALUES.filter, "unknown")

    assert rig.stored(session).subscriptions == (COMMANDS,)


async def test_a_subscription_that_is_not_stored_is_not_kept(rig):
    session = await rig.connected(VALUES)
    rig.faults.failing = 1

    with pytest.raises(StoreUnavailableError):
        await rig.service.subscribe(session, COMMANDS)
    await rig.service.subscribe(session, ALERTS)

    assert rig.stored(session).subscriptions == (VALUES, ALERTS)


async def test_how_far_a_subscription_came_is_noted(rig):
    session = await rig.connected(VALUES, COMMANDS)

    await rig.service.note(session.id, [replace(VALUES, after=9)])

    assert rig.stored(session).subscriptions == (replace(VALUES, after=9), COMMANDS)


async def test_progress_of_several_sessions_is_one_write(rig):
    one, two = await rig.connected(VALUES), await rig.connected(VALUES, client_id="two")
    before = rig.faults.writes

    await rig.service.note_many(
        {
            one.id: [replace(VALUES, after=8)],
            two.id: [replace(VALUES, after=9), replace(ALERTS, after=9)],
            "unknown": [VALUES],
        }
    )

    assert rig.faults.writes == before + 1
    assert rig.stored(one).subscriptions == (replace(VALUES, after=8),)
    assert rig.stored(two).subscriptions == (replace(VALUES, after=9),)


async def test_progress_of_who_has_left_changes_nothing(rig):
    session = await rig.asleep(VALUES)
    before = rig.stored(session)

    await rig.service.note(session.id, [replace(VALUES, after=9)])

    assert rig.stored(session) == before


async def test_progress_that_is_noted_during_another_change_is_kept(rig):
    session = await rig.connected(VALUES)
    rig.faults.gate = asyncio.Event()
    rig.faults.entered.clear()
    subscribing = asyncio.create_task(rig.service.subscribe(session, COMMANDS))
    await rig.faults.entered.wait()
    noting = asyncio.create_task(rig.service.note(session.id, [replace(VALUES, after=9)]))
    await asyncio.sleep(0)
    rig.faults.gate.set()
    await asyncio.gather(subscribing, noting)

    await rig.service.subscribe(session, ALERTS)

    assert rig.stored(session).subscriptions == (replace(VALUES, after=9), COMMANDS, ALERTS)


async def test_how_far_it_came_is_noted_when_a_client_leaves(rig):
    session = await rig.connected(VALUES)

    await rig.service.leave(session.id, [replace(VALUES, after=9)], by_thing={})

    assert rig.stored(session).subscriptions == (replace(VALUES, after=9),)


async def test_leaving_twice_is_the_same_as_once(rig):
    session = await rig.asleep(COMMANDS)
    before = rig.stored(session)
    rig.clock.advance(1)

    await rig.leave(session)

    assert rig.stored(session) == before
    assert rig.service.away_for("one") == [(session.id, COMMANDS)]


async def test_a_session_is_ended_with_all_that_waits_in_it(rig):
    session = await rig.asleep(COMMANDS)

    for _ in range(2):
        await rig.service.end(session.id)

    assert rig.stored(session) is None
    assert rig.service.away_for("one") == []


async def test_a_connected_session_can_be_ended(rig):
    session = await rig.connected(COMMANDS)

    await rig.service.end(session.id)
    await rig.service.subscribe(session, VALUES)
    await rig.leave(session, COMMANDS)

    assert rig.kept.sessions == {}
    assert rig.service.away_for("one") == []


async def test_of_a_client_that_connects_twice_at_once_one_session_is_kept(rig):
    (first, was_first), (second, was_second) = await asyncio.gather(rig.open(), rig.open())

    assert (was_first, was_second) == (False, True)
    assert first.id == second.id


async def test_a_leave_that_was_not_stored_is_noted_by_the_next_sweep(rig):
    session = await rig.connected(COMMANDS)
    rig.faults.failing = 1
    with pytest.raises(StoreUnavailableError):
        await rig.leave(session, COMMANDS)
    assert rig.stored(session).expires_at_ms is None
    assert rig.service.away_for("one") == [(session.id, COMMANDS)]

    await rig.service.sweep()

    assert rig.stored(session).expires_at_ms == rig.clock.now_ms() + 60_000
    rig.clock.advance(60)
    await rig.service.sweep()
    assert rig.stored(session) is None


async def test_an_end_that_was_not_stored_happens_at_the_next_sweep(rig):
    session = await rig.connected()
    rig.faults.failing = 1
    with pytest.raises(StoreUnavailableError):
        await rig.leave(session, expires_after_s=0)

    await rig.service.sweep()

    assert rig.stored(session) is None


async def test_who_ended_a_session_does_not_find_it_though_that_was_not_stored(rig):
    session = await rig.connected(VALUES)
    rig.faults.failing = 1
    with pytest.raises(StoreUnavailableError):
        await rig.leave(session, expires_after_s=0)

    new, is_present = await rig.open()

    assert not is_present
    assert list(rig.kept.sessions) == [new.id]


async def test_who_comes_back_before_the_leave_was_stored_stays_connected(rig):
    session = await rig.connected(VALUES)
    rig.faults.failing = 1
    with pytest.raises(StoreUnavailableError):
        await rig.service.leave(session.id, [replace(VALUES, after=9)], by_thing={})

    again, is_present = await rig.open()
    await rig.service.sweep()

    assert is_present
    assert again.subscriptions == (replace(VALUES, after=9),)
    assert rig.stored(session) == again


async def test_a_session_that_was_left_during_a_sweep_is_not_forgotten_as_unnoted(rig):
    session = await rig.connected(VALUES)
    rig.faults.failing = 1
    with pytest.raises(StoreUnavailableError):
        await rig.leave(session)
    rig.faults.gate = asyncio.Event()
    rig.faults.entered.clear()
    sweeping = asyncio.create_task(rig.service.sweep())
    await rig.faults.entered.wait()
    opening = asyncio.create_task(rig.open())
    await asyncio.sleep(0)
    rig.faults.gate.set()
    again, _ = (await asyncio.gather(opening, sweeping))[0]

    assert rig.stored(session) == again
    assert again.expires_at_ms is None


async def test_a_session_that_could_not_be_gone_on_with_goes_on_expiring(rig):
    asleep = await rig.asleep(COMMANDS)
    before = rig.stored(asleep)
    rig.faults.failing = 1

    with pytest.raises(StoreUnavailableError):
        await rig.open()
    await rig.service.sweep()

    assert rig.stored(asleep) == before
    assert rig.service.away_for("one") == [(asleep.id, COMMANDS)]


async def test_a_new_session_whose_storing_was_broken_off_does_not_stay_connected(rig):
    rig.faults.gate = asyncio.Event()
    opening = asyncio.create_task(rig.open())
    await rig.faults.entered.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    rig.faults.gate = None
    # The store had it all the same.
    (unnoted,) = rig.service._unnoted.values()
    rig.kept.sessions[unnoted.id] = replace(unnoted, expires_at_ms=None)

    await rig.service.sweep()

    assert rig.kept.sessions == {}


async def test_a_sweep_lets_a_session_be_that_is_being_stored(rig):
    rig.faults.gate = asyncio.Event()
    opening = asyncio.create_task(rig.open())
    await rig.faults.entered.wait()
    sweeping = asyncio.create_task(rig.service.sweep())
    await asyncio.sleep(0)
    rig.faults.gate.set()

    session, _ = (await asyncio.gather(opening, sweeping))[0]

    assert rig.stored(session) == session


async def test_a_sweep_that_ends_late_does_not_take_a_later_leave_for_noted(rig):
    asleep = await rig.connected(VALUES)
    rig.faults.failing = 1
    with pytest.raises(StoreUnavailableError):
        await rig.leave(asleep)
    rig.faults.gate = gate = asyncio.Event()
    rig.faults.entered.clear()
    sweeping = asyncio.create_task(rig.service.sweep())
    await rig.faults.entered.wait()
    opening = asyncio.create_task(rig.open())
    await asyncio.sleep(0)
    rig.faults.gate = asyncio.Event()
    rig.faults.entered.clear()
    gate.set()
    await sweeping
    await rig.faults.entered.wait()
    expiring = rig.stored(asleep)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    rig.faults.gate = None
    # The store had it all the same.
    rig.kept.sessions[asleep.id] = replace(expiring, expires_at_ms=None)

    await rig.service.sweep()

    assert rig.stored(asleep) == expiring


async def test_expired_sessions_are_deleted_with_what_is_remembered_of_their_packets(rig):
    asleep = await rig.asleep(COMMANDS)
    connected = await rig.connected(client_id="other")
    rig.deliveries.packets = {asleep.id: {1}, connected.id: {2}}

    rig.clock.advance(60)
    for _ in range(2):
        await rig.service.sweep()

    assert list(rig.kept.sessions) == [connected.id]
    assert rig.deliveries.packets == {connected.id: {2}}
    assert rig.service.away_for("one") == []
    assert rig.kept.gone == set()


async def test_a_sweep_goes_on_until_all_are_gone(rig, monkeypatch):
    monkeypatch.setattr(service_module, "_GONE_PAGE", 2)
    for number in range(5):
        await rig.asleep(client_id=str(number))

    rig.clock.advance(60)
    await rig.service.sweep()

    assert rig.kept.sessions == {}
    assert rig.kept.gone == set()


async def test_sessions_of_a_deleted_thing_are_forgotten(rig):
    session = await rig.asleep(COMMANDS)
    rig.deliveries.packets = {session.id: {1}}

    rig.organisation.things.clear()
    await rig.service.sweep()

    assert rig.service.away_for("one") == []
    assert rig.deliveries.packets == {}


async def test_after_a_restart_it_is_known_who_is_away_and_for_how_long(rig, monkeypatch):
    monkeypatch.setattr(service_module, "_PAGE", 1)
    asleep = await rig.asleep(VALUES, COMMANDS, client_id="asleep")
    killed = await rig.connected(COMMANDS, ALERTS, client_id="killed")
    again = rig.started_again()
    things = {COMMANDS.filter: "one", ALERTS.filter: "one"}

    async def thing_of(subscription):
        return things.get(subscription.filter)

    await again.load(thing_of)

    assert again.away_for("one") == [
        (asleep.id, COMMANDS),
        (killed.id, COMMANDS),
        (killed.id, ALERTS),
    ]
    assert rig.stored(killed).expires_at_ms == rig.clock.now_ms() + 60_000
    session, is_present = await again.open(ONE, "killed", is_clean=False, expires_after_s=60)
    assert is_present
    assert session == killed_with(killed, COMMANDS, ALERTS)


def killed_with(session, *subscriptions):
    return replace(session, subscriptions=subscriptions, expires_at_ms=None)
