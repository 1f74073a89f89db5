"""What every `ObjectReplay` promises: the changes of a collection once more, for any cursor."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.conftest import ENGINES, Maker
from thingstead.features.collections.errors import ObjectExistsError
from thingstead.features.collections.model import (
    Action,
    CollectionLimits,
    ObjectEvent,
    Place,
    topic_of,
)
from thingstead.features.collections.texts import object_text
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import UserId

USER, OTHER_USER = UserId("one"), UserId("two")
LIMITS = CollectionLimits()


@pytest.fixture
async def objects(core, make):
    for user in (USER, OTHER_USER):
        await make.user(user)
    return core.objects


def place(object_id="a", collection="things", user=USER):
    return Place(user, collection, object_id)


def create(objects, at=None, **members):
    at = at or place()
    text = object_text(at.id, members, max_bytes=LIMITS.object_bytes)
    return objects.create(at, text, LIMITS, at_ms=1)


def merge(objects, at=None, **members):
    return objects.merge(at or place(), members, LIMITS, etag=None, at_ms=2)


def delete(objects, at=None):
    return objects.delete(at or place(), etag=None)


def overhear(objects):
    """Note every event that live subscribers would hear."""
    heard = []

    def note(changes):
        heard.extend(ObjectEvent(topic_of(one.user_id, one.collection), one) for one in changes)

    objects.on_commit(note)
    return heard


async def replayed(objects, user=USER, collection="things", after=0):
    """Return the events of all pages."""
    events = []
    while True:
        page = await objects.replay.missed(user, collection, after=after)
        events += page.events
        if page.is_complete:
            return events
        assert page.scanned_to > after
        after = page.scanned_to


async def test_a_store_without_changes_has_nothing_to_tell(objects):
    page = await objects.replay.missed(USER, "things", after=0)

    assert (page.events, page.scanned_to, page.is_complete, page.has_gap) == ([], 0, True, False)
    assert await objects.replay.head() == 0


async def test_changes_are_told_as_they_were_heard(objects):
    heard = overhear(objects)
    await create(objects, n=1)
    await merge(objects, n=2)
    await delete(objects)

    assert await replayed(objects) == heard
    assert [event.change.action for event in heard] == [
        Action.CREATE,
        Action.UPDATE,
        Action.DELETE,
    ]
    assert [event.change.stored.text for event in heard] == [
        '{"_id":"a","n":1}',
        '{"_id":"a","n":2}',
        '{"_id":"a","n":2}',
    ]


async def test_changes_of_one_commit_have_sequences_of_their_own(objects):
    await asyncio.gather(*(create(objects, place(str(n))) for n in range(5)))

    assert [event.sequence for event in await replayed(objects)] == [1, 2, 3, 4, 5]
    assert await objects.replay.head() == 5


async def test_only_what_came_behind_the_cursor_is_told(objects):
    for number in range(4):
        await create(objects, place(str(number)))

    assert [one.change.stored.id for one in await replayed(objects, after=2)] == ["2", "3"]
    assert await replayed(objects, after=4) == []


async def test_other_collections_and_other_users_are_left_out(objects):
    await create(objects, place("a"))
    await create(objects, place("b", "others"))
    await create(objects, place("c", user=OTHER_USER))

    assert [one.change.stored.id for one in await replayed(objects)] == ["a"]
    assert [one.change.stored.id for one in await replayed(objects, OTHER_USER)] == ["c"]
    assert await replayed(objects, collection="never") == []


async def test_a_refused_change_is_not_told(objects):
    await create(objects)
    with pytest.raises(ObjectExistsError):
        await create(objects)

    assert len(await replayed(objects)) == 1


async def test_another_process_tells_the_same(open_again):
    first = await open_again()
    await Maker(first).user(USER)
    heard = overhear(first.objects)
    await create(first.objects)
    await delete(first.objects)

    second = await open_again()

    assert await replayed(second.objects) == heard
    assert await second.objects.replay.head() == 2


async def test_a_cursor_of_another_history_is_a_gap(objects):
    await create(objects)

    at_head = await objects.replay.missed(USER, "things", after=1)
    beyond = await objects.replay.missed(USER, "things", after=2)

    assert (at_head.has_gap, beyond.has_gap) == (False, True)
    assert beyond.events == []


async def test_of_a_deleted_user_nothing_is_told(core, objects):
    await create(objects)
    await delete(objects)
    await create(objects, place("b", user=OTHER_USER))
    await core.accounts.delete_user(USER, at_ms=9_000)

    slices = [await core.purge_list.delete_objects(USER, limit=1) for _ in range(3)]

    assert slices == [1, 1, 0]
    assert await replayed(objects) == []
    assert len(await replayed(objects, OTHER_USER)) == 1


async def test_the_head_outlasts_the_changes_of_a_deleted_user(open_again):
    core = await open_again()
    await Maker(core).user(USER)
    await create(core.objects)
    await core.accounts.delete_user(USER, at_ms=9_000)
    while await core.purge_list.delete_objects(USER, limit=9):
        pass

    again = await open_again()

    assert await again.objects.replay.head() == 1
    assert not (await again.objects.replay.missed(OTHER_USER, "things", after=1)).has_gap


CHANGES = st.lists(
    st.tuples(
        st.sampled_from([create, merge, delete]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["things", "others"]),
        st.sampled_from([USER, OTHER_USER]),
    ),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(CHANGES, min_size=1, max_size=4))
@pytest.mark.parametrize("engine", ENGINES)
async def test_for_any_cursor_what_is_told_is_what_was_heard(tmp_path_factory, engine, batches):
    opener = ENGINES[engine](tmp_path_factory.mktemp("replay"))
    core = await opener()
    try:
        for user in (USER, OTHER_USER):
            await Maker(core).user(user)
        heard = overhear(core.objects)
        for batch in batches:
            changes = [change(core.objects, place(*names)) for change, *names in batch]
            for outcome in await asyncio.gather(*changes, return_exceptions=True):
                assert not isinstance(outcome, Exception) or isinstance(outcome, ThingsteadError)

        mine = [one for one in heard if one.topic == topic_of(USER, "things")]
        for after in {0, *(one.sequence for one in heard)}:
            expected = [one for one in mine if one.sequence > after]
            assert await replayed(core.objects, after=after) == expected
    finally:
        await core.close()
