"""Bounds of lists that take long: how many one user has under way, and for whom they go on.

Knows nothing of what is listed. An answer in pieces has a watcher of its own (`app.py`); what
stands here is for the time before an answer has begun.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from thingstead.kernel.errors import TooManyRequestsError
from thingstead.kernel.ids import UserId
from thingstead.transports.http.request import ClientGoneError, Receive, Request

Result = TypeVar("Result")

# Fifty lists of 16 MiB by one user kept everybody else waiting for up to 0.4 s.
LISTS_AT_ONCE = 4


class LongLists:
    """Counts the lists that each user has under way."""

    def __init__(self) -> None:
        self._under_way: Counter[UserId] = Counter()

    @contextmanager
    def one_of(self, user_id: UserId) -> Iterator[None]:
        """Count one more until the block ends.

        Raises:
            TooManyRequestsError: the user has as many under way as one may have.
        """
        if self._under_way[user_id] >= LISTS_AT_ONCE:
            raise TooManyRequestsError(
                f"{LISTS_AT_ONCE} long or filtered lists of one user at a time", retry_after_s=1
            )
        self._under_way[user_id] += 1
        try:
            yield
        finally:
            self._under_way[user_id] -= 1
            if not self._under_way[user_id]:
                del self._under_way[user_id]


async def while_connected(request: Request, work: Coroutine[object, object, Result]) -> Result:
    """Do the work and return its result; cancel it as soon as the client has left.

    The request's body must have been read, or be of no interest.

    Raises:
        ClientGoneError: the client left before the end.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_client_leaves(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGoneError
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
