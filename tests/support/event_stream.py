"""A reader of Server-Sent Events as browsers read them (HTML standard, 9.2.6), but strict."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from support.wire import PATIENCE_SECONDS, Address, Wire, connect, request

ACCEPT = {"Accept": "text/event-stream"}


@dataclass(frozen=True)
class Event:
    """What a browser dispatches; `id` is the last one that came, with this event or before."""

    type: str
    data: str
    id: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class EventStream:
    """Reads the events of an answer in chunks."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.last_id = ""
        self.retry_ms: int | None = None
        self.signs_of_life = 0
        self.has_ended = False
        self._text = ""
        self._ready: deque[Event] = deque()

    async def next(self) -> Event:
        """The next event; fails when the stream ends before it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._ready:
                await self._read()
                assert self._ready or not self.has_ended, "the stream has ended"
        return self._ready.popleft()

    async def values(self) -> list[tuple[str, Any]]:
        """Keys and values of the next event, which must be one of values."""
        event = await self.next()
        assert event.type == "values", event
        return [(one["key"], one["value"]) for one in event.json]

    async def rest(self) -> list[Event]:
        """All events until the end."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.has_ended:
                await self._read()
        return list(self._ready)

    async def sign_of_life(self) -> None:
        """Wait for a comment."""
        seen = self.signs_of_life
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.signs_of_life == seen:
                await self._read()

    async def _read(self) -> None:
        chunk = await self.wire.read_chunk()
        self.has_ended = not chunk
        self._text += chunk.decode()
        *blocks, self._text = self._text.split("\n\n")
        for block in blocks:
            self._take(block)

    def _take(self, block: str) -> None:
        kind, data = "message", []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "":
                self.signs_of_life += 1
            elif name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "retry":
                self.retry_ms = int(value)
            else:
                raise AssertionError(f"no field: {line}")
        if data:
            self._ready.append(Event(kind, "\n".join(data), self.last_id))


@asynccontextmanager
async def event_stream(
    address: Address, target: str, headers: dict[str, str] | None = None, *, since: str = ""
) -> AsyncIterator[EventStream]:
    """A stream whose confirmation has been read; `since` as a browser sends it."""
    sent = ACCEPT | ({"Last-Event-ID": since} if since else {}) | (headers or {})
    async with connect(address) as wire:
        await wire.send(request("GET", target, headers=sent))
        head = await wire.read_head()
        assert head.status == 200, (head, await wire.rest())
        assert head.get("Content-Type") == "text/event-stream"
        stream = EventStream(wire)
        begun = await stream.next()
        assert begun.type == "subscribed"
        assert begun.json == {"status": "success", "message": "subscribed"}
        yield stream
