"""A thread that takes all waiting jobs at once."""

import threading

from thingstead.storage.sqlite.batch_thread import BatchThread


class Work:
    """Notes its batches; may be held up."""

    def __init__(self):
        self.batches = []
        self.begun = threading.Event()
        self.gate = threading.Event()

    def __call__(self, jobs):
        self.begun.set()
        self.gate.wait()
        self.batches.append(jobs)


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
