"""Deletions and sweeps wait in line, so that a write waits for one slice of them at most."""

import asyncio
import threading

import pytest

from contract.value_stores import OTHER_THING, THING, timed, value, write
from doubles.value_rig import busy_writer, opened, overheard
from thingstead.features.values.model import Source
from thingstead.kernel.errors import OverloadedError
from thingstead.storage.sqlite import value_store, value_writer
from thingstead.storage.sqlite.value_archive import WAITING_DELETIONS


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path / "values.db") as store:
        yield store


def delete(store, thing=THING):
    source = Source(thing, (0,))
    return asyncio.create_task(
        store.archive.delete_values(source, "t", from_ms=None, until_ms=None)
    )


async def started():
    """Let the tasks made so far run until they wait."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_write_that_comes_during_a_chore_is_stored_before_the_next(store):
    loop = asyncio.get_running_loop()
    writes = []

    def first(_connection, _writer):
        is_queued = threading.Event()

        def queue():
            writes.append(store.append(write(value("t", 1))))
            is_queued.set()

        loop.call_soon_threadsafe(queue)
        is_queued.wait()

    def second(connection, _writer):
        return connection.execute("SELECT count(*) FROM value").fetchone()[0]

    async with busy_writer(store):
        chores = [asyncio.create_task(store._do_chore(run)) for run in (first, second)]
        await started()

    assert await asyncio.gather(*chores) == [None, 1]
    await writes[0]


async def test_chores_are_done_in_the_order_in_which_they_came(store):
    done = []
    async with busy_writer(store):
        chores = [
            asyncio.create_task(store._do_chore(lambda _db, _, number=number: done.append(number)))
            for number in range(5)
        ]
        await started()

    await asyncio.gather(*chores)

    assert done == [0, 1, 2, 3, 4]


async def test_chores_that_wait_are_done_before_the_store_closes(store):
    async with busy_writer(store):
        chores = [asyncio.create_task(store._do_chore(lambda _db, _: 1)) for _ in range(5)]
        await started()
    await store.close()

    assert await asyncio.gather(*chores) == [1] * 5


async def test_so_many_chores_may_wait_and_no_more(store, monkeypatch):
    monkeypatch.setattr(value_store, "MOST_CHORES", 3)
    async with busy_writer(store):
        chores = [asyncio.create_task(store._do_chore(lambda _db, _: 1)) for _ in range(2)]
        await started()

        with pytest.raises(OverloadedError) as refused:
            await store.give_space_back()
        check = asyncio.create_task(store.check())
        await started()

    assert refused.value.retry_after_s == 1
    assert await asyncio.gather(*chores) == [1, 1]
    await check
    await store.give_space_back()


async def test_so_many_deletions_of_one_thing_may_wait_and_no_more(store):
    await store.append(write(value("t", 1)))
    async with busy_writer(store):
        under_way = [delete(store) for _ in range(WAITING_DELETIONS + 1)]
        await started()
        other = delete(store, OTHER_THING)

        with pytest.raises(OverloadedError) as refused:
            await delete(store)

    assert refused.value.retry_after_s == 1
    assert sum(await asyncio.gather(*under_way)) == 1
    assert await other == 0
    assert await delete(store) == 0


async def test_deletions_of_one_thing_come_one_after_the_other(store):
    async with busy_writer(store):
        under_way = [delete(store) for _ in range(5)]
        await started()

        # The one that keeps the writer busy, and one of the five.
        assert store._waiting_chores == 2

    await asyncio.gather(*under_way)


async def test_who_left_the_line_leaves_a_place_in_it(store):
    async with busy_writer(store):
        under_way = [delete(store) for _ in range(WAITING_DELETIONS + 1)]
        await started()
        under_way.pop().cancel()
        await started()

        under_way.append(delete(store))
        await started()

    await asyncio.gather(*under_way)
    assert store.archive._lines == {}


# Repeats over epochs.


@pytest.mark.parametrize(("before", "is_repeat"), [(10, True), (11, False)])
async def test_a_repeat_is_looked_for_in_so_many_epochs_before(store, before, is_repeat):
    assert value_writer.COMPARED_EPOCHS == 10
    await store.append(write(timed("t", 1), epochs=(0,)))

    again = await store.append(write(timed("t", 1), epochs=tuple(range(before + 1))))

    assert (again.repeats == {0}) is is_repeat


async def test_a_thing_of_one_epoch_is_compared_with_one_look_up_only(store):
    await store.append(write(timed("t", 1)))

    with overheard(store._writer._connection) as statements:
        await store.append(write(timed("t", 2)))

    assert len([one for one in statements if one.startswith("SELECT") and "value" in one]) == 1
    assert not [one for one in statements if one.startswith("SELECT") and "series " in one]


async def test_the_series_of_earlier_epochs_are_looked_for_once_in_a_request(store):
    await store.append(write(timed("t", 1), epochs=(0,)))
    await store.append(write(timed("t", 1), epochs=(1,)))
    await store.append(write(timed("t", 9), epochs=(0, 1, 2)))

    with overheard(store._writer._connection) as statements:
        many = (timed("t", number, number) for number in range(100))
        await store.append(write(*many, epochs=(0, 1, 2)))

    assert len([one for one in statements if one.startswith("SELECT id FROM series")]) == 2
