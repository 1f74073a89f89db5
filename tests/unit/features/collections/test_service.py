"""The rules of collections."""

import asyncio

import pytest

from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from doubles.objects import MemoryObjectStore
from thingstead.bus.memory import MemoryBus
from thingstead.features.collections.errors import (
    InvalidCollectionError,
    InvalidFilterError,
    InvalidObjectError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    TooManyObjectsError,
)
from thingstead.features.collections.etags import etag_of
from thingstead.features.collections.model import (
    Action,
    CollectionLimits,
    ObjectChange,
    ObjectEvent,
    StoredObject,
    topic_of,
)
from thingstead.features.collections.service import Collections
from thingstead.kernel.ids import UserId

USER, OTHER_USER = UserId("one"), UserId("two")


class WatchedStore(MemoryObjectStore):
    """Keeps the pages that were asked for, and does not hand them out before it is told to."""

    def __init__(self):
        super().__init__()
        self.pages = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def page(self, *args, **options):
        page = super().page(*args, **options)
        self.pages.append(page.result())
        return asyncio.ensure_future(self._answered(page.result()))

    async def _answered(self, page):
        await self.may_answer.wait()
        return page


class Rig:
    """The service on a memory store, with a listener on one collection."""

    def __init__(self, **limits):
        self.clock = ManualClock()
        self.store = WatchedStore()
        self.bus = MemoryBus()
        self.collections = Collections(
            self.store,
            self.bus,
            SequentialIds(),
            self.clock,
            limits=CollectionLimits(**limits),
            replay=self.store.replay,
        )
        self.heard = []
        self.bus.listen(topic_of(USER, "things"), self.heard.append)

    async def create(self, value, collection="things", user=USER):
        return await self.collections.create(user, collection, value)

    async def merge(self, members, object_id="a", **options):
        return await self.collections.merge(USER, "things", object_id, members, **options)

    async def ids(self, **options):
        pages = self.collections.all(USER, "things", **options)
        return [stored.id async for page in pages for stored in page]


@pytest.fixture
def rig():
    return Rig()


async def test_an_object_s_text_begins_with_its_id_and_keeps_the_order_sent(rig):
    stored = await rig.create({"b": 1, "_id": "x", "a": [1.0, None], "\u00fc": " "})

    assert stored.text == '{"_id":"x","b":1,"a":[1.0,null],"\u00fc":" "}'


async def test_an_object_without_an_id_gets_one_that_sorts_by_time(rig):
    first = await rig.create({})
    rig.clock.advance(1)
    second = await rig.create({})

    assert await rig.ids() == [second.id, first.id]
    assert first.text == f'{{"_id":"{first.id}"}}'


async def test_a_whole_number_as_id_is_the_text_of_its_digits(rig):
    stored = await rig.create({"_id": 1})

    assert stored == StoredObject("1", '{"_id":"1"}')
    with pytest.raises(ObjectExistsError):
        await rig.create({"_id": "1"})
    assert (await rig.create({"_id": -7})).id == "-7"


@pytest.mark.parametrize(
    "object_id",
    [1.0, True, None, [], {}, "", "x" * 129, "a b", "a/b", "\u00fc", "a\n", "\u0661", ".", ".."],
    ids=repr,
)
async def test_what_cannot_be_an_id_is_refused(rig, object_id):
    with pytest.raises(InvalidObjectError, match="_id"):
        await rig.create({"_id": object_id})

    assert await rig.ids() == []


async def test_an_id_has_up_to_128_of_its_characters(rig):
    longest = ("azAZ09_.:@-" * 12)[:128]

    assert (await rig.create({"_id": longest})).id == longest


@pytest.mark.parametrize("object_id", ["...", ".a", "a.", "..a"])
async def test_an_id_may_hold_dots_beside_others(rig, object_id):
    assert (await rig.create({"_id": object_id})).id == object_id


