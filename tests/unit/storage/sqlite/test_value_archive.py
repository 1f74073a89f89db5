"""Look-ups over many things and deletions leave room for others in between."""

import asyncio

import pytest

from contract.value_stores import OTHER_THING, THING, timed, value, write
from doubles.value_rig import busy_writer, opened, overheard
from thingstead.features.values.model import Source, Window
from thingstead.kernel.errors import OverloadedError
from thingstead.kernel.ids import ThingId
from thingstead.storage.sqlite import value_archive, value_retention
from thingstead.storage.sqlite.value_archive import SOURCES_A_LOOK_UP, SQLiteValueArchive
from thingstead.storage.sqlite.value_store import ValueStoreLimits

ALL = Window(limit=10_000)
MINE = Source(THING, (0,))


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path / "values.db") as store:
        yield store


@pytest.fixture
def short_slices(monkeypatch):
    """Make a slice end after two values."""
    monkeypatch.setattr(value_retention, "_SLICE_S", 0.0)
    monkeypatch.setattr(value_retention, "_ROWS_A_SLICE", 2)
    monkeypatch.setattr(value_archive, "_PAUSE_S", 0)


def sources(number):
    return [Source(ThingId(f"thing {one}"), (0,)) for one in range(number)]


async def values_of(store, thing=THING):
    return [row[0] for row in (await store.newest(thing, (0,), "t", ALL)).rows]


CALLS = {
    "newest_of": lambda archive, many: archive.newest_of(many, "t", ALL),
    "keys_of": lambda archive, many: archive.keys_of(many),
    "documents_of": lambda archive, many: archive.documents_of(many, "$geo"),
}


@pytest.mark.parametrize(
    ("number", "look_ups"),
    [(SOURCES_A_LOOK_UP, 1), (SOURCES_A_LOOK_UP + 1, 2), (2 * SOURCES_A_LOOK_UP + 1, 3)],
)
@pytest.mark.parametrize("name", CALLS)
async def test_a_look_up_takes_so_many_things_and_no_more(store, name, number, look_ups):
    asked = []

    def look_up(one):
        asked.append(one)
        return store._look_up(one)

    await CALLS[name](SQLiteValueArchive(look_up, store.archive._do_slice), sources(number))

    assert len(asked) == look_ups


async def test_the_newest_of_many_things_are_not_all_read(store):
    for one in sources(50):
        await store.append(write(*(timed("t", n, n) for n in range(10)), thing=one.thing_id))
    first = write(*(timed("t", "new", 1_000 + n) for n in range(10)), thing=ThingId("first"))
    await store.append(first)
    many = [Source(first.thing_id, (0,)), *sources(50)]

    with overheard(store._reader._connection) as statements:
        given = await store.archive.newest_of(many, "t", Window(10))

    assert [row[0] for _, row in given] == ["new"] * 10
    assert len([one for one in statements if "at_ms >= 1000 " in one]) == 50


async def test_values_are_deleted_in_slices_of_one_transaction_each(store, short_slices):
    await store.append(write(*(value("t", number) for number in range(7))))

    with overheard(store._writer._connection) as statements:
        deleted = await store.archive.delete_values(MINE, "t", from_ms=0, until_ms=None)

    assert deleted == 7
    assert statements.count("COMMIT") == 5


async def test_a_write_comes_in_between_two_slices(store, short_slices):
    await store.append(write(*(timed("t", number, number) for number in range(100))))
    deletion = asyncio.create_task(
        store.archive.delete_values(MINE, "t", from_ms=None, until_ms=1_000)
    )
    await asyncio.sleep(0)

    await store.append(write(timed("t", "new", 2_000)))

    assert not deletion.done()
    assert await deletion == 100
    assert await values_of(store) == ["new"]


async def test_what_is_kept_of_other_things_outlasts_a_deletion(store):
    await store.append(write(value("t", 1)))
    await store.append(write(value("t", 2), thing=OTHER_THING))
    kept = await store.newest(OTHER_THING, (0,), "t", ALL)

    await store.archive.delete_values(MINE, "t", from_ms=None, until_ms=None)

    assert await store.newest(OTHER_THING, (0,), "t", ALL) is kept


async def test_what_is_read_while_a_deletion_waits_is_not_kept_beyond_it(store):
    await store.append(write(value("t", 1)))
    async with busy_writer(store):
        deletion = asyncio.create_task(
            store.archive.delete_values(MINE, "t", from_ms=None, until_ms=None)
        )
        await asyncio.sleep(0)
        assert await values_of(store) == [1]

    await deletion

    assert await values_of(store) == []


async def test_a_deletion_whose_caller_left_is_not_hidden_by_what_was_kept(store):
    await store.append(write(value("t", 1)))
    async with busy_writer(store):
        deletion = asyncio.create_task(
            store.archive.delete_values(MINE, "t", from_ms=None, until_ms=None)
        )
        await asyncio.sleep(0)
        await values_of(store)
        deletion.cancel()
    # Comes behind the deletion in the writer's queue, and drops nothing itself.
    await store.check()

    assert await values_of(store) == []


async def test_too_many_waiting_reads_are_refused(tmp_path):
    async with opened(tmp_path / "values.db", ValueStoreLimits(waiting_reads=1)) as store:
        waiting = store.newest(THING, (0,), "t", ALL)

        with pytest.raises(OverloadedError):
            await store.archive.newest_of([MINE], "t", ALL)

        assert await waiting is None
