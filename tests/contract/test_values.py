"""What every `ValueStore` promises about values, whatever keeps them."""

import asyncio

import pytest

from contract.value_stores import ENGINES, OTHER_THING, THING, timed, value, value_stores, write
from doubles.values import decoded
from thingstead.features.values.errors import TooManyKeysError
from thingstead.features.values.model import Position, Window
from thingstead.kernel.errors import OverloadedError

ALL = Window(limit=10_000)
HERE = Position(41.5, 2.25)


@pytest.fixture(params=ENGINES)
async def open_store(request, tmp_path):
    """Open the same data as often as asked."""
    async with value_stores(request.param, tmp_path) as opener:
        yield opener


@pytest.fixture
async def store(open_store):
    """One store, empty."""
    return await open_store()


async def values_of(store, key="t", window=ALL, thing=THING):
    reading = await store.newest(thing, (0,), key, window)
    return [decoded(row[0]) for row in reading.rows]


async def test_a_value_can_be_read_as_soon_as_its_future_resolved(store):
    await store.append(write(value("t", 21.5, 1_000, HERE)))

    reading = await store.newest(THING, (0,), "t", Window())

    assert reading.key == "t"
    assert reading.rows == [(21.5, 1_000, 41.5, 2.25)]


async def test_a_value_without_a_position_is_read_without_one(store):
    await store.append(write(value("t", 1, 1_000)))

    assert (await store.newest(THING, (0,), "t", ALL)).rows == [(1, 1_000, None, None)]


@pytest.mark.parametrize(
    "sent",
    [
        None,
        True,
        False,
        0,
        1,
        2**63 - 1,
        -(2**63),
        0.0,
        1.0,
        -2.5,
        1e300,
        5e-324,
        "",
        "1",
        "1.0",
        "true",
        "null",
        '{"a":1}',
        "\u00fcber \U0001f600 \u2028 \x7f",
        [],
        {},
        [1, 1.0, "1", True, None, {"a": [2.0]}],
        {"a": {"b": [None, False, 2**63 - 1]}, "": ""},
    ],
    ids=repr,
)
async def test_a_value_is_read_back_with_its_json_type(store, sent):
    await store.append(write(value("t", sent)))

    (read,) = await values_of(store)

    assert repr(read) == repr(sent)


async def test_a_key_that_was_never_written_gives_none(store):
    await store.append(write(value("t")))

    assert await store.newest(THING, (0,), "other", ALL) is None
    assert await store.newest(OTHER_THING, (0,), "t", ALL) is None


async def test_a_key_that_was_looked_for_too_early_is_found_once_it_is_written(store):
    await store.newest(THING, (0,), "t", ALL)

    await store.append(write(value("t", 7)))

    assert await values_of(store) == [7]


async def test_every_read_sees_the_writes_before_it(store):
    for number in range(5):
        await store.append(write(value("t", number), value("u", number)))

        for limit in (1, 2, 100):
            assert (await values_of(store, window=Window(limit)))[0] == number
            assert (await values_of(store, window=Window(limit)))[0] == number


async def test_a_reading_stays_as_it_is_when_more_is_written(store):
    await store.append(write(value("t", 1)))
    reading = await store.newest(THING, (0,), "t", ALL)

    await store.append(write(value("t", 2)))

    assert [row[0] for row in reading.rows] == [1]


async def test_a_read_that_was_asked_for_before_a_write_does_not_hide_it_later(store):
    await store.append(write(value("t", 1)))
    early = store.newest(THING, (0,), "t", ALL)
    appended = store.append(write(value("t", 2)))

    await asyncio.gather(early, appended)

    assert await values_of(store) == [2, 1]


async def test_values_come_newest_first_however_they_were_sent(store):
    await store.append(write(timed("t", "b", 2_000), timed("t", "c", 3_000), timed("t", "a", 1)))
    await store.append(write(timed("t", "e", 5_000), timed("t", "d", 4_000)))

    assert await values_of(store) == ["e", "d", "c", "b", "a"]


async def test_of_equal_times_the_last_written_comes_first(store):
    await store.append(write(value("t", "first"), value("t", "second")))
    await store.append(write(timed("t", "third"), timed("t", "fourth")))

    assert await values_of(store) == ["fourth", "third", "second", "first"]


