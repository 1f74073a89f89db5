"""What every store of objects promises."""

import asyncio
import json

import pytest

from thingstead.features.collections.errors import (
    CollectionFullError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    TooManyCollectionsError,
    TooManyObjectsError,
)
from thingstead.features.collections.etags import etag_of
from thingstead.features.collections.model import (
    Action,
    CollectionLimits,
    Place,
    StoredObject,
)
from thingstead.features.collections.texts import object_text
from thingstead.features.users.errors import InvalidSessionError
from thingstead.kernel.errors import InvalidBodyError
from thingstead.kernel.ids import UserId

USER, OTHER_USER = UserId("one"), UserId("two")
LIMITS = CollectionLimits()
ALL = {"below": None, "limit": 10_000, "max_bytes": 2**30}


@pytest.fixture
async def objects(core, make):
    for user in (USER, OTHER_USER):
        await make.user(user)
    return core.objects


def place(object_id="a", collection="things", user=USER):
    return Place(user, collection, object_id)


def text_of(object_id, size):
    """Return the text of an object that takes exactly so many bytes."""
    empty = object_text(object_id, {"x": ""}, max_bytes=size)
    return object_text(object_id, {"x": "x" * (size - len(empty))}, max_bytes=size)


def create(objects, at=None, limits=LIMITS, **members):
    at = at or place()
    text = object_text(at.id, members, max_bytes=limits.object_bytes)
    return objects.create(at, text, limits, at_ms=1)


def merge(objects, at=None, limits=LIMITS, etag=None, **members):
    return objects.merge(at or place(), members, limits, etag=etag, at_ms=2)


async def ids(objects, collection="things", user=USER, **options):
    page = await objects.page(user, collection, **(ALL | options))
    return [one.id for one in page.objects]


async def outcomes(futures):
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_an_object_can_be_read_as_soon_as_its_future_resolved(objects):
    stored = await create(objects, color="red")

    assert stored == StoredObject("a", '{"_id":"a","color":"red"}')
    assert await objects.get(place()) == stored


async def test_a_collection_never_used_is_empty(objects):
    assert await ids(objects) == []
    assert await objects.collections(USER) == []
    assert await objects.get(place()) is None


async def test_an_object_outlives_the_store(open_again, objects):
    first = await open_again()
    stored = await create(first.objects, color="red")
    await create(first.objects, place("b"))
    await first.objects.delete(place("b"), etag=None)
    await first.close()

    second = await open_again()

    assert (await second.objects.page(USER, "things", **ALL)).objects == [stored]
    assert await second.objects.collections(USER) == ["things"]


async def test_quotas_outlive_the_store(open_again, objects):
    first = await open_again()
    await create(first.objects)
    await first.close()
    second = await open_again()

    with pytest.raises(TooManyObjectsError):
        await create(second.objects, place("b"), CollectionLimits(objects_per_collection=1))
    with pytest.raises(TooManyCollectionsError):
        await create(second.objects, place("b", "x"), CollectionLimits(collections_per_user=1))


async def test_an_id_that_is_taken_is_refused_and_the_object_stays(objects):
    stored = await create(objects, n=1)

    with pytest.raises(ObjectExistsError):
        await create(objects, n=2)

    assert await objects.get(place()) == stored


async def test_of_fifty_that_create_one_id_at_once_one_succeeds(objects):
    results = await outcomes([create(objects, n=number) for number in range(50)])

    stored = [result for result in results if isinstance(result, StoredObject)]
    assert stored == [await objects.get(place())]
    assert [type(r) for r in results if r not in stored] == [ObjectExistsError] * 49


async def test_a_taken_id_is_told_even_where_nothing_more_fits(objects):
    limits = CollectionLimits(objects_per_collection=1)
    await create(objects, limits=limits)

    with pytest.raises(ObjectExistsError):
        await create(objects, limits=limits)


async def test_objects_come_descending_by_the_code_points_of_their_ids(objects):
    for object_id in ("10", "9", "a", "Z", "_", "-", "aa", ":", "@", "."):
        await create(objects, place(object_id))

    assert await ids(objects) == ["aa", "a", "_", "Z", "@", ":", "9", "10", ".", "-"]


async def test_a_page_goes_on_below_an_id_that_need_not_exist(objects):
    for object_id in "abcdef":
        await create(objects, place(object_id))
    await objects.delete(place("d"), etag=None)

    assert await ids(objects, limit=2) == ["f", "e"]
    assert await ids(objects, below="e", limit=2) == ["c", "b"]
    assert await ids(objects, below="d", limit=2) == ["c", "b"]
    assert await ids(objects, below="a") == []


