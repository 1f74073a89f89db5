"""How long changes of objects are kept, and how far a page of them goes."""

import sqlite3
from contextlib import closing

import pytest

from doubles.object_rig import USER, add_users, create, merge, opened, others_turn, place
from doubles.old_files import make_old_file
from doubles.value_rig import overheard
from thingstead.features.collections.model import CollectionLimits
from thingstead.features.collections.texts import object_text
from thingstead.kernel.errors import ThingsteadError
from thingstead.storage.sqlite import object_changes, object_reader
from thingstead.storage.sqlite.core import open_core
from thingstead.storage.sqlite.object_changes import ChangeLogLimits
from thingstead.storage.sqlite.object_store import ObjectStoreLimits


@pytest.fixture
async def open_store(tmp_path):
    """Open the file with these limits; at most once at a time."""
    open_now = []

    async def again(**kept):
        for core in open_now:
            await core.close()
        limits = ObjectStoreLimits(kept=ChangeLogLimits(**kept))
        open_now[:] = [await open_core(tmp_path / "core.db", limits)]
        await add_users(open_now[0])
        return open_now[0]

    yield again
    for core in open_now:
        await core.close()


async def missed(core, after=0):
    return await core.objects.replay.missed(USER, "things", after=after)


async def kept(core):
    return [event.sequence for event in (await missed(core)).events]


def sized(object_id, size):
    empty = object_text(object_id, {"x": ""}, max_bytes=size)
    return {"x": "x" * (size - len(empty))}


@pytest.mark.parametrize(("changes", "left"), [(3, [1, 2, 3]), (4, [2, 3, 4])])
async def test_as_many_changes_stay_as_asked(open_store, changes, left):
    core = await open_store(changes=3)
    for number in range(changes):
        await create(core.objects, place(number))

    assert await kept(core) == left


@pytest.mark.parametrize(("last", "left"), [(20, [1, 2, 3]), (21, [2, 3])])
async def test_as_many_bytes_stay_as_asked(open_store, last, left):
    core = await open_store(bytes=60)
    for number, size in enumerate((20, 20, last)):
        await create(core.objects, place(number), **sized(str(number), size))

    assert await kept(core) == left


@pytest.mark.parametrize(("after", "has_gap"), [(0, True), (1, False), (4, False), (5, True)])
async def test_what_was_trimmed_is_a_gap_for_cursors_before_it(open_store, after, has_gap):
    core = await open_store(changes=3)
    for number in range(4):
        await create(core.objects, place(number))

    assert (await missed(core, after)).has_gap is has_gap


async def test_trimming_goes_in_slices_with_the_commits(open_store, monkeypatch):
    core = await open_store()
    for number in range(10):
        await create(core.objects, place(number))
    monkeypatch.setattr(object_changes, "_ROWS_A_SLICE", 3)

    core = await open_store(changes=2)
    left = []
    for number in range(5):
        await create(core.objects, place(f"later-{number}"))
        left.append(len(await kept(core)))

    assert left == [8, 6, 4, 2, 2]


async def test_a_slice_ends_after_so_many_bytes(open_store, monkeypatch):
    core = await open_store()
    for number in range(6):
        await create(core.objects, place(number), **sized(str(number), 100))
    monkeypatch.setattr(object_changes, "_BYTES_A_SLICE", 200)

    core = await open_store(changes=1)
    await create(core.objects, place("x"))

    assert await kept(core) == [4, 5, 6, 7]


async def test_a_commit_that_failed_is_no_change_and_trimming_goes_on(open_store):
    core = await open_store(changes=2)
    await create(core.objects, place(0))
    connection = core.objects._writer._connection
    connection.execute("ALTER TABLE collection RENAME TO gone")
    with pytest.raises(ThingsteadError):
        await create(core.objects, place(1))
    connection.execute("ALTER TABLE gone RENAME TO collection")

    for number in (2, 3, 4):
        await create(core.objects, place(number))

    events = (await missed(core)).events
    assert [event.change.stored.id for event in events] == ["3", "4"]
    assert len(await kept(core)) == 2


