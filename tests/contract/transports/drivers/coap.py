"""CoAP: confirmable requests, and observations whose notifications are confirmed."""

import asyncio
import itertools
import json
from collections import deque
from contextlib import AsyncExitStack

from contract.transports.driver import Ended, Kind, Refused
from support.coap import CON, EMPTY, GET, OBSERVE, POST, Peer, request
from support.in_process import Served
from support.wire import compact

_SUBSCRIBED = b'{"status":"success","message":"subscribed"}'
_KINDS = {
    "4.00": Kind.INVALID,
    "4.01": Kind.UNKNOWN,
    "4.04": Kind.UNKNOWN,
    "4.29": Kind.TOO_MANY,
    "5.03": Kind.BUSY,
}


class CoAPDriver:
    def __init__(self, served: Served, token: str, stack: AsyncExitStack) -> None:
        self._port = served.ports["coap"]
        self._thing = f"/v2/things/{token}"
        self._stack = stack
        self._peer: Peer | None = None
        self._tokens = itertools.count(1)
        self.unheard: deque = deque()
        """Notifications that came between a request and its answer."""

    async def _connected(self) -> Peer:
        if self._peer is None:
            transport, self._peer = await asyncio.get_running_loop().create_datagram_endpoint(
                Peer, remote_addr=("127.0.0.1", self._port)
            )
            self._stack.callback(transport.close)
        return self._peer

    async def ask(self, method, path, *, token=None, **members):
        """The answer; notifications that come before it are put aside."""
        peer = await self._connected()
        sent = request(method, path, token=token or b"q%d" % next(self._tokens), **members)
        peer.send(sent)
        while True:
            packet = await peer.receive()
            if packet.code == EMPTY:
                continue
            if packet.token == sent.token and packet.kind != CON:
                return packet
            if packet.token == sent.token:
                peer.acknowledge(packet)
                return packet
            self.unheard.append(packet)

    async def notified(self):
        """The next notification, acknowledged."""
        assert self._peer is not None
        while True:
            packet = self.unheard.popleft() if self.unheard else await self._peer.receive()
            if packet.kind == CON:
                self._peer.acknowledge(packet)
            if packet.code != EMPTY and packet.payload != b"{}":
                return packet

    async def write(self, values, *, is_broadcast=True):
        query = "" if is_broadcast else "?broadcast=false"
        answer = await self.ask(POST, self._thing + query, payload=compact({"values": values}))
        return None if answer.status == "2.01" else _refused(answer)

    async def read(self, key, limit):
        answer = await self.ask(GET, f"{self._thing}/resources/{key}?limit={limit}")
        return answer.payload if answer.status == "2.05" else _refused(answer)

    async def hear(self, resource=None, *, behind=None):
        token = b"o%d" % next(self._tokens)
        answer = await self.ask(GET, self._thing, token=token, options=[(OBSERVE, b"")])
        if answer.status != "2.05":
            return _refused(answer)
        assert answer.payload == _SUBSCRIBED
        # A peer that just vanishes is missed with the next notification only.
        left = request(GET, self._thing, token=token, options=[(OBSERVE, b"\x01")])
        self._stack.callback(self._peer.send, left)
        return _Ears(self, token, self._thing)


class _Ears:
    def __init__(self, driver: CoAPDriver, token: bytes, thing: str) -> None:
        self._driver = driver
        self._token = token
        self._thing = thing

    async def next(self):
        packet = await self._driver.notified()
        assert packet.option(OBSERVE) is not None, packet
        return packet.payload

    async def end(self):
        heard = []
        while (packet := await self._driver.notified()).option(OBSERVE) is not None:
            heard.append(packet.payload)
        await self._driver.ask(GET, "/v2/utils/date")
        heard += [late.payload for late in self._driver.unheard]
        return Ended(json.loads(packet.payload)["message"], heard)

    async def unsubscribe(self):
        left = [(OBSERVE, b"\x01")]
        answer = await self._driver.ask(GET, self._thing, token=self._token, options=left)
        assert answer.status == "2.05", answer
        return [packet.payload for packet in self._driver.unheard]

    def pause(self):
        """What is not acknowledged is followed by nothing."""

    def resume(self):
        """What has come waits to be acknowledged."""


def _refused(packet) -> Refused:
    kind = _KINDS.get(packet.status, Kind.SOMEHOW)
    return Refused(kind, json.loads(packet.payload)["message"], packet.payload)
