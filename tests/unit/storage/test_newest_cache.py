"""Kept readings are those that the database would give."""

import pytest

from thingstead.features.values.model import Reading
from thingstead.kernel.json_values import JSONText
from thingstead.storage.newest_cache import NewestCache, weight_of

BOUND = 100_000


def reading(rows=1):
    return Reading("t", [(n, n, None, None) for n in range(rows)])


@pytest.fixture
def cache():
    return NewestCache(BOUND)


def asked(key="t", limit=1, epochs=(0,)):
    return (epochs, key, limit)


def keep(cache, thing_id, what, limit=1):
    cache.fill(thing_id, asked("t", limit), cache.reserve(thing_id, asked("t", limit)), what)


def test_a_reading_is_given_back_for_its_thing_key_and_limit(cache):
    kept = reading()

    keep(cache, "thing", kept)

    assert cache.get("thing", asked("t", 1)) is kept
    assert cache.get("thing", asked("t", 2)) is None
    assert cache.get("thing", asked("u", 1)) is None
    assert cache.get("other", asked("t", 1)) is None


def test_a_reading_is_not_given_for_other_epochs(cache):
    question = asked(epochs=(0, 2))
    kept = reading()

    cache.fill("thing", question, cache.reserve("thing", question), kept)

    assert cache.get("thing", question) is kept
    for epochs in ((0,), (2,), (0, 1, 2)):
        assert cache.get("thing", asked(epochs=epochs)) is None


def test_a_commit_drops_everything_of_its_thing_only(cache):
    keep(cache, "thing", reading())
    keep(cache, "other", reading())

    cache.drop("thing")

    assert cache.get("thing", asked("t", 1)) is None
    assert cache.get("other", asked("t", 1)) is not None


def test_a_reading_that_a_commit_overtook_is_not_kept(cache):
    slot = cache.reserve("thing", asked("t"))
    cache.drop("thing")

    cache.fill("thing", asked("t"), slot, reading())

    assert cache.get("thing", asked("t", 1)) is None
    assert len(cache) == 0


def test_a_reading_is_not_kept_in_the_place_of_a_later_look_up(cache):
    early = cache.reserve("thing", asked("t"))
    cache.drop("thing")
    late = cache.reserve("thing", asked("t"))
    stale, fresh = reading(), reading()

    cache.fill("thing", asked("t"), early, stale)
    cache.fill("thing", asked("t"), late, fresh)

    assert cache.get("thing", asked("t", 1)) is fresh


def test_two_look_ups_at_once_count_once(cache):
    slots = [cache.reserve("thing", asked("t")) for _ in range(2)]

    for slot in slots:
        cache.fill("thing", asked("t"), slot, reading())
    cache.drop("thing")

    assert len(cache) == 0


def test_a_look_up_that_found_nothing_leaves_nothing(cache):
    slot = cache.reserve("thing", asked("nothing"))

    cache.fill("thing", asked("nothing"), slot, None)

    assert cache._slots == {}


@pytest.mark.parametrize(("more", "is_kept"), [(0, True), (1, False)])
def test_no_more_is_kept_than_may_be(more, is_kept):
    cache = NewestCache(weight_of(reading(9)) - more)

    keep(cache, "thing", reading(9))

    assert (cache.get("thing", asked("t", 1)) is not None) is is_kept
    assert len(cache) <= weight_of(reading(9))


@pytest.mark.parametrize("value", ["x" * 8_000, JSONText(b"[" + b"[]," * 2_666 + b"[]]")])
def test_a_large_value_weighs_what_it_takes(value):
    large = Reading("t", [(value, 1, None, None)])

    assert weight_of(large) > 8_000 + weight_of(reading(1)) - 1_000


def test_the_thing_kept_longest_goes_first():
    cache = NewestCache(2 * weight_of(reading(40)))
    for number in range(3):
        keep(cache, f"thing-{number}", reading(40), limit=40)

    kept = [cache.get(f"thing-{number}", asked("t", 40)) is not None for number in range(3)]

    assert kept == [False, True, True]
