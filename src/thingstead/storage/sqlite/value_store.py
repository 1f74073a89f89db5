"""`ValueStore` on SQLite: the event loop's side of the writer and the reader.

Implements `features/values/ports.py`. Everything here runs on the event loop and never
waits; the two threads hand their finished batches back with one wake-up each.
"""

import asyncio
import logging
import sqlite3
import threading
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from thingstead.features.values.model import Appended, Reading, Window, Write
from thingstead.features.values.ports import Committed
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError, ThingsteadError
from thingstead.kernel.ids import ThingId
from thingstead.storage.newest_cache import NewestCache, Question, Slot
from thingstead.storage.sqlite import value_retention
from thingstead.storage.sqlite.batch_thread import BatchThread, settle
from thingstead.storage.sqlite.failures import translated
from thingstead.storage.sqlite.opening import prepare_file
from thingstead.storage.sqlite.value_archive import SQLiteValueArchive
from thingstead.storage.sqlite.value_checkpoint import Checkpointer
from thingstead.storage.sqlite.value_deliveries import DeliveryRows, SQLiteDeliveries
from thingstead.storage.sqlite.value_files import connect
from thingstead.storage.sqlite.value_reader import ReadJob, ValueReader
from thingstead.storage.sqlite.value_replay import SQLiteValueReplay, newest_sequence
from thingstead.storage.sqlite.value_writer import DeliveryJob, ValueWriter, WriteJob

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

# A slow flush is worth waiting to share, up to 0.8 of its own time (0.3 to 1.2 were tried):
# 33,000 instead of 19,000 durable writes a second where it takes 1.2 ms. A quick one is not:
# 24,000 instead of 28,500 where it takes 0.2 ms (benchmarks/README.md, write path).
_SLOW_FLUSH_S = 0.000_75
_PATIENCE = 0.8
# An estimate: a slice of retention changes some hundred pages.
_PAGES_OF_A_CHORE = 300
MOST_CHORES = 100
"""How many chores may wait; each takes some 10 ms, and others have their turns in between."""
TEXT_AT_ONCE = 8 * 1024 * 1024
"""How much text of results may wait for the event loop to take it."""
_TAKEN_S = 1.0
_NAP_S = 0.01
_CHECK_S = 5.0
_LOG_EVERY_S = 1.0


