"""Lists of objects for clients that leave before there is an answer."""

import asyncio
from types import SimpleNamespace

import pytest

from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from doubles.objects import MemoryObjectStore
from thingstead.bus.memory import MemoryBus
from thingstead.features.collections.model import CollectionLimits
from thingstead.features.collections.service import Collections
from thingstead.kernel.errors import TooManyRequestsError
from thingstead.kernel.ids import UserId
from thingstead.transports.http.request import ClientGoneError, Request
from thingstead.transports.http.v2.collections import CollectionHandlers
from thingstead.transports.http.v2.limits import V2Limits

CALLER = SimpleNamespace(user=SimpleNamespace(id=UserId("one")))


class SlowStore(MemoryObjectStore):
    """Never finds out what a page holds, and keeps who waits for it."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def page(self, *args, **options):
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]


@pytest.fixture
def store():
    return SlowStore()


@pytest.fixture
def handlers(store):
    service = Collections(
        store,
        MemoryBus(),
        SequentialIds(),
        ManualClock(),
        limits=CollectionLimits(),
        replay=store.replay,
    )
    return CollectionHandlers(None, service, None, V2Limits())


def filtered(handlers, leaves):
    """Ask for a filtered list for a client that goes when `leaves` is set."""

    async def receive():
        await leaves.wait()
        return {"type": "http.disconnect"}

    query = b"where=%7B%22n%22:1%7D"
    scope = {"method": "GET", "raw_path": b"/", "query_string": query, "headers": []}
    request = Request(scope, receive)
    request.arguments = {"collection": "rooms"}
    return asyncio.create_task(handlers.list_objects(request, CALLER))


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nothing_is_looked_for_any_more_when_the_client_has_left(handlers, store):
    leaves = asyncio.Event()
    listing = filtered(handlers, leaves)
    await turns()

    leaves.set()
    with pytest.raises(ClientGoneError):
        await listing

    assert [page.cancelled() for page in store.waiting] == [True]


async def test_four_filtered_lists_are_made_at_a_time_until_one_ends(handlers):
    leaves = asyncio.Event()
    lists = [filtered(handlers, leaves) for _ in range(4)]
    await turns()

    with pytest.raises(TooManyRequestsError):
        await filtered(handlers, asyncio.Event())
    leaves.set()
    await asyncio.gather(*lists, return_exceptions=True)
    another = filtered(handlers, asyncio.Event())
    await turns()

    assert not another.done()
    another.cancel()
