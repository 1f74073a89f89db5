"""The live WebSocket's own rules: order, patience, pressure, and ends."""

import asyncio

import pytest

from thingstead.features.live.model import End
from thingstead.features.live.ports import Missed
from thingstead.features.live.subscription import LiveLimits
from thingstead.features.users.errors import InvalidSessionError
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError, TooManyRequestsError
from thingstead.transports.http.v2.live.socket import Credential, LiveSocketLimits
from unit.transports.http.v2.live.rig import TOKEN, LiveRig, event


@pytest.fixture
async def rig():
    return await LiveRig().authenticated()


def values_of(heard):
    return [value["value"] for one in heard for value in one["values"]]


# --- Authenticating ---


async def test_who_does_not_authenticate_in_5_seconds_is_sent_away():
    rig = LiveRig()
    rig.begin()
    began = asyncio.get_running_loop().time()
    deadline = rig.connection.deadline

    rig.connection.deadline_passed(deadline - 0.1)
    before = await rig.heard()
    rig.connection.deadline_passed(deadline)

    assert deadline <= began + 5
    assert before == []
    [error, code] = await rig.heard()
    assert (error["type"], error["code"], code) == ("error", 401, 1008)


async def test_who_has_authenticated_may_stay(rig):
    rig.connection.deadline_passed(asyncio.get_running_loop().time() + 6)

    assert rig.connection.is_open
    assert await rig.heard() == []


async def test_a_look_up_that_takes_too_long_is_given_up():
    rig = LiveRig(credential=Credential(TOKEN))
    rig.holders.gate = asyncio.Event()
    rig.begin()

    rig.connection.deadline_passed(rig.connection.deadline)
    rig.holders.gate.set()

    [error, code] = await rig.heard()
    assert (error["code"], code) == (401, 1008)


@pytest.mark.parametrize("is_ticket", [True, False])
async def test_what_the_request_brought_is_used_before_any_message(is_ticket):
    rig = LiveRig(credential=Credential(TOKEN, is_ticket))
    rig.begin()

    rig.say("subscribe", id="s")

    assert [one["type"] for one in await rig.heard()] == ["authenticated", "subscribed"]


@pytest.mark.parametrize(
    ("error", "status", "close_code"),
    [
        (InvalidSessionError(), 401, 1008),
        (TooManyRequestsError("often"), 429, 1008),
        (StoreUnavailableError("down"), 503, 1013),
    ],
)
async def test_who_cannot_be_known_is_told_why(error, status, close_code):
    rig = LiveRig()
    rig.holders.error = error
    rig.begin()

    [said, code] = await rig.ask("authenticate", token=TOKEN)

    assert (said["type"], said["code"], code) == ("error", status, close_code)


async def test_the_token_must_be_there():
    rig = LiveRig()
    rig.begin()

    [said, code] = await rig.ask("authenticate")

    assert (said["code"], code) == (400, 1008)


# --- Order ---


async def test_requests_are_answered_one_after_the_other(rig):
    rig.holders.gate = asyncio.Event()
    rig.say("subscribe", id="one")
    rig.say("ping")
    rig.say("subscribe", id="two")
    waiting = await rig.heard()
    is_read = not rig.transport.is_reading_paused

    rig.holders.gate.set()
    said = await rig.heard()

    assert (waiting, is_read) == ([], False)
    assert not rig.transport.is_reading_paused
    assert [(one["type"], one.get("id")) for one in said] == [
        ("subscribed", "one"),
        ("pong", None),
        ("subscribed", "two"),
    ]


async def test_a_client_that_leaves_while_it_is_answered_leaves_nothing_behind(rig):
    rig.holders.gate = asyncio.Event()
    rig.say("subscribe", id="one")
    await rig.heard()

    rig.connection.connection_lost(None)
    rig.holders.gate.set()
    await rig.heard()

    assert len(rig.live) == 0


async def test_the_confirmation_comes_before_any_event(rig):
    rig.say("subscribe", id="s")
    await rig.opened()
    rig.bus.publish(event(8, 1))

    heard = await rig.heard()

    assert [one["type"] for one in heard] == ["subscribed", "values"]
    assert [one["cursor"] for one in heard] == ["v7", "v8"]


# --- Limits ---


