import gc
import tracemalloc

from thingstead.transports.http.protocol import Sweeper
from thingstead.transports.websocket import WebSocketConnection
from unit.transports.websocket.rig import LIMITS, FakeTransport, frame, text


class Nobody:
    def opened(self, connection): ...
    def text(self, message): ...
    def closed(self): ...


async def test_an_idle_connection_takes_at_most_2_kib():
    transport, sweeper, nobody = FakeTransport(), Sweeper(), Nobody()
    count = 500
    kept = []

    def open_one() -> None:
        connection = WebSocketConnection(nobody, LIMITS, sweeper)
        connection.take_over(transport, lambda: None)
        connection.data_received(text(b"a" * 5_000))
        connection.data_received(frame(9))
        kept.append(connection)

    open_one()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(count):
            open_one()
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()

    assert each <= 2_048
    for connection in kept:
        connection.connection_lost(None)
