"""Kept readings are those that the database would give."""

import pytest

from thingstead.features.values.model import Reading
from thingstead.storage.newest_cache import NewestCache


def reading(rows=1):
    return Reading("t", [(n, n, None, None) for n in range(rows)])


@pytest.fixture
def cache():
    return NewestCache(100)


def keep(cache, thing_id, what, limit=1):
    cache.fill(thing_id, "t", limit, cache.reserve(thing_id, "t", limit), what)


def test_a_reading_is_given_back_for_its_thing_key_and_limit(cache):
    kept = reading()

    keep(cache, "thing", kept)

    assert cache.get("thing", "t", 1) is kept
    assert cache.get("thing", "t", 2) is None
    assert cache.get("thing", "u", 1) is None
    assert cache.get("other", "t", 1) is None


def test_a_commit_drops_everything_of_its_thing_only(cache):
    keep(cache, "thing", reading())
    keep(cache, "other", reading())

    cache.drop("thing")

    assert cache.get("thing", "t", 1) is None
    assert cache.get("other", "t", 1) is not None


def test_a_reading_that_a_commit_overtook_is_not_kept(cache):
    slot = cache.reserve("thing", "t", 1)
    cache.drop("thing")

    cache.fill("thing", "t", 1, slot, reading())

    assert cache.get("thing", "t", 1) is None
    assert len(cache) == 0


def test_a_reading_is_not_kept_in_the_place_of_a_later_look_up(cache):
    early = cache.reserve("thing", "t", 1)
    cache.drop("thing")
    late = cache.reserve("thing", "t", 1)
    stale, fresh = reading(), reading()

    cache.fill("thing", "t", 1, early, stale)
    cache.fill("thing", "t", 1, late, fresh)

    assert cache.get("thing", "t", 1) is fresh


def test_two_look_ups_at_once_count_once(cache):
    slots = [cache.reserve("thing", "t", 1) for _ in range(2)]

    for slot in slots:
        cache.fill("thing", "t", 1, slot, reading())
    cache.drop("thing")

    assert len(cache) == 0


def test_a_look_up_that_found_nothing_leaves_nothing(cache):
    slot = cache.reserve("thing", "nothing", 1)

    cache.fill("thing", "nothing", 1, slot, None)

    assert cache._slots == {}


@pytest.mark.parametrize(("rows", "is_kept"), [(95, True), (96, False)])
def test_no_more_rows_are_kept_than_may_be(cache, rows, is_kept):
    keep(cache, "thing", reading(rows), limit=96)

    assert (cache.get("thing", "t", 96) is not None) is is_kept
    assert len(cache) <= 100


def test_the_thing_kept_longest_goes_first(cache):
    for number in range(3):
        keep(cache, f"thing-{number}", reading(40), limit=40)

    kept = [cache.get(f"thing-{number}", "t", 40) is not None for number in range(3)]

    assert kept == [False, True, True]


def test_clearing_forgets_everything(cache):
    keep(cache, "thing", reading())

    cache.clear()

    assert cache.get("thing", "t", 1) is None
    assert len(cache) == 0
