"""What one request may cost the writer, and what the writer survives."""

import itertools
import sqlite3

import pytest

from contract.value_stores import THING, timed, value, write
from doubles.value_rig import on_writer, opened, overheard
from thingstead.features.values.model import DocumentChange, Window, Write
from thingstead.kernel.errors import StoreUnavailableError, ThingsteadError
from thingstead.storage.sqlite import value_writer
from thingstead.storage.sqlite.batch_thread import BatchThread

ALL = Window(limit=10_000)


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path / "values.db") as store:
        yield store


def change(path, what):
    return DocumentChange("$settings", (path,), what, 16_384)


async def test_many_changes_of_one_document_read_and_write_it_once(store):
    changes = tuple(change(f"m{number}", number) for number in range(1_000))

    with overheard(store._writer._connection) as statements:
        await store.append(Write(THING, (), changes))

    assert len([text for text in statements if "document" in text]) == 2
    assert len(await store.document(THING, (0,), "$settings")) == 1_000


async def test_many_values_of_one_time_are_compared_with_one_look_up(store):
    await store.append(write(*(timed("t", number, 5) for number in range(3))))

    with overheard(store._writer._connection) as statements:
        await store.append(write(*(timed("t", number, 5) for number in range(1_000))))

    assert len([text for text in statements if text.startswith("SELECT value, lat")]) == 1
    assert len((await store.newest(THING, (0,), "t", ALL)).rows) == 1_000


@pytest.mark.parametrize(("later", "stored"), [(2, 3), (3, 5)])
async def test_a_repeat_is_looked_for_among_the_newest_values_of_its_time(
    store, monkeypatch, later, stored
):
    monkeypatch.setattr(value_writer, "COMPARED_VALUES", 3)
    await store.append(write(timed("t", "first", 5)))
    await store.append(write(*(timed("t", number, 5) for number in range(later))))

    await store.append(write(timed("t", "first", 5)))

    assert len((await store.newest(THING, (0,), "t", ALL)).rows) == stored


async def test_a_sequence_that_would_go_backwards_fails_its_batch(store):
    await store.append(write(value("t", 1)))
    await on_writer(store, "UPDATE counter SET value = 100 WHERE name = 'sequence'")

    with pytest.raises(ThingsteadError):
        await store.append(write(value("t", 2)))

    assert [row[0] for row in (await store.newest(THING, (0,), "t", ALL)).rows] == [1]


async def test_the_writer_goes_on_after_a_sequence_that_would_go_backwards(store):
    await store.append(write(value("t", 1)))
    await on_writer(store, "UPDATE counter SET value = 100 WHERE name = 'sequence'")
    with pytest.raises(ThingsteadError):
        await store.append(write(value("t", 2)))

    appended = await store.append(write(value("t", 3)))

    assert appended.sequence == 101


async def test_a_store_that_serves_passes_its_check(store):
    await store.check()


async def test_a_store_whose_writer_has_ended_fails_its_check(store, monkeypatch):
    monkeypatch.setattr("thingstead.storage.sqlite.value_store._CHECK_S", 0.01)
    store._write_thread.stop(10)

    with pytest.raises(StoreUnavailableError, match="no answer"):
        await store.check()


def test_a_thread_goes_on_after_a_batch_that_failed(caplog):
    numbers = itertools.count()
    done = []

    def work(jobs):
        if next(numbers) == 0:
            raise sqlite3.OperationalError("disk I/O error")
        done.extend(jobs)
        return 0.0

    thread = BatchThread("test", work, max_batch=1)
    for job in range(3):
        thread.put(job)

    thread.start()

    assert thread.stop(60)
    assert done == [1, 2]
    assert "a batch of 1 jobs failed" in caplog.text
