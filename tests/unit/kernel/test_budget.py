"""Token buckets, on a clock that the test moves."""

import pytest

from doubles.clock import ManualClock
from thingstead.kernel.budget import Budgets, Rate, TokenBucket

RATE = Rate(per_second=2.0, burst=5.0)


@pytest.fixture
def clock():
    return ManualClock()


def takes(bucket, clock, times):
    return [bucket.take(RATE, clock.monotonic()) for _ in range(times)]


def test_a_new_bucket_gives_its_burst_and_no_more(clock):
    bucket = TokenBucket(RATE, clock.monotonic())

    assert takes(bucket, clock, 6) == [0.0] * 5 + [0.5]


def test_the_wait_is_until_enough_has_come_back(clock):
    bucket = TokenBucket(RATE, clock.monotonic())
    takes(bucket, clock, 5)
    clock.advance(0.25)

    assert takes(bucket, clock, 1) == [0.25]


def test_refusals_take_nothing(clock):
    bucket = TokenBucket(RATE, clock.monotonic())
    takes(bucket, clock, 100)
    clock.advance(0.5)

    assert takes(bucket, clock, 2) == [0.0, 0.5]


def test_a_long_pause_gives_no_more_than_the_burst(clock):
    bucket = TokenBucket(RATE, clock.monotonic())
    takes(bucket, clock, 5)
    clock.advance(1_000_000)

    assert takes(bucket, clock, 6) == [0.0] * 5 + [0.5]


def test_a_cost_is_taken_whole_or_not_at_all(clock):
    bucket = TokenBucket(RATE, clock.monotonic())

    assert bucket.take(RATE, clock.monotonic(), 3.0) == 0.0
    assert bucket.take(RATE, clock.monotonic(), 3.0) == 0.5
    assert bucket.take(RATE, clock.monotonic(), 2.0) == 0.0


def test_asking_how_long_to_wait_takes_nothing(clock):
    bucket = TokenBucket(RATE, clock.monotonic())
    takes(bucket, clock, 4)

    assert bucket.wait(RATE, clock.monotonic()) == 0.0
    assert takes(bucket, clock, 1) == [0.0]
    assert bucket.wait(RATE, clock.monotonic()) == 0.5


def test_a_bucket_is_full_when_time_has_given_back_what_was_taken(clock):
    bucket = TokenBucket(RATE, clock.monotonic())
    takes(bucket, clock, 1)

    assert not bucket.is_full(RATE, clock.monotonic())
    clock.advance(0.5)
    assert bucket.is_full(RATE, clock.monotonic())


def test_keys_have_budgets_of_their_own(clock):
    budgets = Budgets(Rate(1.0, 1.0))

    assert budgets.take("a", clock.monotonic()) == 0.0
    assert budgets.take("a", clock.monotonic()) == 1.0
    assert budgets.take("b", clock.monotonic()) == 0.0


def test_an_unknown_key_need_not_wait(clock):
    budgets = Budgets(Rate(1.0, 1.0))
    budgets.take("a", clock.monotonic())

    assert budgets.wait("b", clock.monotonic()) == 0.0
    assert budgets.wait("a", clock.monotonic()) == 1.0
    assert len(budgets) == 1


def test_what_is_given_back_can_be_taken_again(clock):
    budgets = Budgets(Rate(1.0, 1.0))
    budgets.take("a", clock.monotonic())

    budgets.give_back("a")

    assert budgets.take("a", clock.monotonic()) == 0.0


def test_giving_back_never_makes_more_than_the_burst(clock):
    budgets = Budgets(Rate(1.0, 1.0))
    budgets.take("a", clock.monotonic())

    budgets.give_back("a", 5.0)
    budgets.give_back("b", 5.0)

    assert len(budgets) == 1
    assert [budgets.take("a", clock.monotonic()) for _ in range(2)] == [0.0, 1.0]


def test_full_buckets_are_forgotten_when_the_table_is_full(clock):
    budgets = Budgets(Rate(1.0, 1.0), max_keys=3)
    for key in "abc":
        budgets.take(key, clock.monotonic())
    clock.advance(1.0)
    budgets.take("c", clock.monotonic())

    budgets.take("d", clock.monotonic())

    assert len(budgets) == 2
    assert budgets.take("c", clock.monotonic()) == 1.0


def test_the_oldest_half_is_forgotten_when_every_key_is_active(clock):
    budgets = Budgets(Rate(1.0, 1.0), max_keys=4)
    for key in "abcd":
        budgets.take(key, clock.monotonic())

    budgets.take("e", clock.monotonic())

    assert len(budgets) == 3
    assert budgets.wait("a", clock.monotonic()) == 0.0
    assert budgets.wait("d", clock.monotonic()) == 1.0


@pytest.mark.parametrize("max_keys", [1, 2, 3, 4, 5, 100])
def test_the_table_never_holds_more_keys_than_it_may(clock, max_keys):
    budgets = Budgets(Rate(1.0, 1.0), max_keys=max_keys)

    for key in range(max_keys * 3):
        budgets.take(key, clock.monotonic())
        assert len(budgets) <= max_keys