class _Thread(Protocol):
    def start(self) -> None: ...
    def stop(self, timeout_s: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class ValueStoreLimits:
    """How much may wait, how many keys a thing may have, and how much is told again.

    Of `replay_values`, which is 1 at least, about so many of the newest values written are told
    again to those who missed them.
    """

    waiting_values: int = 10_000
    waiting_reads: int = 10_000
    keys_per_thing: int = 1_000
    kept_bytes: int = 32 * 1024 * 1024
    replay_values: int = 1_000_000


@dataclass(slots=True)
class _Chore:
    """Work for the writer's connection that is no request: retention, deleting, purging."""

    run: Callable[[sqlite3.Connection, ValueWriter], object]
    future: "Future[Any]"
    pages: int
    things: Collection[ThingId]
    """The things of which something is changed; complete when it was run."""
    result: object = None
    error: ThingsteadError | None = None


class SQLiteValueStore:
    """Values and documents in one SQLite file.

    `archive` reads and deletes over many things, `replay` tells again what was written, and
    `deliveries` remembers the packets that carried writes.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        path: Path,
        limits: ValueStoreLimits,
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._connection = writer = connect(path, is_writer=True)
        reader, copier = connect(path, is_writer=False), connect(path, is_writer=True)
        # The writer's comes last: closing the last one copies what is left of the log.
        self._connections = (copier, reader, writer)
        self._writer = ValueWriter(
            writer, max_keys=limits.keys_per_thing, replay_values=limits.replay_values
        )
        self._reader = ValueReader(reader)
        self._checkpointer = Checkpointer(
            path, writer, copier, on_copied=lambda: self._write_thread.put(None)
        )
        self._write_thread: BatchThread[WriteJob | DeliveryJob | _Chore | None] = BatchThread(
            "thingstead-writer",
            self._write,
            max_batch=limits.waiting_values,
        )
        self._read_thread: BatchThread[ReadJob] = BatchThread(
            "thingstead-reader", self._read, max_batch=256
        )
        self._kept = NewestCache(limits.kept_bytes)
        self.archive = SQLiteValueArchive(
            self._look_up, lambda run, thing_id: self._do_chore(lambda db, _: run(db), {thing_id})
        )
        self.replay = SQLiteValueReplay(self._look_up, reader, head=newest_sequence(reader))
        self.deliveries = SQLiteDeliveries(self._work_on_deliveries)
        self._logged_at = float("-inf")
        self._unlogged = 0
        self._waiting_values = 0
        self._waiting_reads = 0
        self._waiting_chores = 0
        # The writer's thread alone touches it.
        self._chores: deque[_Chore] = deque()
        self._committed: Committed | None = None

    @classmethod
    async def open(cls, path: Path, limits: ValueStoreLimits) -> "SQLiteValueStore":
        """Open the file, made and migrated if need be, and start the threads; `close` ends them.

        Raises:
            StoreUnavailableError: the file cannot be used; see `prepare_file`.
        """
        await asyncio.to_thread(prepare_file, path, "values")
        store = cls(
            asyncio.get_running_loop(),
            path,
            limits,
        )
        for thread in store._threads():
            thread.start()
        return store

    async def close(self, timeout_s: float = 4.0) -> None:
        """Commit what was queued, end the threads, and close the file."""
        end = self._loop.time() + timeout_s
        for thread in self._threads():
            patience_s = max(0.0, end - self._loop.time())
            if not await self._loop.run_in_executor(None, thread.stop, patience_s):
                _log.error("a storage thread did not end in time")
                return
        # What the threads handed back before they ended is on the loop's list by now.
        await asyncio.sleep(0)
        for connection in self._connections:
            connection.close()
        self._checkpointer.close()

    def _threads(self) -> "tuple[_Thread, ...]":
        return self._write_thread, self._read_thread, self._checkpointer

    def on_commit(self, listener: Committed) -> None:
        """Have the listener called after each commit."""
        self._committed = listener

    def append(self, write: Write) -> "Future[Appended]":
        """Queue the write; see `ValueStore.append`."""
        self._wait_for_writer(len(write.values) + len(write.changes))
        future: Future[Appended] = self._loop.create_future()
        self._write_thread.put(WriteJob(write, future))
        return future

    def _work_on_deliveries(self, run: Callable[[DeliveryRows], Result]) -> "Future[Result]":
        self._wait_for_writer(1)
        future: Future[Result] = self._loop.create_future()
        self._write_thread.put(DeliveryJob(run, future))
        return future

    def _wait_for_writer(self, weight: int) -> None:
        if self._waiting_values + weight > self._limits.waiting_values:
            raise OverloadedError(
                f"{self._limits.waiting_values} values wait to be stored", retry_after_s=1
            )
        self._waiting_values += weight

    def newest(
        self, thing_id: ThingId, epochs: tuple[int, ...], key: str, window: Window
    ) -> "Future[Reading | None]":
        """Look values up; see `ValueStore.newest`."""
        if window.from_ms is not None or window.until_ms is not None:
            return self._look_up(lambda reader: reader.newest(thing_id, epochs, key, window))
        question = (epochs, key, window.limit)
        kept = self._kept.get(thing_id, question)
        if kept is not None:
            future: Future[Reading | None] = self._loop.create_future()
            future.set_result(kept)
            return future
        future = self._look_up(lambda reader: reader.newest(thing_id, epochs, key, window))
        slot = self._kept.reserve(thing_id, question)
        future.add_done_callback(partial(self._keep, thing_id, question, slot))
        return future

    def _keep(
        self, thing_id: ThingId, question: Question, slot: Slot, look_up: "Future[Reading | None]"
    ) -> None:
        has_failed = look_up.cancelled() or look_up.exception() is not None
        self._kept.fill(thing_id, question, slot, None if has_failed else look_up.result())

    async def keys(self, thing_id: ThingId, epochs: tuple[int, ...]) -> list[str]:
        """Return the keys that the thing has written; see `ValueStore.keys`."""
        return await self._look_up(lambda reader: reader.keys(thing_id, epochs))

    async def document(
        self, thing_id: ThingId, epochs: tuple[int, ...], name: str
    ) -> object | None:
        """Return the document of the newest epoch that has it; see `ValueStore.document`."""
        return await self._look_up(lambda reader: reader.document(thing_id, epochs, name))

    async def check(self) -> None:
        """Raise what keeps the threads from serving, if anything does."""
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._look_up(lambda reader: reader.keys(ThingId(""), (0,)))
                await self._put_chore(lambda db, _: db.execute("SELECT 1").fetchall(), 0)
        except TimeoutError as exc:
            raise StoreUnavailableError(f"no answer for {_CHECK_S:g} s") from exc

    async def delete_before(self, cutoff_ms: int, after_series: int) -> tuple[int, int | None]:
        """Delete a slice of what is older; see `value_retention.delete_before`."""
        touched: set[ThingId] = set()
        return await self._do_chore(
            lambda db, _: value_retention.delete_before(db, cutoff_ms, after_series, touched),
            touched,
        )

    async def give_space_back(self) -> int:
        """Return a slice of free pages to the system; return how many are left."""
        return await self._do_chore(lambda db, _: value_retention.give_space_back(db))

    async def purge(self, thing_id: ThingId) -> bool:
        """Delete a slice of a thing that is gone; return whether nothing of it is left."""

        def purge(db: sqlite3.Connection, writer: ValueWriter) -> bool:
            writer.forget(thing_id)
            return value_retention.purge_thing(db, thing_id)

        await self._look_up(lambda reader: reader.forget(thing_id))
        return await self._do_chore(purge, {thing_id})

    async def purge_epoch(self, thing_id: ThingId, epoch: int) -> bool:
        """Delete a slice of an epoch; return whether nothing of it is left."""

        def purge(db: sqlite3.Connection, writer: ValueWriter) -> bool:
            writer.forget(thing_id)
            return value_retention.purge_epoch(db, thing_id, epoch)

        is_gone = await self._do_chore(purge, {thing_id})
        # After it, so that no read in between has the reader know a series that is gone.
        await self._look_up(lambda reader: reader.forget(thing_id))
        return is_gone

    def _look_up(self, look_up: Callable[[ValueReader], Result]) -> "Future[Result]":
        if self._waiting_reads >= self._limits.waiting_reads:
            raise OverloadedError(
                f"{self._limits.waiting_reads} reads wait already", retry_after_s=1
            )
        self._waiting_reads += 1
        future: Future[Result] = self._loop.create_future()
        self._read_thread.put(ReadJob(look_up, future))
        return future

    async def _do_chore(
        self,
        run: Callable[[sqlite3.Connection, ValueWriter], Result],
        things: Collection[ThingId] = (),
    ) -> Result:
        # A chore fills the log faster than it is copied. What came meanwhile is left to the
        # writer to copy, so it must be little: without this, writes waited for seconds.
        while self._checkpointer.is_busy:  # noqa: ASYNC110  # It ends in another thread.
            await asyncio.sleep(_NAP_S)
        if self._waiting_chores >= MOST_CHORES:
            raise OverloadedError(f"{MOST_CHORES} slices of work wait already", retry_after_s=1)
        return await self._put_chore(run, _PAGES_OF_A_CHORE, things)

    def _put_chore(
        self,
        run: Callable[[sqlite3.Connection, ValueWriter], Result],
        pages: int,
        things: Collection[ThingId] = (),
    ) -> "Future[Result]":
        future: Future[Result] = self._loop.create_future()
        self._waiting_chores += 1
        self._write_thread.put(_Chore(run, future, pages, things))
        return future

    # In the threads.

    def _write(self, jobs: "list[WriteJob | DeliveryJob | _Chore | None]") -> float:
        writes = [job for job in jobs if isinstance(job, WriteJob | DeliveryJob)]
        if writes:
            self._checkpointer.note(self._writer.store(writes))
            self._loop.call_soon_threadsafe(self._finish_writes, writes)
        self._chores.extend(job for job in jobs if isinstance(job, _Chore))
        if self._chores:
            self._run_chore(self._chores.popleft())
        if self._chores:
            # One at a time: what is written meanwhile waits for a single slice.
            self._write_thread.put(None)
        self._checkpointer.settle()
        flush_s = self._writer.flush_s if writes else 0.0
        return flush_s * _PATIENCE if flush_s > _SLOW_FLUSH_S else 0.0

    def _run_chore(self, chore: _Chore) -> None:
        try:
            chore.result = chore.run(self._connection, self._writer)
            self._checkpointer.note(chore.pages)
        except Exception as exc:  # noqa: BLE001  # Supervises the thread: one chore ends here.
            chore.error = translated(exc)
        self._loop.call_soon_threadsafe(self._finish_chore, chore)

    def _read(self, jobs: list[ReadJob]) -> float:
        start = 0
        for end, job in enumerate(jobs, 1):
            self._reader.run(job)
            if self._reader.text_bytes >= TEXT_AT_ONCE:
                # Read on only when this was taken, or memory would fill up with what waits.
                taken = threading.Event()
                self._loop.call_soon_threadsafe(self._finish_reads, jobs[start:end], taken)
                taken.wait(_TAKEN_S)
                self._reader.text_bytes, start = 0, end
        if start < len(jobs):
            self._loop.call_soon_threadsafe(self._finish_reads, jobs[start:])
        return 0.0

    # Back on the event loop.

    def _finish_writes(self, jobs: list[WriteJob | DeliveryJob]) -> None:
        committed: list[tuple[Write, Appended]] = []
        for job in jobs:
            if isinstance(job, DeliveryJob):
                self._waiting_values -= 1
                continue
            self._waiting_values -= len(job.write.values) + len(job.write.changes)
            if job.result is not None:
                committed.append((job.write, job.result))
                self._kept.drop(job.write.thing_id)
        if committed:
            self.replay.announced(committed[-1][1].sequence)
        if self._committed is not None and committed:
            try:
                self._committed(committed)
            except Exception:  # noqa: BLE001  # Supervises the commit: what is stored must be acknowledged.
                _log.exception("live subscribers did not hear of %d writes", len(committed))
        for job in jobs:
            settle(job.future, job.result, job.error)
        failure = jobs[0].error
        if failure is not None and failure.__cause__ is not None:
            self._log_failure(len(jobs), failure.__cause__)

    def _log_failure(self, number: int, cause: BaseException) -> None:
        """Log what was not stored; once a second, or a full disk would fill up with it."""
        self._unlogged += number
        now = self._loop.time()
        if now - self._logged_at >= _LOG_EVERY_S:
            _log.error("%d writes were not stored: %s", self._unlogged, cause)
            self._logged_at, self._unlogged = now, 0

    def _finish_chore(self, chore: _Chore) -> None:
        # A look-up under way may have read what is deleted by now; its place is dropped too.
        self._waiting_chores -= 1
        for thing_id in chore.things:
            self._kept.drop(thing_id)
        settle(chore.future, chore.result, chore.error)

    def _finish_reads(self, jobs: list[ReadJob], taken: threading.Event | None = None) -> None:
        self._waiting_reads -= len(jobs)
        for job in jobs:
            settle(job.future, job.result, job.error)
            # The thread holds its jobs until it has others.
            job.result = None
        if taken is not None:
            # Behind those who were just woken: by then they have made their answers.
            self._loop.call_soon(taken.set)
