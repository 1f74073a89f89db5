"""A thread that takes all waiting jobs at once.

Both sides of the value store work like this: while the thread is busy with one batch, the
next one gathers, so that one commit (or one wake-up of the event loop) serves many requests.
The event loop puts jobs and never waits; how many may wait is the caller's bound.
"""

import logging
import threading
import time
from asyncio import Future
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from thingstead.kernel.errors import ThingsteadError

_log = logging.getLogger(__name__)

Job = TypeVar("Job")

_CROWD = 4
# So many share a flush well enough; waiting for all that are under way would have the event
# loop and this thread wait for each other in turns (benchmarks/README.md, MQTT).
_ENOUGH = 512
_NAP_S = 0.000_05
_LONGEST_PATIENCE_S = 0.01


class BatchThread(Generic[Job]):
    """Runs `work(jobs)` with every job put since the last run, in the order put.

    What `work` returns is how many seconds the next batch may wait for company: until as many
    jobs have come as were just done and were waiting, and not after a small batch. Clients
    that write again as soon as they are answered would otherwise fall into two groups, each
    waiting for the other's flush to the disk.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[Job]], float],
        *,
        max_batch: int,
    ) -> None:
        self._work = work
        self._max_batch = max_batch
        self._jobs: deque[Job] = deque()
        self._has_jobs = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, job: Job) -> None:
        """Add a job; callable from any thread."""
        # The order matters: the thread clears the event before it empties the deque, so a
        # job added at any moment is either seen by that emptying or sets the event again.
        self._jobs.append(job)
        if not self._has_jobs.is_set():
            self._has_jobs.set()

    def stop(self, timeout_s: float) -> bool:
        """Finish the jobs already put and end the thread; return whether it ended in time."""
        self._is_stopping = True
        self._has_jobs.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        jobs = self._jobs
        done = 0
        patience_s = 0.0
        while True:
            self._has_jobs.wait()
            self._has_jobs.clear()
            while jobs:
                if done >= _CROWD and patience_s > 0 and len(jobs) < _ENOUGH:
                    self._gather(min(done + len(jobs), _ENOUGH), patience_s)
                batch: list[Job] = []
                while jobs and len(batch) < self._max_batch:
                    batch.append(jobs.popleft())
                done = len(batch)
                try:
                    patience_s = self._work(batch)
                except Exception:  # noqa: BLE001  # Supervises the thread, which must not end.
                    _log.exception("a batch of %d jobs failed", done)
                    patience_s = 0.0
            if self._is_stopping:
                return

    def _gather(self, wanted: int, patience_s: float) -> None:
        """Let jobs come until there are as many as wanted, or patience has run out."""
        end = time.monotonic() + min(patience_s, _LONGEST_PATIENCE_S)
        wanted = min(wanted, self._max_batch)
        while len(self._jobs) < wanted and not self._is_stopping and time.monotonic() < end:
            # The event loop needs the interpreter to put more.
            time.sleep(_NAP_S)


def settle(future: "Future[Any]", result: object, error: ThingsteadError | None) -> None:
    """Resolve the future of a job that is done; on the event loop only."""
    # Whoever asked may have gone away meanwhile, which cancels the future.
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
