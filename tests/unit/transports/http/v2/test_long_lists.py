"""How many long lists a user may have under way, and for whom work goes on."""

import asyncio
from contextlib import ExitStack

import pytest

from thingstead.kernel.errors import StoreUnavailableError, TooManyRequestsError
from thingstead.kernel.ids import UserId
from thingstead.transports.http.request import ClientGoneError, Request
from thingstead.transports.http.v2.long_lists import LongLists, while_connected

USER, OTHER_USER = UserId("one"), UserId("two")


class Client:
    """The receiving side of a request without a body; `left` is set when the client goes."""

    def __init__(self):
        self.left = asyncio.Event()
        self._messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self):
        if self._messages:
            return self._messages.pop()
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def request(self):
        scope = {"method": "GET", "raw_path": b"/", "headers": []}
        return Request(scope, self.receive)


@pytest.fixture
def client():
    return Client()


@pytest.fixture
async def tasks():
    """Nothing that a test started is left over."""
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}


def test_a_user_has_four_long_lists_at_a_time_and_not_five():
    lists = LongLists()

    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(lists.one_of(USER))
        with pytest.raises(TooManyRequestsError, match="4 long") as caught, lists.one_of(USER):
            pass
        with lists.one_of(OTHER_USER):
            pass

    assert caught.value.retry_after_s == 1
    with lists.one_of(USER):
        pass
    assert not lists._under_way


def test_a_list_that_fails_is_not_under_way_any_more():
    lists = LongLists()

    for _ in range(5):
        with pytest.raises(ZeroDivisionError), lists.one_of(USER):
            _ = 1 / 0


async def test_what_is_done_for_a_client_that_stays_is_returned(client, tasks):
    async def work():
        await asyncio.sleep(0)
        return 7

    assert await while_connected(client.request, work()) == 7


async def test_what_goes_wrong_is_raised(client, tasks):
    async def work():
        raise StoreUnavailableError

    with pytest.raises(StoreUnavailableError):
        await while_connected(client.request, work())


async def test_work_for_a_client_that_leaves_is_broken_off(client, tasks):
    ends = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("broken off")

    waiting = asyncio.create_task(while_connected(client.request, work()))
    await asyncio.sleep(0)
    client.left.set()

    with pytest.raises(ClientGoneError):
        await waiting
    assert ends == ["broken off"]


async def test_work_of_a_request_that_is_cancelled_is_broken_off(client, tasks):
    ends = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("broken off")

    waiting = asyncio.create_task(while_connected(client.request, work()))
    for _ in range(3):
        await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ends == ["broken off"]
