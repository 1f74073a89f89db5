"""What every store of messages that wait in kept sessions promises."""

import pytest

from doubles.sealing import PlainSeal
from thingstead.features.kept_sessions.model import (
    Holder,
    HolderKind,
    KeptSession,
    KeptSessionLimits,
    WaitingMessage,
)

ROOMY = KeptSessionLimits()
ONE = Holder(HolderKind.THING, "one")


@pytest.fixture
def seal():
    return PlainSeal()


@pytest.fixture
async def sessions(core, make, seal):
    """A store with the thing `one` and its sessions `a` and `b`, which expire at 1,000."""
    await make.thing("one")
    sessions = core.kept_sessions(seal, ROOMY)
    for name in "ab":
        await sessions.put(KeptSession(name, ONE, f"client {name}", 60, expires_at_ms=1_000))
    return sessions


@pytest.fixture
def store(core, seal, sessions):
    return core.waiting_messages(seal, ROOMY)


def message(payload, topic="cmd"):
    return WaitingMessage(topic, payload)


async def payloads(store, session_id, after=0):
    waiting = await store.messages(session_id, after=after, limit=10_000)
    return [message.payload for message in waiting]


async def test_nothing_waits_at_first(store):
    assert await store.messages("a", after=0, limit=10) == []


async def test_messages_wait_in_their_order(store):
    dropped = await store.add_messages(
        [("a", message(b"1", "x")), ("b", message(b"2")), ("a", message(b"\x00\xff", "y"))], at_ms=5
    )
    await store.add_messages([("a", message(b"", "x"))], at_ms=6)

    waiting = await store.messages("a", after=0, limit=10)
    assert dropped == 0
    assert [(one.topic, one.payload) for one in waiting] == [
        ("x", b"1"),
        ("y", b"\x00\xff"),
        ("x", b""),
    ]
    numbers = [one.number for one in waiting]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0
    assert await payloads(store, "b") == [b"2"]


async def test_messages_are_given_behind_a_number_and_no_more_than_asked_for(store):
    await store.add_messages([("a", message(b"%d" % number)) for number in range(4)], at_ms=5)
    first = await store.messages("a", after=0, limit=2)

    rest = await store.messages("a", after=first[-1].number, limit=1)

    assert [one.payload for one in first + rest] == [b"0", b"1", b"2"]


async def test_delivered_messages_are_forgotten(store):
    await store.add_messages(
        [(name, message(b"%d" % n)) for n in range(3) for name in "ab"], at_ms=5
    )
    second = (await store.messages("a", after=0, limit=2))[-1]

    for _ in range(2):
        await store.drop_messages("a", up_to=second.number)

    assert await payloads(store, "a") == [b"2"]
    assert await payloads(store, "b") == [b"0", b"1", b"2"]


async def test_a_number_does_not_come_back(store):
    await store.add_messages([("a", message(b"1"))], at_ms=5)
    (first,) = await store.messages("a", after=0, limit=1)
    await store.drop_messages("a", up_to=first.number)

    await store.add_messages([("a", message(b"2"))], at_ms=5)

    assert await payloads(store, "a", after=first.number) == [b"2"]


async def test_as_many_messages_wait_as_may(core, seal, sessions):
    store = core.waiting_messages(seal, KeptSessionLimits(messages=3))

    dropped = await store.add_messages(
        [("a", message(b"%d" % number)) for number in range(3)], at_ms=5
    )

    assert dropped == 0
    assert await payloads(store, "a") == [b"0", b"1", b"2"]


async def test_of_too_many_messages_the_oldest_of_that_session_are_dropped(core, seal, sessions):
    store = core.waiting_messages(seal, KeptSessionLimits(messages=3))
    await store.add_messages([("b", message(b"b")), *many("a", 0, 3)], at_ms=5)

    dropped = await store.add_messages(many("a", 3, 5), at_ms=5)

    assert dropped == 2
    assert await payloads(store, "a") == [b"2", b"3", b"4"]
    assert await payloads(store, "b") == [b"b"]


def many(session_id, first, end):
    return [(session_id, message(b"%d" % number)) for number in range(first, end)]


