"""A thread that takes all waiting jobs at once."""

import itertools
import threading
import time
from types import SimpleNamespace

from thingstead.storage.sqlite import batch_thread
from thingstead.storage.sqlite.batch_thread import _CROWD, BatchThread


class Work:
    """Notes its batches; may be held up."""

    def __init__(self, patience_s=0.0):
        self.patience_s = patience_s
        self.batches = []
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.done = threading.Semaphore(0)

    def __call__(self, jobs):
        self.begun.set()
        self.gate.wait()
        self.batches.append(jobs)
        self.done.release()
        return self.patience_s


def test_jobs_that_gather_during_a_batch_become_the_next_one():
    work = Work()
    thread = BatchThread("test", work, max_batch=100)
    thread.start()
    thread.put(0)
    work.begun.wait()
    for job in range(1, 10):
        thread.put(job)

    work.gate.set()

    assert thread.stop(60)
    assert work.batches == [[0], list(range(1, 10))]


def test_a_batch_holds_no_more_jobs_than_it_may():
    work = Work()
    work.gate.set()
    thread = BatchThread("test", work, max_batch=3)
    for job in range(7):
        thread.put(job)

    thread.start()

    assert thread.stop(60)
    assert work.batches == [[0, 1, 2], [3, 4, 5], [6]]


def test_stopping_finishes_the_jobs_already_put():
    work = Work()
    work.gate.set()
    thread = BatchThread("test", work, max_batch=100)
    thread.start()
    for job in range(1_000):
        thread.put(job)

    assert thread.stop(60)
    assert [job for batch in work.batches for job in batch] == list(range(1_000))


def test_stopping_a_thread_that_hangs_says_so():
    work = Work()
    thread = BatchThread("test", work, max_batch=1)
    thread.start()
    thread.put(0)
    work.begun.wait()

    assert thread.stop(0.0) is False

    work.gate.set()
    assert thread.stop(60)


def crowded_thread(work, first_jobs):
    """Start a thread that would wait for ages, busy with its first jobs."""
    thread = BatchThread("test", work, max_batch=1_000)
    for job in range(first_jobs):
        thread.put(job)
    thread.start()
    work.begun.wait()
    return thread


def test_after_a_crowd_the_next_batch_waits_until_as_many_have_come(monkeypatch):
    work, naps = Work(patience_s=1e12), itertools.count()
    late = [f"late {number}" for number in range(_CROWD)]
    clock = SimpleNamespace(
        monotonic=time.monotonic, sleep=lambda _seconds: thread.put(late[next(naps)])
    )
    monkeypatch.setattr(batch_thread, "time", clock)
    thread = crowded_thread(work, _CROWD)
    thread.put("early")

    work.gate.set()

    assert work.done.acquire(timeout=60)
    assert work.done.acquire(timeout=60)
    assert work.batches == [list(range(_CROWD)), ["early", *late]]
    assert thread.stop(60)


def test_a_few_jobs_never_wait_for_more():
    work = Work(patience_s=1e12)
    thread = crowded_thread(work, _CROWD - 1)
    thread.put("alone")

    work.gate.set()

    assert work.done.acquire(timeout=60)
    assert work.done.acquire(timeout=60)
    assert work.batches[1] == ["alone"]
    assert thread.stop(60)


def test_stopping_does_not_wait_for_a_crowd():
    work = Work(patience_s=1e12)
    thread = crowded_thread(work, _CROWD)
    thread.put("last")

    work.gate.set()

    assert thread.stop(60)
    assert work.batches[1] == ["last"]
