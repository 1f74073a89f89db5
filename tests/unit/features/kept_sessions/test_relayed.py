import asyncio

import pytest

from doubles.kept_rig import ALERTS, COMMANDS, relayed
from thingstead.features.kept_sessions import relayed as relayed_module
from thingstead.features.kept_sessions.model import WaitingMessage
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError


async def test_nobody_is_away_for_a_thing_that_nobody_left(rig):
    await rig.asleep(COMMANDS)

    assert rig.service.away_for("two") == []


async def test_who_is_away_is_known_by_thing_with_each_subscription(rig):
    one = await rig.connected(client_id="1")
    await rig.service.leave(
        one.id, (), by_thing={"one": [COMMANDS, ALERTS], "two": [COMMANDS], "three": []}
    )
    two = await rig.asleep(COMMANDS, client_id="2")

    assert rig.service.away_for("one") == [
        (one.id, COMMANDS),
        (one.id, ALERTS),
        (two.id, COMMANDS),
    ]
    assert rig.service.away_for("two") == [(one.id, COMMANDS)]
    assert rig.service.away_for("three") == []
    await rig.service.end(one.id)
    assert rig.service.away_for("one") == [(two.id, COMMANDS)]
    assert rig.service.away_for("two") == []


async def test_messages_wait_in_order_until_they_are_delivered(rig):
    session = await rig.asleep(COMMANDS)
    await rig.service.keep(relayed(session, b"1", b"2"))
    await rig.service.keep(relayed(session, b"3"))

    first, second = await rig.service.waiting(session.id, limit=2)
    (third,) = await rig.service.waiting(session.id, second.number)
    await rig.service.delivered(session.id, second.number)

    assert [one.payload for one in (first, second, third)] == [b"1", b"2", b"3"]
    assert await rig.payloads(session) == [b"3"]


async def test_keeping_nothing_costs_nothing(rig):
    await rig.service.keep([])

    assert rig.faults.writes == 0


@pytest.mark.parametrize(("count", "kept"), [(5, 5), (6, 5)])
async def test_no_more_messages_wait_than_may(rig, count, kept):
    session = await rig.asleep(COMMANDS)

    await rig.service.keep(relayed(session, *(b"%d" % number for number in range(count))))

    assert await rig.payloads(session) == [b"%d" % number for number in range(count)][-kept:]


async def test_who_is_back_is_away_until_nothing_waits(rig):
    session = await rig.asleep(COMMANDS)
    await rig.service.keep(relayed(session, b"1"))
    await rig.open()

    assert await rig.payloads(session) == [b"1"]
    assert rig.service.away_for("one") == [(session.id, COMMANDS)]
    await rig.service.keep(relayed(session, b"2"))
    last = (await rig.service.waiting(session.id))[-1]
    assert await rig.service.waiting(session.id, last.number) == []
    assert rig.service.away_for("one") == []


async def test_what_is_being_stored_is_waited_for(rig):
    session = await rig.asleep(COMMANDS)
    rig.faults.gate = asyncio.Event()
    rig.faults.entered.clear()
    keeping = [
        asyncio.create_task(rig.service.keep(relayed(session, text))) for text in (b"1", b"2")
    ]
    await rig.faults.entered.wait()

    waiting = asyncio.create_task(rig.payloads(session))
    await asyncio.sleep(0)
    rig.faults.gate.set()

    assert await waiting == [b"1", b"2"]
    await asyncio.gather(*keeping)


async def test_what_comes_during_a_look_is_found_by_another_look(rig):
    session = await rig.asleep(COMMANDS)
    rig.messages.reading = asyncio.Event()
    waiting = asyncio.create_task(rig.payloads(session))
    await rig.messages.is_read.wait()
    await rig.service.keep(relayed(session, b"1"))

    rig.messages.reading.set()

    assert await waiting == [b"1"]
    assert rig.service.away_for("one") == [(session.id, COMMANDS)]


async def test_two_looks_at_once_do_not_disturb_each_other(rig):
    session = await rig.asleep(COMMANDS)
    rig.messages.reading = asyncio.Event()
    looks = [asyncio.create_task(rig.payloads(session)) for _ in "12"]
    await rig.messages.is_read.wait()
    await asyncio.sleep(0)

    rig.messages.reading.set()

    assert await asyncio.gather(*looks) == [[], []]


