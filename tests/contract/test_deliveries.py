"""What every store promises about packets that carry writes: none is stored twice."""

import asyncio
from dataclasses import replace

import pytest

from contract.value_stores import ENGINES, THING, timed, value, value_stores, write
from thingstead.features.values.errors import TooManyKeysError
from thingstead.features.values.model import Delivery, Source, Window
from thingstead.kernel.errors import OverloadedError

KEPT = 64


@pytest.fixture(params=ENGINES)
async def open_store(request, tmp_path):
    async with value_stores(request.param, tmp_path) as opener:
        yield opener


@pytest.fixture
async def store(open_store):
    return await open_store()


def sent(number, packet_id, qos, *, key="t", session="s", digest=None, is_again=False):
    """A write of the number in a packet, whose digest is the number's unless given."""
    digest = str(number).encode() if digest is None else digest
    delivery = Delivery(session, packet_id, qos, digest, is_again)
    return replace(write(value(key, number)), delivery=delivery)


async def stored(store, key="t"):
    reading = await store.newest(THING, (0,), key, Window(10_000))
    return [row[0] for row in reversed(reading.rows)]


@pytest.mark.parametrize("is_again", [False, True])
async def test_a_packet_of_qos_2_is_stored_once_until_it_is_released(store, is_again):
    first = await store.append(sent(1, 7, 2))
    again = await store.append(sent(2, 7, 2, is_again=is_again))
    await store.deliveries.release("s", 7)
    after = await store.append(sent(3, 7, 2, is_again=is_again))

    assert [one.is_repeat for one in (first, again, after)] == [False, True, False]
    assert again.sequence == first.sequence
    assert await stored(store) == [1, 3]


async def test_a_packet_of_qos_1_is_a_repeat_only_when_its_sender_says_so(store):
    first = await store.append(sent(1, 7, 1))
    new = await store.append(sent(1, 7, 1))
    again = await store.append(sent(1, 7, 1, is_again=True))

    assert [one.is_repeat for one in (first, new, again)] == [False, False, True]
    assert await stored(store) == [1, 1]


async def test_a_packet_of_qos_1_with_other_content_is_another_one(store):
    await store.append(sent(1, 7, 1))
    other = await store.append(sent(2, 7, 1, is_again=True))
    again = await store.append(sent(2, 7, 1, is_again=True))
    first = await store.append(sent(1, 7, 1, is_again=True))

    assert [one.is_repeat for one in (other, again, first)] == [False, True, False]


async def test_a_packet_that_was_lost_on_its_first_way_is_stored(store):
    appended = await store.append(sent(1, 7, 1, is_again=True))

    assert not appended.is_repeat
    assert await stored(store) == [1]


async def test_the_same_packet_twice_in_one_commit_is_stored_once(store):
    outcomes = await asyncio.gather(
        store.append(sent(1, 7, 2)),
        store.append(sent(1, 7, 2)),
        store.append(sent(2, 8, 1)),
        store.append(sent(2, 8, 1, is_again=True)),
    )

    assert [one.is_repeat for one in outcomes] == [False, True, False, True]
    assert await stored(store) == [1, 2]


async def test_packets_of_the_two_qualities_do_not_know_each_other(store):
    await store.append(sent(1, 7, 1))
    other = await store.append(sent(1, 7, 2))
    again = await store.append(sent(1, 7, 1, is_again=True))

    assert [one.is_repeat for one in (other, again)] == [False, True]
    assert await store.deliveries.open_ids("s") == [7]


async def test_sessions_do_not_know_each_other(store):
    await store.append(sent(1, 7, 2))
    other = await store.append(sent(2, 7, 2, session="other"))
    await store.deliveries.forget("other")
    again = await store.append(sent(3, 7, 2))

    assert (other.is_repeat, again.is_repeat) == (False, True)
    assert await store.deliveries.open_ids("other") == []


