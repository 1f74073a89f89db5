"""What is left of a connection when it is over: nothing that waits for the garbage collector."""

import gc
import weakref
from contextlib import contextmanager

import pytest

from e2e.http_edge.rig import serve, turns, until
from e2e.http_edge.test_long_answers import GET, LARGE, OTHER, Image


@contextmanager
def without_collector():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("ends", ["after its answer", "in mid-answer"])
async def test_a_connection_leaves_nothing_behind(ends):
    image = Image(LARGE)
    async with serve(image) as rig:
        client = await rig.connect()
        if ends == "after its answer":
            await client.ask(OTHER)
        else:
            client.writer.transport.pause_reading()
            await client.send(GET)
            await until(lambda: image.furthest > 100_000)
        (connection,) = (weakref.ref(each) for each in rig.connections)
        with without_collector():
            client.abort()
            await until(lambda: not rig.connections)
            if ends == "in mid-answer":
                await until(image.ended.is_set)
            await turns(20)

            assert connection() is None
