"""Stores what comes at once together: a fleet asks at once, and a commit costs what it costs.

One call of the store at a time takes all that waits. Knows nothing of what is stored.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from thingstead.kernel.errors import OverloadedError

# Other writers of the file wait for as long as a call takes.
LARGEST_CALL = 500
_MOST_WAITING = 50_000

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Together(Generic[_Item, _Result]):
    """Stores items in the order in which they came; one result for each.

    The storing runs in a task of its own, so that a caller who is cancelled takes nothing from
    the others, and what it handed in is stored as well.
    """

    def __init__(
        self,
        store: Callable[[Sequence[_Item]], Awaitable[Sequence[_Result]]],
        *,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._store = store
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[_Item, asyncio.Future[_Result]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def put(self, items: Sequence[_Item]) -> list[_Result]:
        """Store the items; durable on return. What the store raises, all of its call get.

        Raises:
            OverloadedError: too much waits; nothing was stored.
        """
        if len(self._waiting) + len(items) > self._most_waiting:
            raise OverloadedError("too many updates of things wait to be stored")
        if not items:
            return []
        loop = asyncio.get_running_loop()
        results: list[asyncio.Future[_Result]] = [loop.create_future() for _ in items]
        self._waiting.extend(zip(items, results, strict=True))
        if self._task is None:
            self._task = loop.create_task(self._store_all())
        return await asyncio.gather(*results)

    async def _store_all(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), LARGEST_CALL)
                await self._store_some([self._waiting.popleft() for _ in range(count)])
        finally:
            self._task = None
            # Only a cancelled task leaves some: nobody else would ever answer them.
            for _, result in self._waiting:
                result.cancel()
            self._waiting.clear()

    async def _store_some(self, taken: list[tuple[_Item, asyncio.Future[_Result]]]) -> None:
        try:
            stored = await self._store([item for item, _ in taken])
        except Exception as error:  # noqa: BLE001 - those who wait get it, and others go on
            for _, result in taken:
                if not result.done():
                    result.set_exception(error)
            return
        except BaseException:
            for _, result in taken:
                result.cancel()
            raise
        for (_, result), each in zip(taken, stored, strict=True):
            if not result.done():
                result.set_result(each)