async def test_what_was_delivered_makes_room(core, seal, sessions):
    store = core.waiting_messages(seal, KeptSessionLimits(messages=2, message_bytes=8))
    await store.add_messages(many("a", 0, 2), at_ms=5)
    (first,) = await store.messages("a", after=0, limit=1)
    await store.drop_messages("a", up_to=first.number)

    assert await store.add_messages(many("a", 2, 3), at_ms=5) == 0
    assert await payloads(store, "a") == [b"1", b"2"]


async def test_as_many_bytes_of_topics_and_payloads_wait_as_may(core, seal, sessions):
    store = core.waiting_messages(seal, KeptSessionLimits(message_bytes=20))

    # Twice 3 bytes of a topic and 7 of a payload.
    dropped = await store.add_messages(
        [("a", message(b"x" * 7)), ("a", message(b"y" * 7))], at_ms=5
    )

    assert dropped == 0
    assert await payloads(store, "a") == [b"x" * 7, b"y" * 7]


async def test_of_too_many_bytes_the_oldest_are_dropped(core, seal, sessions):
    store = core.waiting_messages(seal, KeptSessionLimits(message_bytes=20))
    await store.add_messages([("a", message(b"x" * 7)), ("a", message(b"y" * 6, "ü1"))], at_ms=5)

    dropped = [await store.add_messages([("a", message(b"", "u"))], at_ms=5) for _ in "12"]

    # The topic `ü1` has 3 bytes, so that there is room for one more.
    assert dropped == [0, 1]
    assert await payloads(store, "a") == [b"y" * 6, b"", b""]


async def test_a_message_that_is_too_large_by_itself_is_dropped_with_all_before(
    core, seal, sessions
):
    store = core.waiting_messages(seal, KeptSessionLimits(message_bytes=20))
    await store.add_messages([("a", message(b"1"))], at_ms=5)

    dropped = await store.add_messages([("a", message(b"x" * 18))], at_ms=5)

    assert dropped == 2
    assert await payloads(store, "a") == []


async def test_a_lowered_limit_holds_from_the_next_message_on(core, seal, sessions, store):
    await store.add_messages(many("a", 0, 500), at_ms=5)
    smaller = core.waiting_messages(seal, KeptSessionLimits(messages=2))

    dropped = await smaller.add_messages(many("a", 500, 501), at_ms=5)

    assert dropped == 499
    assert await payloads(smaller, "a") == [b"499", b"500"]


@pytest.mark.parametrize(("at_ms", "expected"), [(999, [b"1"]), (1_000, [])])
async def test_for_an_expired_session_nothing_is_kept(store, at_ms, expected):
    assert await store.add_messages([("a", message(b"1"))], at_ms=at_ms) == 0

    assert await payloads(store, "a") == expected


async def test_for_a_session_that_is_gone_nothing_is_kept_but_for_the_others(store, sessions):
    await sessions.delete("a")

    dropped = await store.add_messages(
        [("a", message(b"1")), ("unknown", message(b"2")), ("b", message(b"3"))], at_ms=5
    )

    assert dropped == 0
    assert await payloads(store, "a") == await payloads(store, "unknown") == []
    assert await payloads(store, "b") == [b"3"]


async def test_what_waits_goes_with_its_session(store, sessions, core):
    await store.add_messages([("a", message(b"1")), ("b", message(b"2"))], at_ms=5)

    await sessions.delete("a")
    assert await payloads(store, "a") == []

    await core.things.delete_thing("one", at_ms=6)
    assert await payloads(store, "b") == []


async def test_what_waits_stays_when_its_session_is_put_again(store, sessions):
    await store.add_messages([("a", message(b"1"))], at_ms=5)

    await sessions.put(KeptSession("a", ONE, "client a", 60))

    assert await payloads(store, "a") == [b"1"]


async def test_dropping_what_waits_in_an_unknown_session_changes_nothing(store):
    await store.add_messages([("a", message(b"1"))], at_ms=5)

    await store.drop_messages("unknown", up_to=10**6)

    assert await payloads(store, "a") == [b"1"]


async def test_messages_are_there_in_order_after_a_restart(store, core, open_again, seal):
    await store.add_messages(many("a", 0, 3), at_ms=5)
    await core.close()

    again = (await open_again()).waiting_messages(seal, ROOMY)

    assert await payloads(again, "a") == [b"0", b"1", b"2"]
