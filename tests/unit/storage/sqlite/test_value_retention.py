"""Old values go in slices, their space goes back, and a deleted thing leaves nothing."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from contract.value_stores import OTHER_THING, THING, timed, value, write
from doubles.value_rig import busy_writer, on_writer, opened
from thingstead.features.values.model import DocumentChange, Source, Window, Write
from thingstead.kernel.errors import StoreUnavailableError, ThingsteadError
from thingstead.storage.sqlite import value_retention

ALL = Window(limit=10_000)
SWEEPS = {
    "delete": lambda store: store.delete_before(2_000, 0),
    "delete values": lambda store: store.archive.delete_values(
        Source(THING, (0,)), "t", from_ms=None, until_ms=None
    ),
    "purge": lambda store: store.purge(THING),
    "purge epoch": lambda store: store.purge_epoch(THING, 0),
}


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path / "values.db") as store:
        yield store


@pytest.fixture
def short_slices(monkeypatch):
    """Make a slice end after two values."""
    monkeypatch.setattr(value_retention, "_SLICE_S", 0.0)
    monkeypatch.setattr(value_retention, "_ROWS_A_SLICE", 2)


async def values_of(store, key="t", thing=THING):
    reading = await store.newest(thing, (0,), key, ALL)
    return None if reading is None else [row[0] for row in reading.rows]


async def size_of(store):
    pages = await on_writer(store, "PRAGMA page_count")
    return pages * await on_writer(store, "PRAGMA page_size")


async def swept(store, cutoff_ms):
    """Sweep to the end; return how many values each slice deleted."""
    numbers, after = [], 0
    while after is not None:
        number, after = await store.delete_before(cutoff_ms, after)
        numbers.append(number)
    return numbers


async def test_what_is_older_than_the_cutoff_goes_and_the_rest_stays(store):
    await store.append(write(*(timed("t", at_ms, at_ms) for at_ms in (-5, 1_998, 1_999, 2_000))))
    await store.append(write(timed("u", 1, 1), thing=OTHER_THING))

    assert await swept(store, 2_000) == [4]
    assert await values_of(store) == [2_000]
    assert await values_of(store, "u", OTHER_THING) == []


async def test_what_was_read_before_a_sweep_is_read_anew_after_it(store):
    await store.append(write(timed("t", 1, 1), timed("t", 2, 9_000)))
    assert await values_of(store) == [2, 1]

    await swept(store, 2_000)

    assert await values_of(store) == [2]


async def test_sweeping_twice_deletes_nothing_more(store):
    await store.append(write(timed("t", 1, 1), timed("t", 2, 9_000)))
    await swept(store, 2_000)

    assert await swept(store, 2_000) == [0]


async def test_an_empty_file_is_swept_in_one_slice(store):
    assert await store.delete_before(10**15, 0) == (0, None)


async def test_a_swept_key_is_still_known(store):
    await store.append(write(timed("t", 1, 1)))

    await swept(store, 2_000)

    assert await store.keys(THING, (0,)) == ["t"]


async def test_a_slice_ends_in_time_and_the_next_goes_on_behind_it(store, short_slices):
    await store.append(write(*(timed("t", at_ms, at_ms) for at_ms in range(7))))
    await store.append(write(*(timed("u", at_ms, at_ms) for at_ms in range(3))))

    numbers = await swept(store, 5)

    assert sum(numbers) == 8
    assert max(numbers) == 2
    assert await values_of(store) == [6, 5]
    assert await values_of(store, "u") == []


async def test_many_values_of_one_time_go_in_slices_too(store, short_slices):
    await store.append(write(*(value("t", number, 1_000) for number in range(9))))
    await store.append(write(timed("t", "later", 1_001)))

    assert await swept(store, 1_001) == [2, 2, 2, 2, 1, 0]
    assert await values_of(store) == ["later"]


async def test_a_sweep_goes_over_every_epoch(store):
    for epoch in (0, 1, 2):
        await store.append(write(timed("t", epoch, 1), timed("t", 9, 9_000), epochs=(epoch,)))

    assert await swept(store, 2_000) == [3]
    assert [row[0] for row in (await store.newest(THING, (0, 1, 2), "t", ALL)).rows] == [9, 9, 9]


async def test_more_series_than_one_page_are_swept_over_slices(store, monkeypatch):
    monkeypatch.setattr(value_retention, "_SERIES_A_PAGE", 2)
    await store.append(write(*(timed(f"k{number}", 1, 1) for number in range(5))))

    assert sum(await swept(store, 2)) == 5


async def test_a_slice_ends_in_time_between_pages_of_series(store, monkeypatch):
    monkeypatch.setattr(value_retention, "_SERIES_A_PAGE", 2)
    await store.append(write(*(timed(f"k{number}", 1, 1_000) for number in range(5))))
    monkeypatch.setattr(value_retention, "_SLICE_S", 0.0)

    assert await store.delete_before(2, 0) == (0, 2)
    assert await store.delete_before(2, 2) == (0, 4)
    assert await store.delete_before(2, 4) == (0, None)


@pytest.mark.parametrize("sweep", SWEEPS)
async def test_a_slice_that_fails_leaves_no_transaction_open(store, sweep):
    await store.append(write(timed("t", 1, 1)))
    refusal = "BEGIN SELECT RAISE(ABORT, 'no'); END"
    await on_writer(store, f"CREATE TEMP TRIGGER no BEFORE DELETE ON main.value {refusal}")

    with pytest.raises(ThingsteadError):
        await SWEEPS[sweep](store)

    await on_writer(store, "DROP TRIGGER no")
    await store.append(write(timed("t", 2, 2)))
    assert await values_of(store) == [2, 1]


@pytest.mark.parametrize("sweep", SWEEPS)
async def test_a_slice_that_cannot_begin_is_refused(store, tmp_path, sweep):
    await store.append(write(timed("t", 1, 1)))
    await on_writer(store, "PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(tmp_path / "values.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailableError):
            await SWEEPS[sweep](store)

    assert await values_of(store) == [1]


async def test_space_is_given_back_in_slices_until_the_file_has_shrunk(tmp_path):
    path = tmp_path / "values.db"
    async with opened(path) as store:
        for start in range(0, 3_000, 500):
            await store.append(
                write(*(timed("t", "x" * 2_000, at_ms) for at_ms in range(start, start + 500)))
            )
        size_before = await size_of(store)
        await swept(store, 10**15)

        lefts = [await store.give_space_back()]
        while lefts[-1] > 0:
            lefts.append(await store.give_space_back())

        assert len(lefts) > 2
        assert lefts == sorted(lefts, reverse=True)
        assert await size_of(store) * 20 < size_before

    # Closing copied the log into the file and cut it to its new size.
    assert path.stat().st_size * 20 < size_before


async def test_nothing_is_left_to_give_back_in_a_file_without_free_pages(store):
    assert await store.give_space_back() == 0


async def test_a_purged_thing_leaves_neither_values_nor_keys_nor_documents(store):
    change = DocumentChange("$settings", (), {"a": 1}, 99)
    await store.append(Write(THING, (value("t"), value("u")), (change,)))
    await store.append(Write(OTHER_THING, (value("t", "theirs"),), (change,)))

    assert await store.purge(THING) is True

    assert await store.keys(THING, (0,)) == []
    assert await values_of(store) is None
    assert await store.document(THING, (0,), "$settings") is None
    assert await values_of(store, thing=OTHER_THING) == ["theirs"]
    assert await store.document(OTHER_THING, (0,), "$settings") == {"a": 1}


async def test_a_thing_that_never_wrote_is_purged_at_once(store):
    assert await store.purge(THING) is True


async def test_a_large_thing_is_purged_in_slices(store, short_slices):
    await store.append(write(*(timed("t", at_ms, at_ms) for at_ms in range(5))))

    answers = [await store.purge(THING)]
    while not answers[-1]:
        assert await store.keys(THING, (0,)) == ["t"]
        answers.append(await store.purge(THING))

    assert len(answers) > 2
    assert await store.keys(THING, (0,)) == []


async def test_a_large_epoch_is_purged_in_slices(store, short_slices):
    await store.append(write(*(timed("t", at_ms, at_ms) for at_ms in range(5)), epochs=(1,)))
    await store.append(write(value("t", "other"), epochs=(2,)))

    answers = [await store.purge_epoch(THING, 1)]
    while not answers[-1]:
        assert await store.keys(THING, (1,)) == ["t"]
        answers.append(await store.purge_epoch(THING, 1))

    assert len(answers) > 2
    assert await store.keys(THING, (1,)) == []
    assert await store.keys(THING, (2,)) == ["t"]


async def test_a_purged_epoch_that_was_read_meanwhile_may_be_written_to_again(store):
    await store.append(write(value("t", "old")))
    async with busy_writer(store):
        purge = asyncio.create_task(store.purge_epoch(THING, 0))
        await asyncio.sleep(0)
        await values_of(store)
    await purge

    await store.append(write(value("t", "new")))

    assert await values_of(store) == ["new"]


async def test_a_thing_may_write_again_after_it_was_purged(store):
    await store.append(write(value("t", "old")))
    await values_of(store)
    await store.purge(THING)

    await store.append(write(value("u", "new"), value("t", "new")))

    assert await values_of(store) == ["new"]
    assert await values_of(store, "u") == ["new"]


async def test_a_read_during_a_purge_does_not_give_another_thing_s_values_later(store):
    await store.append(write(value("t", "old")))
    async with busy_writer(store):
        purge = asyncio.create_task(store.purge(THING))
        await asyncio.sleep(0)
        await values_of(store)
    await purge

    await store.append(write(value("t", "theirs"), thing=OTHER_THING))

    assert "theirs" not in (await values_of(store) or [])


async def test_a_purge_by_another_process_does_not_give_another_thing_s_values_later(
    store, tmp_path
):
    await store.append(write(value("t", "old")))
    await values_of(store)

    async with opened(tmp_path / "values.db") as other:
        await other.purge(THING)
        await other.append(write(value("t", "theirs"), thing=OTHER_THING))

    assert "theirs" not in (await values_of(store) or [])