@pytest.mark.parametrize("value", [[], "text", 1, None, True], ids=repr)
async def test_what_is_no_json_object_is_refused(rig, value):
    with pytest.raises(InvalidObjectError, match="JSON object"):
        await rig.create(value)
    with pytest.raises(InvalidObjectError, match="JSON object"):
        await rig.merge(value)


@pytest.mark.parametrize("name", ["", "x" * 65, "a.b", "a b", "a/b", "\u00fc", "a\n", "a:b"])
async def test_what_cannot_be_a_collection_s_name_is_refused(rig, name):
    collections = rig.collections
    calls = (
        lambda: collections.create(USER, name, {}),
        lambda: collections.merge(USER, name, "a", {}),
        lambda: collections.delete(USER, name, "a"),
        lambda: collections.get(USER, name, "a"),
    )
    for call in calls:
        with pytest.raises(InvalidCollectionError):
            await call()
    with pytest.raises(InvalidCollectionError, match="1 to 64 letters"):
        collections.all(USER, name)


async def test_a_collection_s_name_has_up_to_64_of_its_characters(rig):
    longest = ("azAZ09_-" * 8)[:64]

    await rig.create({}, longest)

    assert await rig.collections.names(USER) == [longest]
    assert await rig.collections.names(OTHER_USER) == []


async def test_an_object_has_at_most_its_bytes_in_utf_8():
    rig = Rig(object_bytes=20)

    assert len((await rig.create({"_id": "a", "x": "\u00fc"})).text.encode()) == 20
    with pytest.raises(ObjectTooLargeError, match="20"):
        await rig.create({"_id": "b", "x": "\u00fcx"})
    assert await rig.ids() == ["a"]


async def test_the_store_is_told_the_limits():
    rig = Rig(objects_per_collection=1)
    await rig.create({})

    with pytest.raises(TooManyObjectsError):
        await rig.create({})


async def test_operators_and_prototypes_are_plain_data(rig):
    stored = await rig.create({"_id": "a", "$set": 1, "_owner": "two", "__proto__": {}, "a.b": 2})

    assert stored.text == '{"_id":"a","$set":1,"_owner":"two","__proto__":{},"a.b":2}'


async def test_merging_is_shallow_and_null_is_a_value(rig):
    await rig.create({"_id": "a", "kept": 1, "inner": {"x": 1, "y": 2}, "gone": 3})

    merged = await rig.merge({"inner": {"x": 5}, "gone": None, "new": True})

    assert merged.text == '{"_id":"a","kept":1,"inner":{"x":5},"gone":null,"new":true}'
    assert await rig.collections.get(USER, "things", "a") == merged


@pytest.mark.parametrize("object_id", ["7", 7])
async def test_a_merge_may_repeat_the_object_s_id(rig, object_id):
    await rig.create({"_id": "7"})

    merged = await rig.merge({"n": 1, "_id": object_id}, "7")

    assert merged.text == '{"_id":"7","n":1}'


@pytest.mark.parametrize("object_id", ["b", 7, 1.0, None, True, ""], ids=repr)
async def test_a_merge_cannot_change_the_object_s_id(rig, object_id):
    await rig.create({"_id": "a"})

    with pytest.raises(InvalidObjectError, match="_id"):
        await rig.merge({"_id": object_id, "n": 1})

    assert (await rig.collections.get(USER, "things", "a")).text == '{"_id":"a"}'


async def test_members_larger_than_any_object_are_refused_before_they_wait():
    rig = Rig(object_bytes=20)

    with pytest.raises(ObjectTooLargeError):
        await rig.merge({"x": "x" * 20}, "missing")
    with pytest.raises(ObjectNotFoundError):
        await rig.merge({"x": "x" * 12}, "missing")


