"""Load over MQTT 3.1.1: connections that keep a fixed number of QoS 1 messages in flight.

Run as a program of its own, on its own core. Reads one JSON object from the file that is named,
or from stdin: `{"port", "topics": […], "payload", "window", "seconds"}`; one connection a topic.
Prints a line when the measured time begins and one when it ends, so that the server's processor
time can be read then, and at last one JSON object: acknowledged messages in the measured time,
the time, its own CPU time, how long messages of some connections took, and what was sent and
acknowledged in all. Sockets are read and written without a library, because the client must
cost less than the server.
"""

import asyncio
import collections
import json
import resource
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

_WARM_UP_S = 1.0
_DRAIN_S = 10.0
_LOOK_S = 0.05
# Taking the time of each message costs; one connection of so many does.
_TIMED_OF = 25


def connect_packet(client_id: str, keep_alive_s: int = 60) -> bytes:
    """Return a CONNECT without credentials, clean."""
    name = client_id.encode()
    head = b"\x00\x04MQTT\x04\x02" + keep_alive_s.to_bytes(2, "big")
    body = head + len(name).to_bytes(2, "big") + name
    return b"\x10" + remaining_length(len(body)) + body


def publish_parts(topic: str, payload: bytes) -> tuple[bytes, bytes]:
    """Return what stands before and behind the packet id of a QoS 1 PUBLISH."""
    name = topic.encode()
    length = 2 + len(name) + 2 + len(payload)
    return b"\x32" + remaining_length(length) + len(name).to_bytes(2, "big") + name, payload


def remaining_length(number: int) -> bytes:
    """Return the bytes that tell a packet's length (MQTT 3.1.1, 2.2.3)."""
    made = bytearray()
    while True:
        number, digit = divmod(number, 128)
        made.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(made)


class Publisher(asyncio.Protocol):
    """One connection; sends a message for each acknowledgement."""

    def __init__(self, number: int, topic: str, payload: bytes, window: int) -> None:
        self.client_id = f"bench-{number}"
        self.window = window
        self.head, self.tail = publish_parts(topic, payload)
        self.acknowledged = 0
        self.sent = 0
        self.is_connected = False
        self.is_stopping = False
        self.rest = b""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(connect_packet(self.client_id))

    def start(self) -> None:
        """Send the first messages."""
        self.send(self.window)

    def send(self, count: int) -> None:
        """Send so many messages in one piece."""
        head, tail, sent = self.head, self.tail, self.sent
        self.transport.write(
            b"".join(
                [head + ((sent + i) % 65_535 + 1).to_bytes(2, "big") + tail for i in range(count)]
            )
        )
        self.sent = sent + count

    def data_received(self, data: bytes) -> None:
        """Count acknowledgements and send as many messages."""
        if self.rest:
            data = self.rest + data
        if not self.is_connected:
            if len(data) < 4:
                self.rest = data
                return
            assert data[:4] == b"\x20\x02\x00\x00", data
            self.is_connected = True
            self.ready.set_result(None)
            data = data[4:]
        count, left = divmod(len(data), 4)
        self.rest = data[len(data) - left :] if left else b""
        if not count:
            return
        # Every answer must be a PUBACK; one in a piece is looked at.
        assert data[0] == 0x40, data[:8]
        self.acknowledged += count
        if not self.is_stopping:
            self.send(count)

    def connection_lost(self, _exc: Exception | None) -> None:
        """End with everything: what a smaller number of connections does is of no use."""
        if not self.is_stopping:
            print(json.dumps({"error": "a connection was lost"}), flush=True)
            sys.exit(1)


class TimedPublisher(Publisher):
    """A connection that notes how long each of its messages took; the answers come in order."""

    def __init__(self, number: int, topic: str, payload: bytes, window: int) -> None:
        super().__init__(number, topic, payload, window)
        self.taken_s: list[float] = []
        self._sent_at: collections.deque[float] = collections.deque()

    def send(self, count: int) -> None:
        """Send so many messages in one piece."""
        self._sent_at.extend([time.monotonic()] * count)
        super().send(count)

    def data_received(self, data: bytes) -> None:
        """Count acknowledgements and send as many messages."""
        now, before = time.monotonic(), self.acknowledged
        super().data_received(data)
        for _ in range(self.acknowledged - before):
            self.taken_s.append(now - self._sent_at.popleft())


async def load(asked: dict[str, object]) -> None:
    """Load, and print what came of it."""
    publishers = await _connect(asked)
    timed = [one for one in publishers if isinstance(one, TimedPublisher)]
    for publisher in publishers:
        publisher.start()
    await asyncio.sleep(_WARM_UP_S)
    for one in timed:
        one.taken_s.clear()
    before, cpu = sum(one.acknowledged for one in publishers), cpu_s()
    _tell({"begin": "load"})
    began = time.monotonic()
    await asyncio.sleep(cast("float", asked["seconds"]))
    took = time.monotonic() - began
    done = sum(one.acknowledged for one in publishers) - before
    cpu = cpu_s() - cpu
    _tell({"end": "load"})
    taken_ms = sorted(taken * 1e3 for one in timed for taken in one.taken_s) or [0.0]
    for publisher in publishers:
        publisher.is_stopping = True
    end = time.monotonic() + _DRAIN_S
    while time.monotonic() < end:
        if all(one.acknowledged == one.sent for one in publishers):
            break
        await asyncio.sleep(_LOOK_S)
    _tell(
        {
            "acknowledged": done,
            "seconds": took,
            "client_cpu_s": cpu,
            "p50_ms": taken_ms[len(taken_ms) // 2],
            "p99_ms": taken_ms[int(len(taken_ms) * 0.99)],
            "p999_ms": taken_ms[int(len(taken_ms) * 0.999)],
            "longest_ms": taken_ms[-1],
            "sent_in_all": sum(one.sent for one in publishers),
            "acknowledged_in_all": sum(one.acknowledged for one in publishers),
        }
    )


async def _connect(asked: dict[str, object]) -> list[Publisher]:
    payload = str(asked["payload"]).encode()
    window, port = cast("int", asked["window"]), cast("int", asked["port"])
    publishers: list[Publisher] = []
    for number, topic in enumerate(cast("list[str]", asked["topics"])):
        kind = Publisher if number % _TIMED_OF else TimedPublisher
        publishers.append(await _connected(kind(number, topic, payload, window), port))
    return publishers


async def _connected(publisher: Publisher, port: int) -> Publisher:
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: publisher, "127.0.0.1", port)
    await publisher.ready
    return publisher


def cpu_s() -> float:
    """Return the processor time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _tell(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    text = Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else sys.stdin.read()
    uvloop.run(load(json.loads(text)))


if __name__ == "__main__":
    main()