async def test_a_page_ends_once_it_has_as_many_bytes_as_it_may(objects):
    for object_id in "abcd":
        await objects.create(place(object_id), text_of(object_id, 100), LIMITS, at_ms=1)

    assert await ids(objects, max_bytes=1) == ["d"]
    assert await ids(objects, max_bytes=200) == ["d", "c"]
    assert await ids(objects, max_bytes=201) == ["d", "c", "b"]


@pytest.mark.parametrize(
    ("options", "found", "last"),
    [
        ({}, ["4", "2", "0"], "0"),
        ({"limit": 2}, ["4"], "3"),
        ({"limit": 3}, ["4", "2"], "2"),
        ({"below": "4"}, ["2", "0"], "0"),
        ({"below": "4", "max_bytes": 1}, [], "3"),
        ({"below": "0"}, [], None),
    ],
)
async def test_of_the_objects_looked_at_a_page_holds_those_that_are_chosen(
    objects, options, found, last
):
    for number in range(5):
        await create(objects, place(str(number)))

    page = await objects.page(
        USER, "things", **(ALL | options), chosen=lambda one: int(one.id) % 2 == 0
    )

    assert ([one.id for one in page.objects], page.last) == (found, last)


async def test_a_page_counts_bytes_and_not_characters(objects):
    for object_id in "abc":
        await create(objects, place(object_id), name="\U0001f600" * 100)

    assert await ids(objects, max_bytes=400) == ["c"]


async def test_two_users_collections_of_one_name_never_meet(objects):
    mine = await create(objects, place("a"), whose="mine")
    theirs = await create(objects, place("a", user=OTHER_USER), whose="theirs")
    await create(objects, place("b", user=OTHER_USER))

    with pytest.raises(ObjectNotFoundError):
        await objects.delete(place("b"), etag=None)
    with pytest.raises(ObjectNotFoundError):
        await merge(objects, place("b"), n=1)
    await merge(objects, place("a"), n=1)
    await objects.delete(place("a"), etag=None)

    assert (mine.id, await ids(objects), await objects.collections(USER)) == ("a", [], [])
    assert await objects.get(place("b")) is None
    assert await objects.get(place("a", user=OTHER_USER)) == theirs
    assert await ids(objects, user=OTHER_USER) == ["b", "a"]


async def test_two_collections_of_a_user_never_meet(objects):
    await create(objects, place("a", "things"), n=1)
    await create(objects, place("a", "other"), n=2)

    await objects.delete(place("a", "things"), etag=None)

    assert await objects.get(place("a", "other")) == StoredObject("a", '{"_id":"a","n":2}')
    assert await objects.collections(USER) == ["other"]


async def test_collections_come_in_alphabetical_order_and_only_those_with_objects(objects):
    for name in ("b", "B", "_", "a", "9", "gone"):
        await create(objects, place("a", name))
    await objects.delete(place("a", "gone"), etag=None)

    assert await objects.collections(USER) == ["9", "B", "_", "a", "b"]


async def test_a_merge_sets_what_it_names_and_keeps_the_rest_in_its_place(objects):
    await create(objects, color="red", size={"w": 1, "h": 2}, on=True)

    merged = await merge(objects, color=None, size={"w": 3}, new=[1.0])

    assert merged.text == '{"_id":"a","color":null,"size":{"w":3},"on":true,"new":[1.0]}'
    assert await objects.get(place()) == merged


async def test_a_hundred_merges_of_different_members_at_once_all_survive(objects):
    await create(objects)

    await asyncio.gather(*(merge(objects, **{f"m{n}": n}) for n in range(100)))

    stored = await objects.get(place())
    assert json.loads(stored.text) == {"_id": "a"} | {f"m{n}": n for n in range(100)}


async def test_an_object_that_does_not_exist_is_neither_merged_nor_deleted(objects):
    await create(objects)

    with pytest.raises(ObjectNotFoundError):
        await merge(objects, place("b"), n=1)
    with pytest.raises(ObjectNotFoundError):
        await objects.delete(place("b"), etag=None)

    assert await ids(objects) == ["a"]


async def test_of_two_that_delete_at_once_one_succeeds(objects):
    stored = await create(objects, n=1)

    results = await outcomes([objects.delete(place(), etag=None) for _ in range(2)])

    assert results[0] == stored
    assert type(results[1]) is ObjectNotFoundError
    assert await objects.get(place()) is None


