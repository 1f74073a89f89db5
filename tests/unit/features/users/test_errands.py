"""Work that is done after the answer."""

import asyncio
import logging

from thingstead.features.users.errands import Errands


def noting(done, name):
    async def errand():
        done.append(name)

    return errand


async def fail():
    raise OSError("no disk")


async def test_what_waits_is_done_in_order():
    errands, done = Errands(), []
    for name in "abc":
        errands.later(noting(done, name))
    before = list(done)

    await errands.do_waiting()

    assert (before, done) == ([], ["a", "b", "c"])


async def test_so_many_wait_and_the_rest_is_dropped_with_one_line(caplog):
    errands, done = Errands(most_waiting=2), []

    with caplog.at_level(logging.WARNING):
        for name in "abcd":
            errands.later(noting(done, name))
    await errands.do_waiting()

    assert done == ["a", "b"]
    assert [record.message for record in caplog.records] == [
        "letters are dropped: 2 wait to be written already"
    ]


async def test_a_full_queue_takes_more_when_it_has_been_worked_off(caplog):
    errands, done = Errands(most_waiting=1), []
    for name in "ab":
        errands.later(noting(done, name))
    await errands.do_waiting()

    for name in "cd":
        errands.later(noting(done, name))
    await errands.do_waiting()

    assert done == ["a", "c"]
    assert len(caplog.records) == 2


async def test_what_fails_is_logged_and_keeps_nothing_else_from_being_done(caplog):
    errands, done = Errands(), []
    errands.later(fail)
    errands.later(noting(done, "a"))

    await errands.do_waiting()

    assert done == ["a"]
    assert "no disk" in caplog.text


async def test_running_does_what_comes_until_it_is_cancelled():
    errands, done = Errands(), []
    running = asyncio.create_task(errands.run())
    for name in "ab":
        finished = asyncio.Event()
        errands.later(noting(done, name))
        errands.later(lambda event=finished: _set(event))
        async with asyncio.timeout(20):
            await finished.wait()

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert done == ["a", "b"]


async def _set(event):
    event.set()