async def test_nothing_stays_of_a_packet_whose_write_was_refused(open_store):
    store = await open_store(keys_per_thing=1)
    await store.append(write(value("t", 0)))
    for qos in (1, 2):
        with pytest.raises(TooManyKeysError):
            await store.append(sent(1, 7, qos, key="u"))

        appended = await store.append(sent(1, 7, qos, is_again=True))
        assert not appended.is_repeat

    assert await stored(store) == [0, 1, 1]


async def test_open_ids_are_those_that_were_not_released(store):
    for packet_id in (9, 3, 300):
        await store.append(sent(1, packet_id, 2))
    await store.append(sent(1, 5, 1))
    await store.deliveries.release("s", 9)
    await store.deliveries.release("s", 9)
    await store.deliveries.release("s", 5)

    assert await store.deliveries.open_ids("s") == [3, 300]
    assert (await store.append(sent(1, 5, 1, is_again=True))).is_repeat


@pytest.mark.parametrize("reopens", [False, True])
async def test_packets_outlast_a_restart_until_they_are_released(open_store, reopens):
    store = await open_store()
    await store.append(sent(1, 7, 2))
    await store.append(sent(2, 8, 1))
    if reopens:
        await store.close()
        store = await open_store()

    of_qos_2 = await store.append(sent(1, 7, 2, is_again=True))
    of_qos_1 = await store.append(sent(2, 8, 1, is_again=True))
    assert (of_qos_2.is_repeat, of_qos_1.is_repeat) == (True, True)

    await store.deliveries.release("s", 7)
    if reopens:
        await store.close()
        store = await open_store()
    assert not (await store.append(sent(3, 7, 2))).is_repeat
    assert await stored(store) == [1, 2, 3]


@pytest.mark.parametrize("reopens", [False, True])
@pytest.mark.parametrize(("later", "is_repeat"), [(KEPT - 1, True), (KEPT, False)])
async def test_the_newest_packets_of_qos_1_are_remembered(open_store, reopens, later, is_repeat):
    store = await open_store()
    # Ids need not ascend: a client begins anew at 1 some time.
    await store.append(sent("first", 60_000, 1))
    for number in range(later // 2):
        await store.append(sent(number, number, 1))
    if reopens:
        await store.close()
        store = await open_store()
    for number in range(later // 2, later):
        await store.append(sent(number, number, 1))

    assert (await store.append(sent("first", 60_000, 1, is_again=True))).is_repeat is is_repeat


async def test_packets_of_qos_2_are_not_pushed_out(store):
    await store.append(sent(0, 1_000, 2))
    for number in range(KEPT + 1):
        await store.append(sent(number, number, 2))
        await store.append(sent(number, number, 1))

    assert len(await store.deliveries.open_ids("s")) == KEPT + 2


async def test_a_session_that_is_forgotten_begins_anew(store):
    await store.append(sent(1, 7, 2))
    await store.append(sent(2, 8, 1))

    await store.deliveries.forget("s")
    await store.deliveries.forget("s")

    assert await store.deliveries.open_ids("s") == []
    assert not (await store.append(sent(1, 7, 2))).is_repeat
    assert not (await store.append(sent(2, 8, 1, is_again=True))).is_repeat


async def test_a_repeat_is_not_told_again(store):
    await store.append(sent(1, 7, 2))
    await store.append(sent(1, 7, 2))

    page = await store.replay.missed([Source(THING, (0,))], key=None, after=0)

    assert len(page.events) == 1


async def test_a_packet_with_a_repeated_value_is_remembered_too(store):
    await store.append(write(timed("t", 1, 5)))
    delivery = Delivery("s", 7, 2, b"", is_again=False)
    await store.append(replace(write(timed("t", 1, 5)), delivery=delivery))

    assert await store.deliveries.open_ids("s") == [7]


async def test_a_release_is_refused_when_too_much_waits(tmp_path):
    async with value_stores("sqlite", tmp_path) as opener:
        store = await opener(waiting_values=1)
        waiting = store.append(write(value("t", 1)))

        with pytest.raises(OverloadedError):
            store.deliveries.release("s", 1)

        await waiting
        await store.deliveries.release("s", 1)
