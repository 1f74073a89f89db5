"""What the rules of values need from storage."""

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Protocol

from thingstead.features.values.model import (
    Appended,
    ArchivedValue,
    Mark,
    Reading,
    Row,
    Source,
    Window,
    Write,
)
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText

Committed = Callable[[Sequence[tuple[Write, Appended]]], None]
"""Called on the event loop after each durable commit, before any of its futures resolves,
with all writes of that commit in commit order."""


class ValueStore(Protocol):
    """Keeps values and a thing's documents; one request is stored whole or not at all.

    Everything belongs to an epoch of its thing. `epochs` are those that may be seen, ascending
    and never empty; what other epochs hold neither shows nor counts. Values that are arrays or
    objects are given back as `JSONText`.
    """

    def append(self, write: Write) -> "Future[Appended]":
        """Queue the write; the future resolves after the durable commit.

        Never waits. Reads that start after the future resolved see the write. A value with
        its own time that these epochs have already with the same JSON type, value and position is
        left out and named in `repeats`; two different values of one time are both kept. A write
        whose `delivery` was stored before is not stored: QoS 2 until it is released, QoS 1 when
        it is among the newest of its session.

        Raises (at once):
            OverloadedError: the queue is full; nothing was queued.
        Raises (from the future):
            TooManyKeysError: the epoch would pass the limit of keys.
            InvalidBodyError: a document would pass its size limit, or has no such path.
            StoreUnavailableError, StorageFullError: nothing of the request was stored.
        """
        ...

    def newest(
        self, thing_id: ThingId, epochs: tuple[int, ...], key: str, window: Window
    ) -> "Future[Reading | None]":
        """Return the window's values, newest first, equal times latest sequence first.

        None when the thing has never written that key in these epochs; no rows when nothing
        lies in the window. Raises OverloadedError when too many reads wait.
        """
        ...

    async def keys(self, thing_id: ThingId, epochs: tuple[int, ...]) -> list[str]:
        """Return the keys that the thing has written, each once, in alphabetical order."""
        ...

    async def document(
        self, thing_id: ThingId, epochs: tuple[int, ...], name: str
    ) -> object | None:
        """Return the document of the newest epoch that has it; None when none has, or is null."""
        ...

    async def check(self) -> None:
        """Raise what keeps values from being written or read, if anything does."""
        ...

    def on_commit(self, listener: Committed) -> None:
        """Have the listener called after each commit; there is one listener at most."""
        ...


class Deliveries(Protocol):
    """What is remembered of the packets that carried writes (`Delivery`), by persistent session."""

    def release(self, session_id: str, packet_id: int) -> "Future[None]":
        """Forget a QoS 2 packet, whose id may carry another one afterwards; twice is once.

        Never waits. The future resolves after the durable commit, and in the order of writes:
        what is appended afterwards with the same packet id is no repeat.

        Raises (at once):
            OverloadedError: too many wait; nothing was queued.
        Raises (from the future):
            StoreUnavailableError, StorageFullError: nothing was forgotten.
        """
        ...

    async def open_ids(self, session_id: str) -> list[int]:
        """Return the ids of the QoS 2 packets that were not released, ascending."""
        ...

    async def forget(self, session_id: str) -> None:
        """Forget all packets of the session; twice is once."""
        ...


class ValueArchive(Protocol):
    """Reads over many things, reads a whole timeline, and deletes parts of one.

    Values that are arrays or objects are given back as `JSONText`, and so are documents. What
    takes several look-ups does not see one moment: values that are written meanwhile may be
    in the answer or not. Every call raises OverloadedError when too many reads wait.
    """

    async def newest_of(
        self, sources: Sequence[Source], key: str, window: Window
    ) -> list[tuple[ThingId, Row]]:
        """Return the newest values of a key over all sources, at most the window's limit.

        Newest first, equal times latest sequence first; a thing may be there several times.
        """
        ...

    async def keys_of(self, sources: Sequence[Source]) -> list[tuple[ThingId, list[str]]]:
        """Return the keys of each source that has any, as `ValueStore.keys`, in their order."""
        ...

    async def documents_of(
        self, sources: Sequence[Source], name: str
    ) -> list[tuple[ThingId, JSONText]]:
        """Return the document of each source that has it, as `ValueStore.document`, in order."""
        ...

    async def page(
        self, source: Source, key: str, *, after: Mark | None, limit: int
    ) -> list[ArchivedValue]:
        """Return the values behind a mark, oldest first, at most `limit`; None is the start.

        Fewer when they are large, and none only when none is left. Going on behind the last
        one's mark gives every value once, however many share a time.
        """
        ...

    async def delete_values(
        self, source: Source, key: str, *, from_ms: int | None, until_ms: int | None
    ) -> int:
        """Delete a key's values with `from_ms <= time < until_ms`; return how many there were.

        Reads that start afterwards do not see them, and the key stays known. Works in slices,
        so one that was cancelled has deleted a part; doing it again deletes the rest. Raises
        OverloadedError when too many of one thing wait.
        """
        ...
