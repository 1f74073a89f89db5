"""What the rules of values need from storage."""

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Protocol

from thingstead.features.values.model import Appended, Reading, Window, Write
from thingstead.kernel.ids import ThingId

Committed = Callable[[Sequence[tuple[Write, Appended]]], None]
"""Called on the event loop after each durable commit, before any of its futures resolves,
with all writes of that commit in commit order."""


class ValueStore(Protocol):
    """Keeps values and a thing's documents; one request is stored whole or not at all."""

    def append(self, write: Write) -> "Future[Appended]":
        """Queue the write; the future resolves after the durable commit.

        Never waits. Reads that start after the future resolved see the write. A value with
        its own time that is stored already with the same JSON type, value and position is
        left out and named in `repeats`; two different values of one time are both kept.

        Raises (at once):
            OverloadedError: the queue is full; nothing was queued.
        Raises (from the future):
            TooManyKeysError: the thing would pass its limit of keys.
            InvalidBodyError: a document would pass its size limit, or has no such path.
            StoreUnavailableError, StorageFullError: nothing of the request was stored.
        """
        ...

    def newest(self, thing_id: ThingId, key: str, window: Window) -> "Future[Reading | None]":
        """Return the window's values, newest first, equal times latest sequence first.

        None when the thing has never written that key; no rows when nothing lies in the
        window. Raises OverloadedError when too many reads wait.
        """
        ...

    async def keys(self, thing_id: ThingId) -> list[str]:
        """Return the keys that the thing has written, in alphabetical order."""
        ...

    async def document(self, thing_id: ThingId, name: str) -> object | None:
        """Return the document's value, or None when it was never set (or is null)."""
        ...

    async def check(self) -> None:
        """Raise what keeps values from being written or read, if anything does."""
        ...

    def on_commit(self, listener: Committed) -> None:
        """Have the listener called after each commit; there is one listener at most."""
        ...
