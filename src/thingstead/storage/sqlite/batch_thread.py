"""A thread that takes all waiting jobs at once.

Both sides of the value store work like this: while the thread is busy with one batch, the
next one gathers, so that one commit (or one wake-up of the event loop) serves many requests.
The event loop puts jobs and never waits; how many may wait is the caller's bound.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Job = TypeVar("Job")


class BatchThread(Generic[Job]):
    """Runs `work(jobs)` with every job put since the last run, in the order put."""

    def __init__(self, name: str, work: Callable[[list[Job]], None], *, max_batch: int) -> None:
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
        while True:
            self._has_jobs.wait()
            self._has_jobs.clear()
            while jobs:
                batch: list[Job] = []
                while jobs and len(batch) < self._max_batch:
                    batch.append(jobs.popleft())
                self._work(batch)
            if self._is_stopping:
                return
