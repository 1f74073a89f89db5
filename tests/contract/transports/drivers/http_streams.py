"""The two live streams of HTTP: documents in chunks, and Server-Sent Events."""

import json
from contextlib import AsyncExitStack

from contract.transports.driver import BY_HTTP_STATUS, Ended, Kind, Refused, pause, resume
from support.event_stream import ACCEPT, EventStream
from support.in_process import Served
from support.wire import Wire, connect, request

SUBSCRIBED = b'{"status":"success","message":"subscribed"}'


class _Paused:
    """A connection that can be left unread."""

    wire: Wire

    def pause(self) -> None:
        pause(self.wire.writer.transport)

    def resume(self) -> None:
        resume(self.wire.writer.transport)


class _Documents(_Paused):
    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def begin(self) -> None:
        assert await self.wire.read_chunk() == SUBSCRIBED

    async def next(self):
        while (chunk := await self.wire.read_chunk()) == b"{}":
            pass
        assert chunk.startswith(b"["), chunk
        return chunk

    async def end(self):
        heard, text = [], ""
        while chunk := await self.wire.read_chunk():
            if chunk.startswith(b"["):
                heard.append(chunk)
            elif chunk != b"{}":
                text = json.loads(chunk)["message"]
        return Ended(text, heard)


class _Events(_Paused):
    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._stream = EventStream(wire)
        self._place = ""

    async def begin(self) -> None:
        assert (await self._take()).type == "subscribed"

    async def _take(self):
        event = await self._stream.next()
        self._place = event.id
        return event

    async def next(self):
        event = await self._take()
        assert event.type == "values", event
        return event.data.encode()

    async def end(self):
        rest = await self._stream.rest()
        last = rest[-1] if rest and rest[-1].type == "end" else None
        heard = [event.data.encode() for event in rest if event.type == "values"]
        return Ended("" if last is None else last.json["message"], heard)

    async def place(self):
        return self._place


class StreamDriver:
    """Documents in chunks."""

    ears = _Documents
    headers: dict[str, str] = {}  # noqa: RUF012  # Never changed.

    def __init__(self, served: Served, token: str, stack: AsyncExitStack) -> None:
        self._served = served
        self._token = token
        self._stack = stack

    async def hear(self, resource=None, *, behind=None):
        headers = self.headers | ({"Last-Event-ID": behind} if behind else {})
        target = f"/v2/things/{self._token}"
        if resource is not None:
            target = f"/v2/me/resources/{resource}?subscribe=true"
            headers = headers | {"Authorization": self._token}
        wire = await self._stack.enter_async_context(connect(self._served.address))
        await wire.send(request("GET", target, headers=headers))
        head = await wire.read_head()
        if head.status != 200:
            body = await wire.reader.readexactly(int(head.get("Content-Length")))
            kind = BY_HTTP_STATUS.get(head.status, Kind.SOMEHOW)
            return Refused(kind, json.loads(body)["message"], head.head + body)
        ears = self.ears(wire)
        await ears.begin()
        return ears


class EventStreamDriver(StreamDriver):
    """Server-Sent Events."""

    ears = _Events
    headers = ACCEPT