async def test_an_etag_must_be_that_of_the_object(rig):
    old = etag_of(await rig.create({"_id": "a"}))
    new = etag_of(await rig.merge({"n": 1}, etag=old))

    with pytest.raises(ObjectChangedError):
        await rig.merge({"n": 2}, etag=old)
    with pytest.raises(ObjectChangedError):
        await rig.collections.delete(USER, "things", "a", etag=old)
    deleted = await rig.collections.delete(USER, "things", "a", etag=new)

    assert deleted.text == '{"_id":"a","n":1}'


def test_an_etag_is_32_hexadecimal_digits_of_the_text():
    etag = etag_of(StoredObject("a", '{"_id":"a"}'))

    assert len(etag) == 32
    assert set(etag) <= set("0123456789abcdef")
    assert etag != etag_of(StoredObject("a", '{"_id":"b"}'))


@pytest.mark.parametrize("object_id", ["missing", "", "a b", "\u00fc", "x" * 129], ids=repr)
async def test_an_id_that_cannot_exist_is_answered_as_one_that_does_not(rig, object_id):
    await rig.create({"_id": "a"})

    for call in (rig.collections.get, rig.collections.delete):
        with pytest.raises(ObjectNotFoundError):
            await call(USER, "things", object_id)
    with pytest.raises(ObjectNotFoundError):
        await rig.merge({"n": 1}, object_id)


async def test_an_object_of_another_user_does_not_exist(rig):
    await rig.create({"_id": "a"}, user=OTHER_USER)

    with pytest.raises(ObjectNotFoundError):
        await rig.collections.get(USER, "things", "a")
    assert await rig.ids() == []


async def test_all_objects_come_descending_page_by_page(rig):
    await asyncio.gather(*(rig.create({"_id": f"{n:04d}"}) for n in range(1_001)))

    pages = [page async for page in rig.collections.all(USER, "things")]

    assert [len(page) for page in pages] == [500, 500, 1]
    assert [s.id for page in pages for s in page] == [f"{n:04d}" for n in range(1_000, -1, -1)]


@pytest.mark.parametrize("where", [None, {"n": 1}])
async def test_the_first_page_holds_about_256_kib_at_most_and_each_other_64(rig, where):
    await asyncio.gather(*(rig.create({"n": 1, "x": "x" * 60_000}) for _ in range(10)))

    pages = [page async for page in rig.collections.all(USER, "things", where=where)]

    assert [len(page) for page in pages] == [5, 2, 2, 1]


async def test_a_filter_looks_at_about_32_kib_at_a_time(rig):
    await asyncio.gather(*(rig.create({"_id": f"{n}", "x": "x" * 10_000}) for n in range(9)))

    assert await rig.ids(where={"x": "y"}) == []

    assert [page.last for page in rig.store.pages] == ["5", "1", "0", None]
    assert not any(page.objects for page in rig.store.pages)


async def test_at_most_four_filters_look_at_objects_at_a_time(rig):
    await rig.create({"_id": "a"})
    rig.store.may_answer.clear()
    scans = [asyncio.create_task(rig.ids(where={"_id": "a"})) for _ in range(6)]
    for _ in range(10):
        await asyncio.sleep(0)

    asked_for = len(rig.store.pages)
    rig.store.may_answer.set()

    assert asked_for == 4
    assert await asyncio.gather(*scans) == [["a"]] * 6


async def test_small_matches_of_many_slices_are_one_page(rig):
    await asyncio.gather(
        *(rig.create({"_id": f"{n:02}", "x": "x" * 40_000, "n": n % 10}) for n in range(30))
    )
    pages = [p async for p in rig.collections.all(USER, "things", where={"n": 3})]

    assert [[stored.id for stored in page] for page in pages] == [["23", "13", "03"]]


async def test_after_goes_on_with_smaller_ids(rig):
    for object_id in "abcd":
        await rig.create({"_id": object_id})

    assert await rig.ids(after="c") == ["b", "a"]
    assert await rig.ids(after="bb", limit=1) == ["b"]