async def test_50_subscriptions_fit_on_a_socket_and_not_one_more(rig):
    for number in range(50):
        await rig.subscribe(id=str(number))

    [refused] = await rig.ask("subscribe", id="50")
    await rig.ask("unsubscribe", id="0")
    [again] = await rig.ask("subscribe", id="50")

    assert (refused["id"], refused["code"]) == ("50", 429)
    assert again["type"] == "subscribed"


async def test_an_id_in_use_is_refused_and_the_first_subscription_stays(rig):
    await rig.subscribe()
    [refused] = await rig.ask("subscribe", id="s")
    rig.bus.publish(event(8, 1))

    assert refused["code"] == 409
    assert len(rig.holders.streams) == 1
    assert values_of(await rig.heard()) == [1]


async def test_a_store_that_cannot_tell_refuses_the_subscription_only(rig):
    rig.holders.error = StoreUnavailableError("down")
    [refused] = await rig.ask("subscribe", id="s")
    rig.holders.error = None
    await rig.subscribe()

    assert (refused["type"], refused["id"], refused["code"]) == ("error", "s", 503)


# --- Pressure ---


async def test_nothing_is_taken_for_a_client_that_does_not_read(rig):
    await rig.subscribe()
    rig.connection.pause_writing()
    rig.bus.publish(event(8, 1))
    rig.bus.publish(event(9, 2))

    paused = await rig.heard()
    rig.connection.resume_writing()

    assert paused == []
    assert values_of(await rig.heard()) == [1, 2]


async def test_events_of_one_turn_leave_in_one_write(rig):
    await rig.subscribe(id="one")
    await rig.subscribe(id="two")
    before = len(rig.transport.writes)

    for number in range(10):
        rig.bus.publish(event(8 + number, number))
    heard = await rig.heard()

    assert len(heard) == 20
    assert len(rig.transport.writes) == before + 1


@pytest.mark.parametrize(("conflates", "count"), [(False, 0), (True, 1)])
async def test_what_piles_up_ends_the_subscription_or_keeps_the_newest(conflates, count):
    rig = await LiveRig(queue=LiveLimits(queued_events=4)).authenticated()
    await rig.subscribe(conflate=conflates)
    rig.connection.pause_writing()
    for number in range(5):
        rig.bus.publish(event(8 + number, number))

    await rig.heard()
    rig.connection.resume_writing()
    rig.bus.publish(event(20, 20))
    later = await rig.heard()

    if conflates:
        assert values_of(later) == [4, 20]
    else:
        assert later == []
        assert rig.connection.is_open
    assert len(rig.live) == count


async def test_an_overflown_subscription_says_so_and_others_go_on():
    rig = await LiveRig(queue=LiveLimits(queued_events=4)).authenticated()
    await rig.subscribe(id="one")
    await rig.subscribe(id="two", conflate=True)
    rig.connection.pause_writing()
    for number in range(5):
        rig.bus.publish(event(8 + number, number))

    [ended] = await rig.heard()
    rig.connection.resume_writing()
    heard = await rig.heard()

    assert (ended["type"], ended["id"], ended["code"]) == ("ended", "one", 503)
    assert "the subscriber read too slowly" in ended["message"]
    assert {one["id"] for one in heard} == {"two"}


# --- Replay ---


async def test_missed_events_come_before_live_ones_and_a_gap_is_told_once(rig):
    rig.holders.pages += [
        Missed([event(3, 3)], 3, False, True),
        Missed([event(4, 4), event(5, 5)], 5, True, True),
    ]

    rig.say("subscribe", id="s", since="v2")
    heard = await rig.heard()
    rig.bus.publish(event(6, 6))
    rig.bus.publish(event(5, 5))
    live = await rig.heard()

    assert [one["type"] for one in heard] == ["subscribed", "gap", "values", "values", "values"]
    assert [one["cursor"] for one in heard if "cursor" in one] == ["v2", "v3", "v4", "v5"]
    assert values_of(live) == [6]
    assert rig.holders.streams[0].looks == [2, 3]