async def test_nothing_is_stored_for_a_user_who_is_gone(core, objects):
    stored = await create(objects, place("a"))
    await core.accounts.delete_user(USER, at_ms=9_000)

    refused = await outcomes(
        [create(objects, place("b")), create(objects, place("c", "new")), merge(objects, n=1)]
    )
    other = await create(objects, place("b", user=OTHER_USER))

    assert [type(error) for error in refused] == [InvalidSessionError] * 3
    assert other.id == "b"
    assert await objects.get(place("b")) is None
    assert await objects.get(place("a")) in (None, stored)


async def test_a_deleted_id_may_be_used_again(objects):
    await create(objects, n=1)
    await objects.delete(place(), etag=None)

    again = await create(objects, n=2)

    assert await objects.get(place()) == again


async def test_the_right_etag_lets_an_object_be_changed_and_deleted(objects):
    stored = await create(objects, n=1)

    merged = await merge(objects, etag=etag_of(stored), n=2)
    deleted = await objects.delete(place(), etag=etag_of(merged))

    assert deleted == merged


async def test_the_etag_of_an_earlier_state_changes_nothing(objects):
    old = etag_of(await create(objects, n=1))
    stored = await merge(objects, n=2)

    with pytest.raises(ObjectChangedError):
        await merge(objects, etag=old, n=3)
    with pytest.raises(ObjectChangedError):
        await objects.delete(place(), etag=old)

    assert await objects.get(place()) == stored


async def test_of_two_that_change_one_state_at_once_the_second_is_refused(objects):
    etag = etag_of(await create(objects, n=0))

    first, second = await outcomes([merge(objects, etag=etag, n=n) for n in (1, 2)])

    assert first == await objects.get(place())
    assert type(second) is ObjectChangedError


async def test_a_collection_takes_as_many_objects_as_it_may(objects):
    limits = CollectionLimits(objects_per_collection=3)
    results = await outcomes([create(objects, place(object_id), limits) for object_id in "abcd"])

    assert type(results[3]) is TooManyObjectsError
    assert await ids(objects) == ["c", "b", "a"]

    await objects.delete(place("b"), etag=None)
    await create(objects, place("d"), limits)
    assert await ids(objects) == ["d", "c", "a"]


async def test_a_collection_takes_as_many_bytes_as_it_may(objects):
    limits = CollectionLimits(bytes_per_collection=200)
    await objects.create(place("a"), text_of("a", 100), limits, at_ms=1)

    with pytest.raises(CollectionFullError):
        await objects.create(place("b"), text_of("b", 101), limits, at_ms=1)
    await objects.create(place("b"), text_of("b", 100), limits, at_ms=1)
    with pytest.raises(CollectionFullError):
        await create(objects, place("c"), limits)

    assert await ids(objects) == ["b", "a"]


async def test_bytes_are_those_of_utf_8(objects):
    text = object_text("a", {"x": "\U0001f600"}, max_bytes=100)
    size = len(text.encode())

    with pytest.raises(CollectionFullError):
        await create(
            objects, limits=CollectionLimits(bytes_per_collection=size - 1), x="\U0001f600"
        )
    await create(objects, limits=CollectionLimits(bytes_per_collection=size), x="\U0001f600")


async def test_a_deletion_gives_its_bytes_back(objects):
    limits = CollectionLimits(bytes_per_collection=200)
    for object_id in "ab":
        await objects.create(place(object_id), text_of(object_id, 100), limits, at_ms=1)

    await objects.delete(place("a"), etag=None)
    await objects.create(place("c"), text_of("c", 100), limits, at_ms=1)

    assert await ids(objects) == ["c", "b"]


async def test_a_merge_fills_the_collection_up_to_its_bytes_and_not_further(objects):
    stored = await create(objects, x="")
    full = CollectionLimits(bytes_per_collection=len(stored.text) + 5)

    with pytest.raises(CollectionFullError):
        await merge(objects, limits=full, x="123456")
    assert await objects.get(place()) == stored
    await merge(objects, limits=full, x="12345")
    with pytest.raises(CollectionFullError):
        await create(objects, place("b"), full)


async def test_an_object_may_shrink_in_a_collection_that_is_too_full(objects):
    await create(objects, x="123456", y=1)
    tight = CollectionLimits(bytes_per_collection=10)

    shrunk = await merge(objects, limits=tight, x="")
    same = await merge(objects, limits=tight, y=2)
    with pytest.raises(CollectionFullError):
        await merge(objects, limits=tight, x="1")

    assert shrunk.text == '{"_id":"a","x":"","y":1}'
    assert await objects.get(place()) == same