async def test_what_the_client_did_not_get_comes_before_what_is_relayed_then(rig):
    session = await rig.connected(COMMANDS)
    rig.faults.gate = asyncio.Event()
    rig.faults.entered.clear()
    left = [WaitingMessage("cmd", b"1"), WaitingMessage("cmd", b"2")]
    leaving = asyncio.create_task(rig.leave(session, COMMANDS, left=lambda: left))
    await rig.faults.entered.wait()
    assert rig.service.away_for("one") == [(session.id, COMMANDS)]
    keeping = asyncio.create_task(rig.service.keep(relayed(session, b"3")))
    await asyncio.sleep(0)
    rig.faults.gate.set()
    await asyncio.gather(leaving, keeping)

    assert await rig.payloads(session) == [b"1", b"2", b"3"]


async def test_of_a_session_that_ends_nothing_is_left(rig):
    session = await rig.connected(COMMANDS)

    await rig.leave(session, COMMANDS, left=lambda: 1 / 0, expires_after_s=0)

    assert rig.kept.messages == {}


async def keep_at_once(rig, session, *payloads):
    """Keep each by a call of its own while the store is busy with the first."""
    rig.faults.gate = asyncio.Event()
    rig.faults.entered.clear()
    rig.faults.writes = 0
    first = asyncio.create_task(rig.service.keep(relayed(session, payloads[0])))
    await rig.faults.entered.wait()
    others = [asyncio.create_task(rig.service.keep(relayed(session, one))) for one in payloads[1:]]
    await asyncio.sleep(0)
    return [first, *others]


async def test_what_comes_while_the_store_is_busy_is_one_write(rig):
    session = await rig.asleep(COMMANDS)
    tasks = await keep_at_once(rig, session, b"1", b"2", b"3", b"4")

    rig.faults.gate.set()
    await asyncio.gather(*tasks)

    assert rig.faults.writes == 2
    assert await rig.payloads(session) == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    ("failing", "failed", "kept"),
    [(1, [True, False, False], [b"2", b"3"]), (2, [False, True, True], [b"1"])],
)
async def test_a_failure_is_told_to_everybody_whom_it_concerns_and_to_nobody_else(
    rig, failing, failed, kept
):
    session = await rig.asleep(COMMANDS)
    tasks = await keep_at_once(rig, session, b"1", b"2", b"3")
    rig.faults.fails_at = {failing}

    rig.faults.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(one, StoreUnavailableError) for one in outcomes] == failed
    assert await rig.payloads(session) == kept


async def test_one_who_is_cancelled_leaves_the_storing_to_the_others(rig):
    session = await rig.asleep(COMMANDS)
    tasks = await keep_at_once(rig, session, b"1", b"2", b"3")
    rig.faults.entered.clear()
    tasks[0].cancel()
    await rig.faults.entered.wait()
    tasks[1].cancel()
    rig.faults.gate.set()

    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(one) for one in outcomes] == [asyncio.CancelledError] * 2 + [type(None)]
    assert await rig.payloads(session) == [b"2", b"3"]


async def test_as_much_waits_to_be_stored_as_may(rig, monkeypatch):
    one = relayed_module.OVERHEAD_BYTES + len("cmd") + 1
    monkeypatch.setattr(relayed_module, "MOST_WAITING_BYTES", 2 * one)
    rig.service = rig.started_again()
    session = await rig.asleep(COMMANDS)
    tasks = await keep_at_once(rig, session, b"1", b"2")

    with pytest.raises(OverloadedError):
        await rig.service.keep(relayed(session, b""))
    rig.faults.gate.set()
    await asyncio.gather(*tasks)
    await rig.service.keep(relayed(session, b"3"))

    assert await rig.payloads(session) == [b"1", b"2", b"3"]


async def test_a_write_takes_no_more_than_a_batch_may_hold(rig, monkeypatch):
    monkeypatch.setattr("thingstead.features.kept_sessions.batches.LARGEST_BATCH", 2)
    session = await rig.asleep(COMMANDS)
    tasks = await keep_at_once(rig, session, b"1", b"2", b"3", b"4")

    rig.faults.gate.set()
    await asyncio.gather(*tasks)

    assert rig.faults.writes == 3
    assert await rig.payloads(session) == [b"1", b"2", b"3", b"4"]


async def test_who_left_during_a_last_look_is_away(rig):
    session = await rig.asleep(COMMANDS)
    await rig.open()
    rig.messages.reading = asyncio.Event()
    looking = asyncio.create_task(rig.service.waiting(session.id))
    await rig.messages.is_read.wait()

    await rig.leave(session, COMMANDS)
    rig.messages.reading.set()

    assert await looking == []
    assert rig.service.away_for("one") == [(session.id, COMMANDS)]


async def test_who_could_not_take_up_its_subscriptions_stays_away_as_before(rig):
    session = await rig.asleep(COMMANDS, ALERTS)
    await rig.open()

    await rig.service.leave(session.id, (), by_thing=None)

    assert rig.service.away_for("one") == [(session.id, COMMANDS), (session.id, ALERTS)]