async def test_a_replay_waits_for_a_client_that_does_not_read(rig):
    rig.holders.pages += [Missed([event(3, 3), event(4, 4)], 4, True, False)]
    rig.connection.pause_writing()

    rig.say("subscribe", id="s", since="v2")
    waiting = await rig.heard()
    rig.connection.resume_writing()

    assert [one["type"] for one in waiting] == ["subscribed"]
    assert values_of(await rig.heard()) == [3, 4]


async def test_a_replay_that_fails_ends_its_subscription(rig):
    rig.say("subscribe", id="s", since="v2")
    (await rig.opened()).error = OverloadedError("too many reads wait")

    heard = await rig.heard()

    assert [(one["type"], one.get("code")) for one in heard] == [
        ("subscribed", None),
        ("ended", 503),
    ]
    assert len(rig.live) == 0


async def test_unsubscribing_stops_a_replay(rig):
    rig.holders.pages += [Missed([event(3, 3)], 3, True, False)]
    rig.connection.pause_writing()
    rig.say("subscribe", id="s", since="v2")
    await rig.heard()

    unsubscribed = await rig.ask("unsubscribe", id="s")
    rig.connection.resume_writing()

    assert unsubscribed == [{"type": "unsubscribed", "id": "s"}]
    assert await rig.heard() == []
    assert len(rig.live) == 0


async def test_a_right_that_ends_during_a_replay_ends_it(rig):
    rig.holders.pages += [Missed([event(3, 3)], 3, True, False)]
    rig.connection.pause_writing()
    rig.say("subscribe", id="s", since="v2")
    await rig.heard()
    stream = rig.holders.streams[0]
    stream.when_rechecked = lambda subscription: subscription.end(End.REVOKED)

    rig.live.recheck()
    rig.connection.resume_writing()

    [ended, code] = await rig.heard()
    assert (ended["type"], code) == ("ended", 1008)


# --- Rights ---


async def test_rights_are_checked_before_any_further_event(rig):
    stream = await rig.subscribe()
    rig.bus.publish(event(8, 1, epoch=0))
    rig.live.recheck()
    stream.when_rechecked = lambda _subscription: stream.hidden_epochs.add(0)
    rig.bus.publish(event(9, 2, epoch=1))

    heard = await rig.heard()

    assert stream.rechecks == 1
    assert values_of(heard) == [2]


async def test_a_right_that_has_ended_ends_all_and_the_socket(rig):
    streams = [await rig.subscribe(id="one"), await rig.subscribe(id="two")]
    for stream in streams:
        stream.when_rechecked = lambda subscription: subscription.end(End.REVOKED)

    rig.live.recheck()
    heard = await rig.heard()

    assert [one["id"] for one in heard[:-1]] == ["one", "two"]
    assert {(one["type"], one["code"]) for one in heard[:-1]} == {("ended", 404)}
    assert heard[-1] == 1008
    assert len(rig.live) == 0


async def test_a_right_that_cannot_be_told_ends_one_subscription_only(rig):
    stream = await rig.subscribe(id="one")
    await rig.subscribe(id="two")
    stream.when_rechecked = lambda subscription: subscription.end(End.INTERRUPTED)

    rig.live.recheck()
    [ended] = await rig.heard()

    assert (ended["type"], ended["id"], ended["code"]) == ("ended", "one", 503)
    assert rig.connection.is_open


async def test_the_holders_end_is_noticed_when_it_subscribes(rig):
    rig.holders.error = InvalidSessionError()

    [refused, code] = await rig.ask("subscribe", id="s")

    assert (refused["code"], code) == (401, 1008)


async def test_a_stopping_platform_closes_with_1001(rig):
    await rig.subscribe()

    rig.live.stop()

    assert await rig.heard() == [1001]


async def test_a_fault_of_ours_ends_the_socket_with_1011(rig, caplog):
    rig.holders.error = RuntimeError("broken")

    rig.say("subscribe", id="s")

    assert await rig.heard() == [1011]
    assert "Unhandled error in a live WebSocket" in caplog.text


async def test_other_limits_can_be_given():
    rig = LiveRig(limits=LiveSocketLimits(authenticate_seconds=1, subscriptions=1))
    began = asyncio.get_running_loop().time()

    await rig.authenticated()
    await rig.subscribe()
    [refused] = await rig.ask("subscribe", id="two")

    assert rig.connection.deadline <= began + 32
    assert refused["code"] == 429