async def test_a_user_has_as_many_collections_as_they_may(objects):
    limits = CollectionLimits(collections_per_user=2)
    await create(objects, place("a", "zero", OTHER_USER), limits)
    names = ("one", "two", "three")

    results = await outcomes([create(objects, place("a", name), limits) for name in names])
    await create(objects, place("b", "one"), limits)

    assert type(results[2]) is TooManyCollectionsError
    assert await objects.collections(USER) == ["one", "two"]

    await objects.delete(place("a", "two"), etag=None)
    await create(objects, place("a", "three"), limits)
    assert await objects.collections(USER) == ["one", "three"]


async def test_collections_that_end_and_begin_at_once_are_counted_right(objects):
    limits = CollectionLimits(collections_per_user=2)
    await create(objects, place("a", "one"), limits)

    results = await outcomes(
        [
            create(objects, place("a", "two"), limits),
            create(objects, place("a", "three"), limits),
            objects.delete(place("a", "one"), etag=None),
            create(objects, place("a", "four"), limits),
            create(objects, place("a", "one"), limits),
        ]
    )

    assert [type(result) for result in results] == [
        StoredObject,
        TooManyCollectionsError,
        StoredObject,
        StoredObject,
        TooManyCollectionsError,
    ]
    assert await objects.collections(USER) == ["four", "two"]


async def test_a_collection_that_ends_makes_room_for_one_that_begins_right_after(objects):
    limits = CollectionLimits(collections_per_user=1)
    await create(objects, place("a", "one"), limits)

    results = await outcomes(
        [
            objects.delete(place("a", "one"), etag=None),
            create(objects, place("a", "two"), limits),
            create(objects, place("a", "three"), limits),
        ]
    )

    assert [type(r) for r in results] == [StoredObject, StoredObject, TooManyCollectionsError]
    assert await objects.collections(USER) == ["two"]


async def test_an_object_of_64_kib_is_stored_and_read_back(objects):
    text = text_of("a", 65_536)

    await objects.create(place(), text, LIMITS, at_ms=1)

    assert (await objects.get(place())).text == text


@pytest.mark.parametrize(("size", "is_taken"), [(65_536, True), (65_537, False)])
async def test_an_object_grows_up_to_64_kib_by_merging_and_not_further(objects, size, is_taken):
    before = await create(objects)
    grown = json.loads(text_of("a", 65_536))["x"] + "x" * (size - 65_536)

    (result,) = await outcomes([merge(objects, x=grown)])

    assert isinstance(result, StoredObject if is_taken else ObjectTooLargeError)
    assert await objects.get(place()) == (result if is_taken else before)


@pytest.mark.parametrize(("more", "is_taken"), [(499, True), (500, False)])
async def test_an_object_has_at_most_a_thousand_members_after_merging(objects, more, is_taken):
    before = await create(objects, **{f"a{n}": n for n in range(500)})

    (result,) = await outcomes([merge(objects, **{f"b{n}": n for n in range(more)})])

    assert isinstance(result, StoredObject if is_taken else InvalidBodyError)
    assert await objects.get(place()) == (result if is_taken else before)


@pytest.mark.parametrize(
    "members",
    [
        {"__proto__": {"admin": True}, "constructor": 1},
        {"a.b": 1, "$set": {"$gt": ""}, "_owner": "two", "": 0},
        {"\u00fcber": "\U0001f600 \u2028 \x7f '; DROP TABLE object --"},
        {"big": 2**63 - 1, "small": -(2**63), "real": 5e-324, "nested": [[{"_id": 1}]]},
    ],
    ids=["prototype", "operators", "unicode", "numbers"],
)
async def test_any_member_is_plain_data(objects, members):
    await create(objects, **members)

    merged = await merge(objects, place(), more=1)

    assert json.loads(merged.text) == {"_id": "a"} | members | {"more": 1}
    assert await merge(objects, **members) == merged


async def test_listeners_hear_each_commit_before_its_futures_resolve(objects):
    heard, resolved = [], []
    objects.on_commit(lambda changes: heard.extend((c.action, c.stored.text) for c in changes))
    futures = [create(objects, n=1), create(objects, n=2), merge(objects, n=3)]
    futures.append(objects.delete(place(), etag=None))
    futures[0].add_done_callback(lambda _: resolved.append(len(heard)))

    await outcomes(futures)

    assert heard == [
        (Action.CREATE, '{"_id":"a","n":1}'),
        (Action.UPDATE, '{"_id":"a","n":3}'),
        (Action.DELETE, '{"_id":"a","n":3}'),
    ]
    assert resolved
    assert resolved[0] >= 1


async def test_a_change_says_whose_and_which_object_it_is(objects):
    heard = []
    objects.on_commit(heard.extend)

    await create(objects, place("b", "x", OTHER_USER))

    (change,) = heard
    assert (change.user_id, change.collection, change.stored.id) == (OTHER_USER, "x", "b")
