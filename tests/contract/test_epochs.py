"""What every `ValueStore` promises about epochs: what one owner wrote, the next does not see."""

import pytest

from contract.value_stores import ENGINES, OTHER_THING, THING, timed, value, value_stores, write
from doubles.values import decoded
from thingstead.features.magic.errors import InvalidSettingsError
from thingstead.features.values.errors import TooManyKeysError
from thingstead.features.values.model import DocumentChange, Window, Write

ALL = Window(limit=10_000)


@pytest.fixture(params=ENGINES)
async def open_store(request, tmp_path):
    """Open the same data as often as asked."""
    async with value_stores(request.param, tmp_path) as opener:
        yield opener


@pytest.fixture
async def store(open_store):
    """One store, empty."""
    return await open_store()


async def values_of(store, epochs, key="t", window=ALL):
    reading = await store.newest(THING, epochs, key, window)
    return None if reading is None else [decoded(row[0]) for row in reading.rows]


def settings(what, *path, epochs=(0,), max_bytes=16_384):
    change = DocumentChange("$settings", path, what, max_bytes)
    return Write(THING, (), (change,), epochs=epochs)


# Values.


async def test_a_write_goes_into_the_last_of_its_epochs(store):
    await store.append(write(value("t", "mine"), epochs=(0, 2, 5)))

    assert await values_of(store, (5,)) == ["mine"]
    assert await values_of(store, (0, 2)) is None


async def test_a_new_epoch_shows_nothing_of_the_earlier_one(store):
    await store.append(write(value("t", "theirs"), value("u", "theirs"), epochs=(0,)))

    assert await values_of(store, (1,)) is None
    assert await store.keys(THING, (1,)) == []


async def test_the_earlier_epoch_stays_hidden_once_the_new_one_has_the_key(store):
    await store.append(write(value("t", "theirs"), epochs=(0,)))
    await store.append(write(value("t", "mine"), epochs=(1,)))

    for limit in (1, 10):
        assert await values_of(store, (1,), window=Window(limit)) == ["mine"]
        assert await values_of(store, (0,), window=Window(limit)) == ["theirs"]


async def test_a_reading_that_is_kept_is_not_given_for_other_epochs(store):
    await store.append(write(value("t", "theirs"), epochs=(0,)))
    await store.append(write(value("t", "mine"), epochs=(2,)))
    await values_of(store, (0,))
    await values_of(store, (0, 2))

    assert await values_of(store, (2,)) == ["mine"]
    assert await values_of(store, (1, 2)) == ["mine"]
    assert await values_of(store, (1,)) is None


async def test_a_write_is_seen_at_once_through_every_set_of_epochs_with_it(store):
    await store.append(write(value("t", 1), epochs=(0,)))
    await values_of(store, (0, 1))
    await values_of(store, (1,))

    await store.append(write(value("t", 2, 2_000), epochs=(0, 1)))

    assert await values_of(store, (0, 1)) == [2, 1]
    assert await values_of(store, (1,)) == [2]


async def test_own_epochs_are_merged_by_time(store):
    await store.append(write(timed("t", "a", 1_000), timed("t", "c", 3_000), epochs=(0,)))
    await store.append(write(timed("t", "theirs", 2_500), epochs=(1,)))
    await store.append(write(timed("t", "b", 2_000), timed("t", "d", 4_000), epochs=(0, 2)))

    assert await values_of(store, (0, 2)) == ["d", "c", "b", "a"]


async def test_of_equal_times_in_several_epochs_the_last_written_comes_first(store):
    for number, epoch in enumerate((2, 0, 1, 0)):
        await store.append(write(value("t", number), epochs=(epoch,)))

    assert await values_of(store, (0, 1, 2)) == [3, 2, 1, 0]


@pytest.mark.parametrize(("limit", "expected"), [(1, [4]), (3, [4, 3, 2]), (5, [4, 3, 2, 1, 0])])
async def test_the_limit_holds_for_all_epochs_together(store, limit, expected):
    for number in range(5):
        await store.append(write(timed("t", number, number), epochs=(number % 2,)))

    assert await values_of(store, (0, 1), window=Window(limit)) == expected


