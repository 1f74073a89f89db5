"""Socket.IO, in both generations, polling and on a WebSocket."""

import asyncio
import json
import re
from contextlib import AsyncExitStack, suppress

import websockets

from contract.transports.driver import BY_HTTP_STATUS, Ended, Kind, Refused, pause, resume
from support.in_process import Served
from support.socketio import App, Polling, Socket, begun, joined, joined_namespace, websocket
from support.wire import PATIENCE_SECONDS, connect

_ESCAPES = re.compile(rb"(?:\\u[0-9a-f]{4})+")


def unescaped(text: bytes) -> bytes:
    """The text with its characters as they are; packets are ASCII (`packets.py`)."""
    return _ESCAPES.sub(lambda found: json.loads(b'"%b"' % found[0]).encode(), text)


class _Ears:
    def __init__(self, app: App, topic: str) -> None:
        self._app = app
        self._topic = topic

    async def _read(self):
        """The name of the next event, and its argument as it came."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            packet = await self._app.next()
        if packet == "1":
            return None, b""
        body = packet.removeprefix("42/v2,[").removesuffix("]")
        name, end = json.JSONDecoder().raw_decode(body)
        return name, unescaped(body[end + 1 :].encode())

    async def next(self):
        name, argument = await self._read()
        assert name == self._topic, (name, argument)
        return argument

    async def _until_unsubscribed(self):
        heard = []
        while (event := await self._read())[0] == self._topic:
            heard.append(event[1])
        return event, heard

    async def end(self):
        with suppress(websockets.ConnectionClosed):
            (name, argument), heard = await self._until_unsubscribed()
            if name is None:
                return Ended(await self._closing_words(), heard)
            document = json.loads(argument)
            assert (name, document["status"]) == ("unsubscribe", "error")
            with suppress(websockets.ConnectionClosed, AssertionError):
                # An answer comes behind all that was sent before.
                await self._app.emit("unsubscribe", {"resource": self._topic})
                heard += (await self._until_unsubscribed())[1]
            return Ended(document["message"], heard)
        return Ended("", [])

    async def _closing_words(self) -> str:
        if isinstance(self._app.carrier, Polling):
            return ""
        live = self._app.carrier.socket
        async with asyncio.timeout(PATIENCE_SECONDS):
            await live.wait_closed()
        return live.close_reason or ""

    async def unsubscribe(self):
        await self._app.emit("unsubscribe", {"resource": self._topic})
        (name, argument), heard = await self._until_unsubscribed()
        assert (name, json.loads(argument)["status"]) == ("unsubscribe", "success")
        return heard

    def pause(self):
        if isinstance(self._app.carrier, Polling):
            return  # Who does not poll reads nothing.
        pause(self._app.carrier.socket.transport)

    def resume(self):
        if not isinstance(self._app.carrier, Polling):
            resume(self._app.carrier.socket.transport)


class SocketIODriver:
    def __init__(
        self, served: Served, token: str, stack: AsyncExitStack, *, eio: int, is_polling: bool
    ) -> None:
        self._served = served
        self._token = token
        self._stack = stack
        self._eio = eio
        self._is_polling = is_polling

    async def _open(self) -> App:
        enter = self._stack.enter_async_context
        address = self._served.address
        if self._is_polling:
            sending, waiting = await enter(connect(address)), await enter(connect(address))
            app = App(Polling(address, self._eio, sending, waiting))
            app.carrier.sid = (await begun(app, self._eio))["sid"]
            self._stack.push_async_callback(self._leave, app)
        else:
            live = await enter(websocket(address, self._eio))
            self._stack.callback(live.transport.abort)
            app = App(Socket(self._eio, live))
            await begun(app, self._eio)
        return await joined_namespace(app, self._eio)

    async def _leave(self, app: App) -> None:
        # Otherwise it would be kept until it could have polled again.
        with suppress(OSError, asyncio.IncompleteReadError):
            async with connect(self._served.address) as wire:
                await wire.ask("POST", app.carrier.target(), joined(self._eio, ["1"]))

    async def _ask(self, app, name, argument):
        async with asyncio.timeout(PATIENCE_SECONDS):
            document = await app.ask(name, argument)
        if document["status"] == "success":
            return None
        # The topic is what the client calls it, and names the token that it sent.
        document.pop("resource", None)
        kind = BY_HTTP_STATUS.get(document["code"], Kind.SOMEHOW)
        return Refused(kind, document["message"], json.dumps(document).encode())

    async def hear(self, resource=None, *, behind=None):
        app = await self._open()
        topic = f"/things/{self._token}"
        refused = None
        if resource is not None:
            topic = f"/me/resources/{resource}"
            refused = await self._ask(app, "authenticate", {"sessionToken": self._token})
        refused = refused or await self._ask(app, "subscribe", {"resource": topic})
        return refused or _Ears(app, topic)