@pytest.mark.parametrize("after", ["", "a b", "x" * 129])
def test_after_must_be_an_id(rig, after):
    with pytest.raises(InvalidFilterError, match="after"):
        rig.collections.all(USER, "things", after=after)


@pytest.mark.parametrize("limit", [1, 500, 501, 600])
async def test_a_limit_is_kept_over_pages(rig, limit):
    await asyncio.gather(*(rig.create({}) for _ in range(600)))

    assert len(await rig.ids(limit=limit)) == limit


async def test_a_limit_counts_what_matches(rig):
    await asyncio.gather(*(rig.create({"_id": f"{n:04d}", "n": n % 600}) for n in range(1_200)))

    assert await rig.ids(where={"n": 5}) == ["0605", "0005"]
    assert await rig.ids(where={"n": 5}, limit=1) == ["0605"]
    assert await rig.ids(where={"n": 5}, after="0605") == ["0005"]
    assert await rig.ids(where={}, limit=2) == ["1199", "1198"]


async def test_pages_without_a_match_are_left_out(rig):
    await asyncio.gather(*(rig.create({"_id": f"{n:04d}"}) for n in range(600)))

    pages = [p async for p in rig.collections.all(USER, "things", where={"_id": "0001"})]

    assert [[stored.id for stored in page] for page in pages] == [["0001"]]


def test_too_large_a_filter_is_refused_at_once(rig):
    where = {f"m{n}": n for n in range(11)}

    with pytest.raises(InvalidFilterError):
        rig.collections.all(USER, "things", where=where)


async def test_each_change_is_announced_to_who_listens_to_the_collection(rig):
    await rig.create({"_id": "a"})
    await rig.merge({"n": 1})
    with pytest.raises(ObjectExistsError):
        await rig.create({"_id": "a"})
    await rig.collections.delete(USER, "things", "a")

    assert [event.change for event in rig.heard] == [
        ObjectChange(USER, "things", action, StoredObject("a", text), sequence)
        for sequence, (action, text) in enumerate(
            (
                (Action.CREATE, '{"_id":"a"}'),
                (Action.UPDATE, '{"_id":"a","n":1}'),
                (Action.DELETE, '{"_id":"a","n":1}'),
            ),
            1,
        )
    ]
    assert {event.topic for event in rig.heard} == {"collection:one:things"}


async def test_nobody_hears_of_other_collections_and_other_users(rig):
    await rig.create({}, collection="other")
    await rig.create({}, user=OTHER_USER)

    assert rig.heard == []


async def test_a_change_is_announced_before_it_is_answered(rig):
    await rig.create({})

    assert len(rig.heard) == 1


def test_an_event_weighs_about_its_text():
    def weight(text):
        change = ObjectChange(USER, "things", Action.CREATE, StoredObject("a", text))
        return ObjectEvent("topic", change).weight()

    assert weight("x" * 5_000) - weight("") == 5_000
    assert weight("") > 0


def test_events_that_differ_in_their_encodings_only_are_equal():
    change = ObjectChange(USER, "things", Action.CREATE, StoredObject("a", "{}"))
    event = ObjectEvent("topic", change)
    event.encodings["json"] = b"{}"

    assert event == ObjectEvent("topic", change)


async def test_what_was_missed_of_a_collection_is_told_as_it_was_heard(rig):
    await rig.create({"_id": "a"})
    await rig.create({"_id": "b"}, collection="other")
    await rig.merge({"n": 1})

    page = await rig.collections.missed(USER, "things", 0)

    assert page.events == rig.heard
    assert await rig.collections.head() == 3


async def test_what_was_missed_of_a_collection_that_cannot_be_is_refused(rig):
    with pytest.raises(InvalidCollectionError):
        await rig.collections.missed(USER, "no/name", 0)


async def test_an_event_has_the_sequence_of_its_change(rig):
    await rig.create({"_id": "a"})

    assert [event.sequence for event in rig.heard] == [1]
