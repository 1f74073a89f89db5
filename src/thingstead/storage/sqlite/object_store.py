"""`ObjectStore` on SQLite: the event loop's side of the writer and the reader of objects.

Implements `features/collections/ports.py` on `core.db`. SQLAlchemy, which serves the other
tables of that file, takes a millisecond for a transaction, and each of its transactions is one
flush to the disk. Here changes that arrive while a batch is stored become the next batch, which
is one transaction, and SQLAlchemy's writer and this one take turns (`core.py`), because waiting
in SQLite's lock is sleeping and trying again.
"""

import asyncio
import logging
import sqlite3
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from thingstead.features.collections.model import (
    CollectionLimits,
    ObjectPage,
    Place,
    StoredObject,
)
from thingstead.features.collections.ports import Choice, ObjectsCommitted
from thingstead.features.collections.texts import size_of
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError, ThingsteadError
from thingstead.kernel.ids import UserId
from thingstead.kernel.json_values import compact_size
from thingstead.storage.sqlite.batch_thread import BatchThread, settle
from thingstead.storage.sqlite.failures import translated, translated_errors
from thingstead.storage.sqlite.object_changes import ChangeLogLimits
from thingstead.storage.sqlite.object_reader import LookUpJob, ObjectReader
from thingstead.storage.sqlite.object_replay import SQLiteObjectReplay, newest_sequence
from thingstead.storage.sqlite.object_writer import (
    ChangeJob,
    Create,
    Delete,
    Merge,
    ObjectWriter,
)

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Turn = Callable[[], AbstractAsyncContextManager[None]]
SetUp = Callable[[sqlite3.Connection], None]

# Each merge or deletion brings up to 64 kB back, and others wait for their turn meanwhile.
_BATCH_JOBS = 500
_BATCH_BYTES = 4 * 1024 * 1024
# Each look-up may be a page of 256 kB.
_BATCH_LOOK_UPS = 64
_LOG_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ObjectStoreLimits:
    """How much may wait, and how many changes are told again to those who missed them."""

    waiting_changes: int = 10_000
    waiting_bytes: int = 64 * 1024 * 1024
    waiting_reads: int = 10_000
    kept: ChangeLogLimits = field(default=ChangeLogLimits())


