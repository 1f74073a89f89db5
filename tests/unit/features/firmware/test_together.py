"""What comes at once is stored together."""

import asyncio

import pytest

from thingstead.features.firmware.together import LARGEST_CALL, Together
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError


class Store:
    """Takes what it gets when `go` is set, and gives back ten times each."""

    def __init__(self):
        self.calls = []
        self.is_called = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self.error = None

    async def __call__(self, items):
        self.calls.append(list(items))
        self.is_called.set()
        await self.go.wait()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return [10 * item for item in items]


@pytest.fixture
def store():
    return Store()


async def test_who_comes_at_once_shares_a_call_and_gets_their_own(store):
    together = Together(store)

    results = await asyncio.gather(*(together.put([number, -number]) for number in range(3)))

    assert results == [[0, 0], [10, -10], [20, -20]]
    assert store.calls == [[0, 0, 1, -1, 2, -2]]


async def test_who_comes_during_a_call_goes_into_the_next(store):
    together = Together(store)
    store.go.clear()
    first = asyncio.create_task(together.put([1]))
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    others = [asyncio.create_task(together.put([number])) for number in (2, 3)]
    await asyncio.sleep(0)
    store.go.set()
    await asyncio.gather(first, *others)

    assert store.calls == [[1], [2, 3]]


async def test_nothing_needs_no_call(store):
    assert await Together(store).put([]) == []
    assert store.calls == []


async def test_a_call_takes_500_and_not_one_more(store):
    together = Together(store)

    await together.put(range(LARGEST_CALL))
    await together.put(range(LARGEST_CALL + 1))

    assert [len(call) for call in store.calls] == [500, 500, 1]


async def test_a_cancelled_caller_takes_nothing_from_the_others(store):
    together = Together(store)
    store.go.clear()
    first, second = (asyncio.create_task(together.put([number])) for number in (1, 2))
    await store.is_called.wait()

    first.cancel()
    await asyncio.wait([first])
    store.go.set()

    assert await second == [20]
    assert store.calls == [[1, 2]]


async def test_what_a_caller_handed_in_is_stored_though_it_is_gone_before_the_call(store):
    together = Together(store)
    caller = asyncio.create_task(together.put([1]))
    await asyncio.sleep(0)

    caller.cancel()
    await asyncio.wait([caller])
    await together.put([2])

    assert [item for call in store.calls for item in call] == [1, 2]


async def test_an_error_reaches_all_of_its_call_and_nobody_else(store):
    together = Together(store)
    store.error = StoreUnavailableError()
    store.go.clear()
    first = asyncio.create_task(together.put([1, 2]))
    gone = asyncio.create_task(together.put([3]))
    await store.is_called.wait()
    second = asyncio.create_task(together.put([4]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    store.go.set()

    with pytest.raises(StoreUnavailableError):
        await first
    assert await second == [40]


async def test_so_many_may_wait_and_not_one_more(store):
    together = Together(store, most_waiting=3)
    store.go.clear()
    at_the_limit = asyncio.create_task(together.put([1, 2, 3]))
    await asyncio.sleep(0)

    with pytest.raises(OverloadedError):
        await Together(store, most_waiting=3).put([1, 2, 3, 4])

    store.go.set()
    assert await at_the_limit == [10, 20, 30]


async def test_when_the_storing_is_cancelled_nobody_waits_for_ever(store):
    together = Together(store)
    store.go.clear()
    first = asyncio.create_task(together.put([1]))
    await store.is_called.wait()
    second = asyncio.create_task(together.put([2]))
    await asyncio.sleep(0)

    together._task.cancel()

    for caller in (first, second):
        with pytest.raises(asyncio.CancelledError):
            await caller