async def test_a_window_holds_in_every_epoch(store):
    for number in range(6):
        await store.append(write(timed("t", number, number), epochs=(number % 2,)))

    assert await values_of(store, (0, 1), window=Window(9, 1, 5)) == [4, 3, 2, 1]
    assert await values_of(store, (0, 1), window=Window(9, 100)) == []


@pytest.mark.parametrize("sent", [True, [1], {"a": None}, 1, 1.0, "1", None], ids=repr)
async def test_merged_values_keep_their_json_type_and_position(store, sent):
    await store.append(write(value("t", 0, 1), epochs=(0,)))
    await store.append(write(value("t", sent, 2), epochs=(0, 1)))

    reading = await store.newest(THING, (0, 1), "t", ALL)

    rows = [(decoded(read), *others) for read, *others in reading.rows]
    assert repr(rows) == repr([(sent, 2, None, None), (0, 1, None, None)])
    assert reading.key == "t"


async def test_keys_of_several_epochs_come_once_each_in_alphabetical_order(store):
    await store.append(write(value("b"), value("t"), epochs=(0,)))
    await store.append(write(value("x"), epochs=(1,)))
    await store.append(write(value("a"), value("t"), epochs=(2,)))

    assert await store.keys(THING, (0, 2)) == ["a", "b", "t"]


async def test_an_exact_repeat_is_one_in_all_epochs_that_may_be_seen(store):
    await store.append(write(timed("t", 1), timed("t", [1], 2_000), epochs=(0,)))

    again = await store.append(
        write(timed("t", 1), timed("t", 1.0), timed("t", [1], 2_000), epochs=(0, 1))
    )

    assert again.repeats == {0, 2}
    assert await values_of(store, (0, 1)) == [[1], 1.0, 1]


async def test_a_value_with_the_server_s_time_is_never_a_repeat_of_an_earlier_epoch(store):
    await store.append(write(timed("t", 1), epochs=(0,)))

    again = await store.append(write(value("t", 1), epochs=(0, 1)))

    assert again.repeats == frozenset()


async def test_what_epochs_hold_that_may_not_be_seen_makes_no_repeat(store):
    await store.append(write(timed("t", 1), epochs=(0,)))

    first = await store.append(write(timed("t", 1), epochs=(1,)))
    second = await store.append(write(timed("t", 1), epochs=(1,)))

    assert (first.repeats, second.repeats) == (frozenset(), {0})
    assert await values_of(store, (0, 1)) == [1, 1]


async def test_the_values_of_more_epochs_than_are_merged_at_once_come_in_order(store):
    epochs = tuple(range(250))
    for epoch in epochs:
        await store.append(write(value("t", epoch, epoch * 7 % 250), epochs=(epoch,)))

    newest = await values_of(store, epochs, window=Window(120))

    assert newest == sorted(epochs, key=lambda epoch: epoch * 7 % 250, reverse=True)[:120]


async def test_the_keys_of_an_earlier_epoch_do_not_count_towards_the_limit(open_store):
    store = await open_store(keys_per_thing=2)
    await store.append(write(value("a"), value("b"), epochs=(0,)))

    await store.append(write(value("c"), value("d"), epochs=(0, 1)))

    assert await store.keys(THING, (0, 1)) == ["a", "b", "c", "d"]
    with pytest.raises(TooManyKeysError):
        await store.append(write(value("e"), epochs=(0, 1)))


async def test_requests_for_two_epochs_that_wait_together_go_each_into_its_own(store):
    writes = [write(value("t", number), epochs=(number % 2,)) for number in range(10)]

    for future in [store.append(one) for one in writes]:
        await future

    assert await values_of(store, (0,)) == [8, 6, 4, 2, 0]
    assert await values_of(store, (1,)) == [9, 7, 5, 3, 1]


async def test_epochs_outlast_a_reopening(open_store):
    store = await open_store()
    await store.append(write(value("t", "theirs"), epochs=(0,)))
    await store.append(write(value("t", "mine"), epochs=(1,)))
    await store.close()

    store = await open_store()

    assert await values_of(store, (1,)) == ["mine"]
    assert await values_of(store, (0,)) == ["theirs"]