@pytest.mark.parametrize(("limit", "expected"), [(1, [3]), (2, [3, 2]), (3, [3, 2, 1])])
async def test_the_newest_are_given_up_to_the_limit(store, limit, expected):
    await store.append(write(value("t", 1, 1), value("t", 2, 2), value("t", 3, 3)))

    assert await values_of(store, window=Window(limit)) == expected


@pytest.mark.parametrize(
    ("from_ms", "until_ms", "expected"),
    [
        (None, None, [3_000, 2_000, 1_000]),
        (2_000, None, [3_000, 2_000]),
        (2_001, None, [3_000]),
        (1_999, None, [3_000, 2_000]),
        (None, 2_000, [1_000]),
        (None, 2_001, [2_000, 1_000]),
        (None, 1_999, [1_000]),
        (2_000, 2_001, [2_000]),
        (2_000, 2_000, []),
        (3_000, 1_000, []),
        (3_001, None, []),
        (None, 1_000, []),
        (-(10**15), 10**15, [3_000, 2_000, 1_000]),
    ],
)
async def test_a_window_holds_its_start_and_not_its_end(store, from_ms, until_ms, expected):
    await store.append(write(*(value("t", at_ms, at_ms) for at_ms in (1_000, 2_000, 3_000))))

    assert await values_of(store, window=Window(100, from_ms, until_ms)) == expected


async def test_an_empty_window_is_no_unknown_key(store):
    await store.append(write(value("t", 1, 1_000)))

    assert (await store.newest(THING, (0,), "t", Window(1, 5_000))).rows == []


async def test_times_before_1970_are_kept(store):
    await store.append(write(timed("t", "old", -1), timed("t", "older", -62_135_596_800_000)))

    assert await values_of(store) == ["old", "older"]


async def test_things_do_not_see_each_other_s_values(store):
    await store.append(write(value("t", "mine")))
    await store.append(write(value("t", "theirs"), thing=OTHER_THING))

    assert await values_of(store) == ["mine"]
    assert await values_of(store, thing=OTHER_THING) == ["theirs"]


async def test_keys_come_in_alphabetical_order_and_once_each(store):
    await store.append(write(value("b"), value("a.1"), value("C"), value("b")))
    await store.append(write(value("a"), value("z"), thing=OTHER_THING))

    assert await store.keys(THING, (0,)) == ["C", "a.1", "b"]


async def test_a_thing_that_never_wrote_has_no_keys(store):
    assert await store.keys(THING, (0,)) == []


async def test_keys_differ_by_case(store):
    await store.append(write(value("Key", 1), value("key", 2)))

    assert await values_of(store, "Key") == [1]
    assert await values_of(store, "key") == [2]


# Exact repeats.


async def test_the_same_value_of_the_same_time_is_stored_once_across_requests(store):
    await store.append(write(timed("t", 1, 1_000, HERE)))

    appended = await store.append(write(timed("t", 1, 1_000, HERE)))

    assert appended.repeats == {0}
    assert await values_of(store) == [1]


async def test_the_same_value_of_the_same_time_is_stored_once_in_one_request(store):
    appended = await store.append(write(timed("t", 1), timed("t", 2), timed("t", 1)))

    assert appended.repeats == {2}
    assert await values_of(store) == [2, 1]


async def test_requests_that_wait_together_find_each_other_s_repeats(store):
    first = store.append(write(timed("t", 1)))
    second = store.append(write(timed("t", 1)))

    assert (await first).repeats == frozenset()
    assert (await second).repeats == {0}
    assert await values_of(store) == [1]


async def test_a_value_is_a_repeat_of_one_that_had_the_server_s_time(store):
    await store.append(write(value("t", 1, 1_000)))

    assert (await store.append(write(timed("t", 1, 1_000)))).repeats == {0}


async def test_a_value_is_a_repeat_of_one_with_the_server_s_time_in_the_same_batch(store):
    first = store.append(write(value("t", 1, 1_000)))
    second = store.append(write(timed("t", 1, 1_000)))

    assert (await first).repeats == frozenset()
    assert (await second).repeats == {0}