async def test_after_a_purge_of_everything_bytes_are_counted_anew(open_store):
    core = await open_store(bytes=60)
    for number in range(50):
        await create(core.objects, place(number), **sized(str(number), 20))
    async with core._database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM object_change")

    for number in range(50, 54):
        await create(core.objects, place(number), **sized(str(number), 20))

    assert len(await kept(core)) == 3


@pytest.mark.parametrize(("changes", "pages"), [(3, [3]), (4, [3, 1])])
async def test_a_page_holds_so_many_changes(open_store, monkeypatch, changes, pages):
    monkeypatch.setattr(object_reader, "CHANGES_A_PAGE", 3)
    core = await open_store()
    for number in range(changes):
        await create(core.objects, place(number))

    assert await page_sizes(core) == pages


@pytest.mark.parametrize(("size", "pages"), [(99, [2]), (100, [1, 1])])
async def test_a_page_holds_so_much_text(open_store, monkeypatch, size, pages):
    monkeypatch.setattr(object_reader, "CHANGE_BYTES_A_PAGE", 100)
    core = await open_store()
    await create(core.objects, place("a"), CollectionLimits(), **sized("a", size))
    await create(core.objects, place("b"))

    assert await page_sizes(core) == pages


async def page_sizes(core):
    sizes, after = [], 0
    while True:
        page = await missed(core, after)
        sizes.append(len(page.events))
        if page.is_complete:
            return sizes
        after = page.scanned_to


async def test_what_was_not_announced_yet_is_not_told(open_store):
    core = await open_store()
    await create(core.objects, place("a"))
    heads = []
    core.objects.on_commit(lambda _changes: heads.append(core.objects.replay._head))
    await create(core.objects, place("b"))
    core.objects.replay._head = 1

    page = await missed(core)

    assert heads == [2]
    assert ([event.sequence for event in page.events], page.is_complete) == ([1], True)


async def test_changes_of_one_commit_are_told_in_their_order(open_store):
    core = await open_store()
    async with others_turn(core):
        futures = [
            create(core.objects, place("a")),
            merge(core.objects, place("a"), n=1),
            core.objects.delete(place("a"), etag=None),
        ]
    for future in futures:
        await future

    actions = [event.change.action for event in (await missed(core)).events]
    assert actions == ["create", "update", "delete"]


async def test_no_statement_of_changes_walks_or_sorts_a_table(open_store, tmp_path):
    core = await open_store(changes=1)
    store = core.objects
    with (
        overheard(store._writer._connection) as written,
        overheard(store._reader._connection) as read,
    ):
        for number in range(3):
            await create(store, place(number))
        await missed(core)

    done = [one for one in (*written, *read) if "object_change" in one]
    assert {one.split()[0] for one in done} == {"INSERT", "SELECT", "DELETE"}
    with closing(sqlite3.connect(tmp_path / "core.db")) as connection:
        for statement in done:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            steps = [step[3] for step in plan]
            assert not [one for one in steps if "SCAN" in one or "TEMP" in one], statement


async def test_objects_of_an_earlier_version_stay_and_their_next_changes_are_told(tmp_path):
    make_old_file(tmp_path / "core.db", "core", "0004")
    with closing(sqlite3.connect(tmp_path / "core.db")) as connection, connection:
        row = (USER, "things", "a", '{"_id":"a"}', 1, 1)
        connection.execute("INSERT INTO object VALUES (?, ?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO collection VALUES (?, 'things', 1, 11)", (USER,))

    async with opened(tmp_path / "core.db") as core:
        before = await missed(core)
        await merge(core.objects, place("a"), n=1)
        after = await missed(core)

    assert (before.events, before.has_gap) == ([], False)
    assert [event.change.stored.text for event in after.events] == ['{"_id":"a","n":1}']
    assert not after.has_gap