class SQLiteObjectStore:
    """Objects in the SQLite file that other tables live in too; `replay` tells changes again."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        connections: tuple[sqlite3.Connection, sqlite3.Connection],
        turn: Turn,
        limits: ObjectStoreLimits,
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._turn = turn
        self._connections = connections
        self._reader = ObjectReader(connections[0])
        self._writer = ObjectWriter(connections[1], limits.kept)
        self.replay = SQLiteObjectReplay(self._look_up, head=newest_sequence(connections[0]))
        self._write_thread: BatchThread[tuple[list[ChangeJob], Future[None]]] = BatchThread(
            "thingstead-object-writer", self._write, max_batch=1
        )
        self._read_thread: BatchThread[LookUpJob] = BatchThread(
            "thingstead-object-reader", self._read, max_batch=_BATCH_LOOK_UPS
        )
        self._changes: deque[ChangeJob] = deque()
        self._waiting_bytes = 0
        self._waiting_reads = 0
        self._logged_at = float("-inf")
        self._unlogged = 0
        self._has_changes = asyncio.Event()
        self._is_closing = False
        self._committed: ObjectsCommitted | None = None
        self._pump = loop.create_task(self._store_changes())

    @classmethod
    async def open(
        cls,
        path: Path,
        turn: Turn,
        set_up: SetUp,
        limits: ObjectStoreLimits | None = None,
    ) -> "SQLiteObjectStore":
        """Open connections to the migrated file and start the threads; `close` ends them.

        `turn` is held for each transaction; `set_up` applies the file's settings.

        Raises:
            StoreUnavailableError: it cannot be opened, or a setting was not accepted.
        """
        connections = await asyncio.to_thread(_connect, path, set_up)
        store = cls(asyncio.get_running_loop(), connections, turn, limits or ObjectStoreLimits())
        for thread in store._threads():
            thread.start()
        return store

    async def close(self, timeout_s: float = 4.0) -> None:
        """Commit what was queued, end the threads, and close the connections."""
        self._is_closing = True
        self._has_changes.set()
        end = self._loop.time() + timeout_s
        await asyncio.wait([self._pump], timeout=timeout_s)
        if not self._pump.done():
            self._pump.cancel()
            self._refuse(self._take_all(), StoreUnavailableError("the server is stopping"))
        for thread in self._threads():
            patience_s = max(0.0, end - self._loop.time())
            if not await self._loop.run_in_executor(None, thread.stop, patience_s):
                _log.error("a storage thread did not end in time")
                return
        # What the threads handed back before they ended is on the loop's list by now.
        await asyncio.sleep(0)
        for connection in self._connections:
            connection.close()

    def _threads(self) -> tuple[BatchThread[Any], BatchThread[Any]]:
        return self._write_thread, self._read_thread

    def on_commit(self, listener: ObjectsCommitted) -> None:
        """Have the listener called after each commit."""
        self._committed = listener

    def create(
        self, place: Place, text: str, limits: CollectionLimits, *, at_ms: int
    ) -> "Future[StoredObject]":
        """Queue the object; see `ObjectStore.create`."""
        return self._put(Create(place, text, limits, at_ms), size_of(text))

    def merge(
        self,
        place: Place,
        members: Mapping[str, object],
        limits: CollectionLimits,
        *,
        etag: str | None,
        at_ms: int,
    ) -> "Future[StoredObject]":
        """Queue the members; see `ObjectStore.merge`."""
        return self._put(Merge(place, members, limits, etag, at_ms), compact_size(members))

    def delete(self, place: Place, *, etag: str | None) -> "Future[StoredObject]":
        """Queue the deletion; see `ObjectStore.delete`."""
        return self._put(Delete(place, etag), 0)

    def get(self, place: Place) -> "Future[StoredObject | None]":
        """Look the object up; see `ObjectStore.get`."""
        return self._look_up(lambda reader: reader.get(place))

    def page(
        self,
        user_id: UserId,
        collection: str,
        *,
        below: str | None,
        limit: int,
        max_bytes: int,
        chosen: Choice | None = None,
    ) -> "Future[ObjectPage]":
        """Look objects up; see `ObjectStore.page`."""
        return self._look_up(
            lambda reader: reader.page(
                user_id, collection, below=below, limit=limit, max_bytes=max_bytes, chosen=chosen
            )
        )

    def collections(self, user_id: UserId) -> "Future[list[str]]":
        """Look the names up; see `ObjectStore.collections`."""
        return self._look_up(lambda reader: reader.collections(user_id))

    def _put(self, change: Create | Merge | Delete, size: int) -> "Future[StoredObject]":
        self._check_open()
        if len(self._changes) >= self._limits.waiting_changes:
            raise OverloadedError(
                f"{self._limits.waiting_changes} changes wait already", retry_after_s=1
            )
        if self._waiting_bytes + size > self._limits.waiting_bytes:
            raise OverloadedError(
                f"{self._limits.waiting_bytes} bytes wait already", retry_after_s=1
            )
        self._waiting_bytes += size
        future: Future[StoredObject] = self._loop.create_future()
        self._changes.append(ChangeJob(change, size, future))
        self._has_changes.set()
        return future

    def _look_up(self, look_up: Callable[[ObjectReader], Result]) -> "Future[Result]":
        self._check_open()
        if self._waiting_reads >= self._limits.waiting_reads:
            raise OverloadedError(
                f"{self._limits.waiting_reads} reads wait already", retry_after_s=1
            )
        self._waiting_reads += 1
        future: Future[Result] = self._loop.create_future()
        self._read_thread.put(LookUpJob(look_up, future))
        return future

    def _check_open(self) -> None:
        if self._is_closing:
            raise StoreUnavailableError("the server is stopping")

    async def _store_changes(self) -> None:
        """Store what waits, batch by batch, until the store is closed and nothing waits."""
        while self._changes or not self._is_closing:
            await self._has_changes.wait()
            self._has_changes.clear()
            while self._changes:
                jobs: list[ChangeJob] = []
                try:
                    async with self._turn():
                        # Taken now, what came while others had their turn goes along.
                        jobs = self._take_batch()
                        stored: Future[None] = self._loop.create_future()
                        self._write_thread.put((jobs, stored))
                        await stored
                except Exception as exc:  # noqa: BLE001  # Supervises the pump: one batch ends here.
                    # Who found no turn for so long does not let others wait as long again.
                    self._refuse(jobs or self._take_all(), exc)
                else:
                    self._finish_changes(jobs)

    def _take_batch(self) -> list[ChangeJob]:
        jobs: list[ChangeJob] = []
        size = 0
        while self._changes and len(jobs) < _BATCH_JOBS and size < _BATCH_BYTES:
            jobs.append(self._changes.popleft())
            size += jobs[-1].size
        self._waiting_bytes -= size
        return jobs

    def _take_all(self) -> list[ChangeJob]:
        jobs: list[ChangeJob] = []
        while self._changes:
            jobs.extend(self._take_batch())
        return jobs

    # In the threads.

    def _write(self, batches: "list[tuple[list[ChangeJob], Future[None]]]") -> float:
        for jobs, stored in batches:
            self._writer.store(jobs)
            self._loop.call_soon_threadsafe(settle, stored, None, None)
        return 0.0

    def _read(self, jobs: list[LookUpJob]) -> float:
        self._reader.run(jobs)
        self._loop.call_soon_threadsafe(self._finish_look_ups, jobs)
        return 0.0

    # Back on the event loop.

    def _finish_changes(self, jobs: Sequence[ChangeJob]) -> None:
        committed = [job.committed for job in jobs if job.committed is not None]
        if committed:
            self.replay.announced(committed[-1].sequence)
        if self._committed is not None and committed:
            try:
                self._committed(committed)
            except Exception:  # noqa: BLE001  # Supervises the commit: what is stored must be acknowledged.
                _log.exception("live subscribers did not hear of %d changes", len(committed))
        for job in jobs:
            stored = None if job.committed is None else job.committed.stored
            settle(job.future, stored, job.error)
        failures = [job.error for job in jobs if job.error and job.error.__cause__]
        if failures:
            self._log_failure(len(failures), failures[0].__cause__)

    def _refuse(self, jobs: Sequence[ChangeJob], error: Exception) -> None:
        """End jobs that no thread has seen."""
        for job in jobs:
            job.error = error if isinstance(error, ThingsteadError) else translated(error)
        self._finish_changes(jobs)

    def _log_failure(self, number: int, cause: BaseException | None) -> None:
        """Log what was not stored; once a second, or a full disk would fill up with it."""
        self._unlogged += number
        now = self._loop.time()
        if now - self._logged_at >= _LOG_EVERY_S:
            _log.error("%d changes of objects were not stored: %s", self._unlogged, cause)
            self._logged_at, self._unlogged = now, 0

    def _finish_look_ups(self, jobs: Sequence[LookUpJob]) -> None:
        self._waiting_reads -= len(jobs)
        for job in jobs:
            settle(job.future, job.result, job.error)


def _connect(path: Path, set_up: SetUp) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Return the reader's connection and the writer's."""
    with translated_errors():
        reader, writer = (
            sqlite3.connect(path, isolation_level=None, check_same_thread=False) for _ in range(2)
        )
        try:
            for connection in (reader, writer):
                set_up(connection)
            reader.execute("PRAGMA query_only=ON").fetchall()
        except BaseException:
            reader.close()
            writer.close()
            raise
    return reader, writer