async def test_values_with_the_server_s_time_are_never_taken_for_repeats(store):
    await store.append(write(value("t", 1), value("t", 1)))
    appended = await store.append(write(value("t", 1), timed("u", 1)))

    assert appended.repeats == frozenset()
    assert await values_of(store) == [1, 1, 1]


@pytest.mark.parametrize(
    "sent", [None, True, 1, 1.5, "1", "", [], {}, [1, 2], {"a": {"b": 1.5}}], ids=repr
)
async def test_repeats_are_found_for_every_type(store, sent):
    await store.append(write(timed("t", sent)))

    assert (await store.append(write(timed("t", sent)))).repeats == {0}


async def test_values_that_differ_in_type_only_are_all_kept(store):
    alike = [1, 1.0, "1", True, [1], [1.0], ["1"], [True], "true", None, "null", 0, 0.0, False, ""]

    appended = await store.append(write(*(timed("t", one) for one in alike)))

    assert appended.repeats == frozenset()
    assert [repr(one) for one in await values_of(store)] == [repr(one) for one in alike[::-1]]


@pytest.mark.parametrize(
    "other",
    [
        timed("t", 2, 1_000, HERE),
        timed("t", 1, 1_001, HERE),
        timed("t", 1, 999, HERE),
        timed("u", 1, 1_000, HERE),
        timed("t", 1, 1_000, None),
        timed("t", 1, 1_000, Position(41.5, 2.26)),
        timed("t", 1, 1_000, Position(41.6, 2.25)),
    ],
    ids=repr,
)
async def test_a_value_that_differs_in_one_respect_is_no_repeat(store, other):
    await store.append(write(timed("t", 1, 1_000, HERE)))

    assert (await store.append(write(other))).repeats == frozenset()


async def test_a_position_in_whole_degrees_is_repeated_by_the_same(store):
    await store.append(write(timed("t", 1, 1_000, Position(41, 2))))

    appended = await store.append(write(timed("t", 1, 1_000, Position(41.0, 2.0))))

    assert appended.repeats == {0}


async def test_another_thing_s_value_is_no_repeat(store):
    await store.append(write(timed("t", 1)))

    assert (await store.append(write(timed("t", 1), thing=OTHER_THING))).repeats == frozenset()


# Order, sequence and the listener.


async def test_sequences_grow_by_one_for_each_value_that_is_stored(store):
    first = await store.append(write(value("t"), value("t"), value("t")))
    second = await store.append(write(timed("t", 5), timed("t", 5), timed("t", 6)))
    third = await store.append(write(value("t"), thing=OTHER_THING))

    assert second.sequence == first.sequence + 2
    assert third.sequence == second.sequence + 1


async def test_sequences_grow_on_after_a_reopening(open_store):
    store = await open_store()
    before = await store.append(write(value("t", "before")))
    await store.close()

    store = await open_store()
    after = await store.append(write(value("t", "after")))

    assert after.sequence > before.sequence
    assert await values_of(store) == ["after", "before"]


async def test_repeats_are_found_after_a_reopening(open_store):
    store = await open_store()
    await store.append(write(timed("t", 1.5)))
    await store.close()

    store = await open_store()

    assert (await store.append(write(timed("t", 1.5)))).repeats == {0}


async def test_closing_stores_what_was_queued(open_store):
    store = await open_store()
    future = store.append(write(value("t", "last")))

    await store.close()

    await future
    assert await values_of(await open_store()) == ["last"]


async def test_the_listener_hears_of_each_write_once_in_the_order_of_the_calls(store):
    heard = []
    store.on_commit(heard.extend)
    writes = [write(value("t", number)) for number in range(50)]

    appended = await asyncio.gather(*[store.append(one) for one in writes])

    assert [one for one, _ in heard] == writes
    assert [result for _, result in heard] == appended
    assert [result.sequence for result in appended] == sorted(one.sequence for one in appended)


async def test_the_listener_hears_of_a_write_before_its_future_resolves(store):
    resolved = []
    futures = []
    store.on_commit(lambda committed: resolved.extend(future.done() for future in futures[:1]))
    futures.append(store.append(write(value("t"))))

    await futures[0]

    assert resolved == [False]


async def test_the_listener_can_be_replaced(store):
    old, new = [], []
    store.on_commit(old.extend)
    store.on_commit(new.extend)

    await store.append(write(value("t")))

    assert (len(old), len(new)) == (0, 1)


