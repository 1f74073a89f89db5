"""What reads hold in memory, and how many rows they walk, has bounds."""

import asyncio
import threading

import pytest

from contract.value_stores import OTHER_THING, THING, timed, value, write
from doubles.value_rig import opened
from thingstead.features.values.model import DocumentChange, Source, Window, Write
from thingstead.kernel.json_values import JSONText
from thingstead.storage.sqlite import value_reader, value_store
from thingstead.storage.sqlite.value_reader import ReadJob

ALL = Window(limit=10_000)
MINE = Source(THING, (0,))
EPOCHS = tuple(range(50))
READS = {
    "newest": lambda store: store.newest(THING, (0,), "t", ALL),
    "newest in a window": lambda store: store.newest(THING, (0,), "t", Window(9, 0)),
    "newest over epochs": lambda store: store.newest(THING, (0, 1), "t", ALL),
    "newest of": lambda store: store.archive.newest_of([MINE], "t", ALL),
    "page": lambda store: store.archive.page(MINE, "t", after=None, limit=9),
    "documents": lambda store: store.archive.documents_of([MINE], "$settings"),
}
OVER_EPOCHS = {
    "newest": lambda store: store.newest(THING, EPOCHS, "t", Window(100)),
    "newest of": lambda store: store.archive.newest_of([Source(THING, EPOCHS)], "t", Window(100)),
    "page": lambda store: store.archive.page(Source(THING, EPOCHS), "t", after=None, limit=100),
}


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path / "values.db") as store:
        yield store


async def read_together(store, sizes):
    """Have look-ups with so much text read in one batch; return what each saw of the others."""
    seen = []
    futures = []
    gate = threading.Event()

    def look_up(size):
        def run(reader):
            seen.append([future.done() for future in futures])
            reader.text_bytes += size

        return run

    held = store._look_up(lambda _: gate.wait())
    futures += [store._look_up(look_up(size)) for size in sizes]
    gate.set()
    await asyncio.gather(held, *futures)
    return seen


async def test_results_are_taken_before_they_hold_too_much_text(store, monkeypatch):
    monkeypatch.setattr(value_store, "TEXT_AT_ONCE", 100)

    seen = await read_together(store, [99, 1, 99, 0])

    assert seen[1] == [False] * 4
    assert seen[2] == seen[3] == [True, True, False, False]


async def test_text_of_several_batches_counts_together(store, monkeypatch):
    monkeypatch.setattr(value_store, "TEXT_AT_ONCE", 100)
    await read_together(store, [99])

    seen = await read_together(store, [1, 0])

    assert seen == [[False, False], [True, False]]


async def test_a_job_does_not_hold_its_result_beyond_its_answer(store):
    future = asyncio.get_running_loop().create_future()
    job = ReadJob(lambda _: "result", future)
    store._waiting_reads += 1

    store._read_thread.put(job)

    assert await future == "result"
    assert job.result is None


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("sent", ["x" * 100, ["x" * 96]], ids=["text", "array"])
async def test_the_text_of_what_is_read_is_counted(store, name, sent):
    change = DocumentChange("$settings", (), {"a": "x" * 92}, 999)
    await store.append(Write(THING, (timed("t", sent), timed("t", 1)), (change,)))
    await store.append(write(timed("t", 2), epochs=(1,)))

    await READS[name](store)

    assert store._reader.text_bytes == 100


@pytest.mark.parametrize(
    ("sizes", "pages"),
    [
        ([99, 1, 5], [2, 1]),
        ([100, 1, 5], [1, 2]),
        ([98, 1, 5], [3]),
        ([500, 500], [1, 1]),
    ],
)
async def test_a_page_ends_when_its_text_is_enough(store, monkeypatch, sizes, pages):
    monkeypatch.setattr(value_reader, "PAGE_BYTES", 100)
    for at_ms, size in enumerate(sizes):
        await store.append(write(value("t", "x" * size, at_ms), epochs=(at_ms % 2,)))

    given, after = [], None
    while page := await store.archive.page(Source(THING, (0, 1)), "t", after=after, limit=9):
        given.append(len(page))
        after = page[-1].mark

    assert given == pages


@pytest.mark.parametrize("name", OVER_EPOCHS)
async def test_many_epochs_are_read_no_further_than_needed(store, name):
    for epoch in EPOCHS:
        rows = (timed("t", number, 1_000 * number + epoch) for number in range(100))
        await store.append(write(*rows, epochs=(epoch,)))
    steps = []
    store._reader._connection.set_progress_handler(lambda: steps.append(None), 10)

    await OVER_EPOCHS[name](store)

    # All 5,000 rows take 8 and more of SQLite's steps each.
    assert len(steps) * 10 < 10_000


async def test_booleans_come_back_as_they_are_and_larger_values_as_text(store):
    await store.append(write(*(timed("t", one) for one in (True, False, [True], {}))))

    reading = await store.newest(THING, (0,), "t", ALL)

    assert [row[0] for row in reading.rows] == [JSONText(b"{}"), JSONText(b"[true]"), False, True]


async def test_a_read_of_another_thing_is_kept_while_space_is_given_back(store):
    await store.append(write(value("t", 1)))
    kept = await store.newest(THING, (0,), "t", ALL)

    await store.give_space_back()

    assert await store.newest(THING, (0,), "t", ALL) is kept


async def test_a_sweep_drops_the_readings_of_those_things_only_that_it_touched(store):
    await store.append(write(timed("t", 1, 1)))
    await store.append(write(timed("t", 1, 9_000), thing=OTHER_THING))
    mine = await store.newest(THING, (0,), "t", ALL)
    theirs = await store.newest(OTHER_THING, (0,), "t", ALL)

    await store.delete_before(2_000, 0)

    assert await store.newest(OTHER_THING, (0,), "t", ALL) is theirs
    assert (await store.newest(THING, (0,), "t", ALL)).rows != mine.rows
