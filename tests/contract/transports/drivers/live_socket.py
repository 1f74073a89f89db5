"""The live WebSocket, `GET /v2/live`."""

import asyncio
import json
from contextlib import AsyncExitStack

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from contract.transports.driver import BY_HTTP_STATUS, Ended, Kind, Refused, pause, resume
from support.in_process import Served
from support.wire import PATIENCE_SECONDS

_ID = "s"


def values_in(message: bytes) -> bytes:
    """The array of a message, as it came."""
    return message[message.index(b'"values":') + len(b'"values":') : -1]


class _Ears:
    def __init__(self, socket) -> None:
        self._socket = socket
        self._cursor = ""

    async def begin(self) -> Refused | None:
        message = await self._read()
        document = json.loads(message)
        if document["type"] != "subscribed":
            return refused(message)
        self._cursor = document["cursor"]
        return None

    async def _read(self):
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._socket.recv(decode=False)

    def _array(self, message):
        document = json.loads(message)
        if document["type"] != "values":
            return None
        self._cursor = document["cursor"]
        return values_in(message)

    async def next(self):
        message = await self._read()
        array = self._array(message)
        assert array is not None, message
        return array

    async def _until(self, kind):
        heard = []
        while (document := json.loads(message := await self._read()))["type"] != kind:
            array = self._array(message)
            assert array is not None, message
            heard.append(array)
        return document, heard

    async def end(self):
        try:
            document, heard = await self._until("ended")
        except ConnectionClosed:
            return Ended(self._socket.close_reason or "", [])
        try:
            await self._socket.send(json.dumps({"type": "ping"}))
            heard += (await self._until("pong"))[1]
        except ConnectionClosed:
            pass
        return Ended(document["message"], heard)

    async def unsubscribe(self):
        await self._socket.send(json.dumps({"type": "unsubscribe", "id": _ID}))
        return (await self._until("unsubscribed"))[1]

    async def place(self):
        return self._cursor

    def pause(self):
        pause(self._socket.transport)

    def resume(self):
        resume(self._socket.transport)


def refused(message: bytes) -> Refused:
    document = json.loads(message)
    assert document["type"] == "error", message
    kind = BY_HTTP_STATUS.get(document["code"], Kind.SOMEHOW)
    return Refused(kind, document["message"], message)


class LiveSocketDriver:
    def __init__(self, served: Served, token: str, stack: AsyncExitStack) -> None:
        self._served = served
        self._token = token
        self._stack = stack

    async def hear(self, resource=None, *, behind=None):
        address = self._served.address
        url = f"ws://{address.host}:{address.port}/v2/live"
        connecting = connect(url, proxy=None, compression=None, close_timeout=0.1)
        live = await self._stack.enter_async_context(connecting)
        self._stack.callback(live.transport.abort)
        await live.send(json.dumps({"type": "authenticate", "token": self._token}))
        async with asyncio.timeout(PATIENCE_SECONDS):
            message = await live.recv(decode=False)
        if json.loads(message) != {"type": "authenticated"}:
            return refused(message)
        name = f"/things/{self._token}" if resource is None else f"/me/resources/{resource}"
        asked = {"type": "subscribe", "id": _ID, "resource": name}
        await live.send(json.dumps(asked | ({"since": behind} if behind else {})))
        ears = _Ears(live)
        return await ears.begin() or ears