async def test_the_listener_does_not_hear_of_a_refused_write(open_store):
    store = await open_store(keys_per_thing=1)
    heard = []
    store.on_commit(heard.extend)
    good = store.append(write(value("a")))
    refused = store.append(write(value("b")))

    await asyncio.gather(good, refused, return_exceptions=True)

    assert [one.values[0].key for one, _ in heard] == ["a"]


# Limits and refusals.


async def test_a_thing_may_have_as_many_keys_as_the_limit(open_store):
    store = await open_store(keys_per_thing=3)

    await store.append(write(value("a"), value("b"), value("c"), value("a")))

    assert await store.keys(THING, (0,)) == ["a", "b", "c"]


async def test_a_request_that_passes_the_limit_of_keys_stores_nothing(open_store):
    store = await open_store(keys_per_thing=3)
    await store.append(write(value("a", "old"), value("b")))

    with pytest.raises(TooManyKeysError):
        await store.append(write(value("a", "new"), value("c"), value("d")))

    assert await store.keys(THING, (0,)) == ["a", "b"]
    assert await values_of(store, "a") == ["old"]
    assert await store.newest(THING, (0,), "c", ALL) is None


async def test_a_full_thing_goes_on_writing_its_keys(open_store):
    store = await open_store(keys_per_thing=2)
    await store.append(write(value("a"), value("b")))
    with pytest.raises(TooManyKeysError):
        await store.append(write(value("c")))

    await store.append(write(value("b", "new")))

    assert await values_of(store, "b", Window()) == ["new"]


async def test_every_thing_has_a_limit_of_its_own(open_store):
    store = await open_store(keys_per_thing=1)
    await store.append(write(value("a")))

    await store.append(write(value("b"), thing=OTHER_THING))

    assert await store.keys(OTHER_THING, (0,)) == ["b"]


async def test_a_refused_request_leaves_those_that_wait_with_it_alone(open_store):
    store = await open_store(keys_per_thing=1)
    before = store.append(write(value("a", 1)))
    refused = store.append(write(value("a", 2), value("b")))
    after = store.append(write(value("a", 3)))

    await before
    with pytest.raises(TooManyKeysError):
        await refused
    await after
    assert await values_of(store, "a") == [3, 1]


async def test_as_many_values_may_wait_as_the_limit_and_no_more(open_store):
    store = await open_store(waiting_values=3)
    waiting = [store.append(write(value("t", 1), value("t", 2))), store.append(write(value()))]

    with pytest.raises(OverloadedError) as refused:
        store.append(write(value("t", "too many")))

    assert refused.value.retry_after_s is not None
    await asyncio.gather(*waiting)
    assert len(await values_of(store)) == 3


async def test_there_is_room_again_once_the_waiting_values_are_stored(open_store):
    store = await open_store(waiting_values=1)
    await store.append(write(value("t", 1)))

    await store.append(write(value("t", 2)))

    assert await values_of(store) == [2, 1]


async def test_refused_writes_make_room_too(open_store):
    store = await open_store(waiting_values=2, keys_per_thing=1)
    with pytest.raises(TooManyKeysError):
        await store.append(write(value("a"), value("b")))

    await store.append(write(value("a", 1), value("a", 2)))

    assert await values_of(store, "a") == [2, 1]


async def test_a_cancelled_future_does_not_harm_those_that_wait_with_it(store):
    first = store.append(write(value("t", 1)))
    cancelled = store.append(write(value("t", 2)))
    last = store.append(write(value("t", 3)))

    cancelled.cancel()

    assert (await last).sequence > (await first).sequence
    assert 1 in await values_of(store)
    assert 3 in await values_of(store)


async def test_a_cancelled_read_does_not_harm_those_that_wait_with_it(store):
    await store.append(write(value("t", 1)))
    cancelled = store.newest(THING, (0,), "t", ALL)
    other = store.newest(THING, (0,), "t", ALL)

    cancelled.cancel()

    assert (await other).rows == [(1, 1_000, None, None)]


async def test_a_request_of_a_thousand_values_is_stored_whole(store):
    appended = await store.append(write(*(value("t", number, number) for number in range(1_000))))

    assert await values_of(store) == list(range(999, -1, -1))
    assert appended.sequence >= 1_000
