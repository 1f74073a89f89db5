"""A few threads for calls that wait for a disk, with a bounded queue.

Not the event loop's own threads: those are shared with all else, and a slow disk would fill them.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from thingstead.kernel.errors import OverloadedError, StoreUnavailableError
from thingstead.storage.blobs.failures import translated_errors

_Result = TypeVar("_Result")


def _nothing(*_: object) -> None:
    """Do nothing."""


class Workers:
    """Runs calls in `threads` threads; more than `most` at once are refused."""

    def __init__(self, name: str, *, threads: int, most: int) -> None:
        self._most = most
        self._under_way = 0
        self._lock = threading.Lock()
        # Makes its threads when the first calls come.
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(
        self,
        call: Callable[[], _Result],
        *,
        at_end: Callable[[], None] = _nothing,
        unwanted: Callable[[_Result], None] = _nothing,
    ) -> _Result:
        """Return what the call returns; one that has begun goes on when the caller is cancelled.

        `at_end` is called once in any case, when the call is over or will never begin.
        `unwanted` is called with a result that the caller no longer waits for. Both perhaps in a
        thread.

        Raises:
            OverloadedError: too many are waiting.
            StorageFullError: there is no room.
            StoreUnavailableError: the system refused, or `close` was called.
        """
        future = self._submitted(call, at_end)

        def drop(done: Future[_Result]) -> None:
            if not done.cancelled() and done.exception() is None:
                unwanted(done.result())

        with translated_errors():
            try:
                return await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                future.add_done_callback(drop)
                raise

    async def close(self) -> None:
        """Wait for what is under way; nothing is run any more."""
        await asyncio.to_thread(self._threads.shutdown)

    def _submitted(
        self, call: Callable[[], _Result], at_end: Callable[[], None]
    ) -> Future[_Result]:
        with self._lock:
            is_full = self._under_way >= self._most
            self._under_way += not is_full
        if is_full:
            at_end()
            raise OverloadedError("too many calls wait for the disk", retry_after_s=1)

        def end(_future: Future[_Result] | None = None) -> None:
            with self._lock:
                self._under_way -= 1
            at_end()

        try:
            future = self._threads.submit(call)
        except RuntimeError as exc:
            end()
            raise StoreUnavailableError("the store of images is closed") from exc
        future.add_done_callback(end)
        return future