# Documents.


async def test_a_document_is_not_seen_from_a_later_epoch_alone(store):
    await store.append(settings({"secret": 1}))

    assert await store.document(THING, (1,), "$settings") is None


async def test_a_document_is_that_of_the_newest_epoch_that_has_it(store):
    await store.append(settings({"of": 0}))
    await store.append(settings({"of": 1}, epochs=(0, 1)))

    assert await store.document(THING, (0, 1, 2), "$settings") == {"of": 1}
    assert await store.document(THING, (0, 2), "$settings") == {"of": 0}


async def test_a_document_set_to_null_hides_that_of_an_earlier_epoch(store):
    await store.append(settings({"of": 0}))
    await store.append(settings(None, epochs=(0, 1)))

    assert await store.document(THING, (0, 1), "$settings") is None


async def test_one_member_is_changed_in_a_document_of_an_own_earlier_epoch(store):
    await store.append(settings({"a": {"x": 1}, "b": 2}))

    await store.append(settings(9, "a", "y", epochs=(0, 3)))

    assert await store.document(THING, (0, 3), "$settings") == {"a": {"x": 1, "y": 9}, "b": 2}
    assert await store.document(THING, (0,), "$settings") == {"a": {"x": 1}, "b": 2}


async def test_one_member_is_never_changed_in_a_document_that_may_not_be_seen(store):
    await store.append(settings({"secret": 1}))

    await store.append(settings(9, "a", epochs=(1,)))

    assert await store.document(THING, (1,), "$settings") == {"a": 9}


async def test_the_limit_of_a_document_counts_what_an_own_earlier_epoch_gave(store):
    await store.append(settings({"a": "x" * 12}, max_bytes=20))

    await store.append(settings(1, "b", epochs=(1,), max_bytes=20))
    with pytest.raises(InvalidSettingsError):
        await store.append(settings(1, "b", epochs=(0, 2), max_bytes=20))


async def test_an_overwritten_document_stays_as_it_was_in_the_earlier_epoch(store):
    await store.append(settings({"of": 0}))

    await store.append(settings({"of": 1}, epochs=(0, 1)))

    assert await store.document(THING, (0,), "$settings") == {"of": 0}


# Purging.


async def test_a_purged_epoch_leaves_neither_values_nor_keys_nor_documents(store):
    change = DocumentChange("$settings", (), {"a": 1}, 99)
    for epoch in (0, 1, 2):
        await store.append(Write(THING, (value("t", epoch),), (change,), epochs=(epoch,)))
    await values_of(store, (1,))
    await values_of(store, (0, 1, 2))

    assert await store.purge_epoch(THING, 1) is True

    assert await values_of(store, (1,)) is None
    assert await store.keys(THING, (1,)) == []
    assert await store.document(THING, (1,), "$settings") is None
    assert await values_of(store, (0, 1, 2)) == [2, 0]
    assert await store.document(THING, (0,), "$settings") == {"a": 1}
    assert await store.document(THING, (2,), "$settings") == {"a": 1}


async def test_another_thing_s_epoch_is_not_purged(store):
    await store.append(write(value("t"), thing=OTHER_THING))

    assert await store.purge_epoch(THING, 0) is True

    assert await store.keys(OTHER_THING, (0,)) == ["t"]


async def test_a_purged_thing_loses_every_epoch(store):
    change = DocumentChange("$settings", (), {"a": 1}, 99)
    for epoch in (0, 3):
        await store.append(Write(THING, (value("t"),), (change,), epochs=(epoch,)))

    assert await store.purge(THING) is True

    assert await store.keys(THING, (0, 3)) == []
    assert await store.document(THING, (0, 3), "$settings") is None


async def test_an_epoch_may_be_written_to_again_after_it_was_purged(store):
    await store.append(write(value("t", "old"), epochs=(1,)))
    await values_of(store, (1,))
    await store.purge_epoch(THING, 1)

    await store.append(write(value("t", "new"), epochs=(1,)))

    assert await values_of(store, (1,)) == ["new"]
