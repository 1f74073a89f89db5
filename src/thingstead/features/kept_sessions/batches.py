"""Brings together what is to be stored, so that what comes at once shares a transaction.

Whoever comes first stores for all who wait. Knows nothing of what is stored.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from thingstead.kernel.errors import OverloadedError, ThingsteadError

# Other writers of the file wait for as long as a batch takes.
LARGEST_BATCH = 500

_Item = TypeVar("_Item")


class _Batch(Generic[_Item]):
    __slots__ = ("error", "is_stored", "items")

    def __init__(self) -> None:
        self.items: list[_Item] = []
        self.is_stored = False
        self.error: ThingsteadError | None = None


class Batches(Generic[_Item]):
    """Stores items with as few calls as it takes, in the order in which they came."""

    def __init__(
        self,
        store: Callable[[Sequence[_Item]], Awaitable[object]],
        weigh: Callable[[_Item], int],
        *,
        most: int,
    ) -> None:
        self._store = store
        self._weigh = weigh
        self._most = most
        self._weight = 0
        self._turn = asyncio.Lock()
        self._open: _Batch[_Item] = _Batch()

    async def add(self, items: Sequence[_Item]) -> None:
        """Store the items; durable on return. What the store raises, everybody of a batch gets.

        Raises:
            OverloadedError: they would weigh more than may wait; nothing was stored.
        """
        weight = sum(map(self._weigh, items))
        if self._weight + weight > self._most:
            raise OverloadedError("too much waits to be stored for clients that are away")
        self._weight += weight
        if len(self._open.items) >= LARGEST_BATCH:
            self._open = _Batch()
        batch = self._open
        batch.items.extend(items)
        try:
            async with self._turn:
                await self._settle(batch)
        finally:
            self._weight -= weight

    async def _settle(self, batch: _Batch[_Item]) -> None:
        """Store the batch, unless another one of it has; who is cancelled leaves it to the next."""
        if batch.error is not None:
            raise batch.error
        if batch.is_stored:
            return
        if batch is self._open:
            self._open = _Batch()
        try:
            await self._store(batch.items)
        except ThingsteadError as error:
            batch.error = error
            raise
        batch.is_stored = True
