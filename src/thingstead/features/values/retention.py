"""Retention: values older than the limit go, and their space goes back to the system.

Works in slices of some milliseconds each, so that writes and reads go on meanwhile; may be
stopped at any moment and simply continues the next time.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import ThingId

_DAY_MS = 86_400_000
_PAUSE_S = 0.01


class RetentionStore(Protocol):
    """Deletes in slices."""

    async def delete_before(self, cutoff_ms: int, after_series: int) -> tuple[int, int | None]:
        """Delete some older values behind a series; return how many, and where to go on."""
        ...

    async def give_space_back(self) -> int:
        """Return some free space to the system; return how many pages are left to return."""
        ...

    async def purge(self, thing_id: ThingId) -> bool:
        """Delete some of a deleted thing's values; return whether nothing is left."""
        ...

    async def purge_epoch(self, thing_id: ThingId, epoch: int) -> bool:
        """Delete some of what an epoch holds; return whether nothing is left."""
        ...


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    deleted_values: int


class Retention:
    """Sweeps old values out. `max_age_days` of 0 keeps everything for ever."""

    def __init__(self, store: RetentionStore, clock: Clock, *, max_age_days: int) -> None:
        self._store = store
        self._clock = clock
        self._max_age_days = max_age_days

    async def sweep(self) -> Swept:
        """Delete what is older than the limit, then return the space; idempotent."""
        deleted = 0
        if self._max_age_days > 0:
            cutoff_ms = self._clock.now_ms() - self._max_age_days * _DAY_MS
            after_series: int | None = 0
            while after_series is not None:
                number, after_series = await self._store.delete_before(cutoff_ms, after_series)
                deleted += number
                await asyncio.sleep(_PAUSE_S)
        await self._return_space()
        return Swept(deleted)

    async def purge(self, thing_id: ThingId) -> None:
        """Delete everything that a deleted thing wrote."""
        is_gone = await self._store.purge(thing_id)
        while not is_gone:
            await asyncio.sleep(_PAUSE_S)
            is_gone = await self._store.purge(thing_id)

    async def purge_epoch(self, thing_id: ThingId, epoch: int) -> None:
        """Delete everything that a thing wrote in one epoch; idempotent."""
        is_gone = await self._store.purge_epoch(thing_id, epoch)
        while not is_gone:
            await asyncio.sleep(_PAUSE_S)
            is_gone = await self._store.purge_epoch(thing_id, epoch)

    async def _return_space(self) -> None:
        left = await self._store.give_space_back()
        while left > 0:
            await asyncio.sleep(_PAUSE_S)
            before, left = left, await self._store.give_space_back()
            if left >= before:
                # Writers take free pages as fast as they are returned: enough for now.
                return
