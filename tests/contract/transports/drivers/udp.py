"""The UDP gateway: a datagram in, a byte back."""

import asyncio
from contextlib import AsyncExitStack

from contract.transports.driver import Kind, Refused
from support.in_process import Served
from support.udp import UDPDevice
from support.wire import compact

_STORED = b"\x20"
_KINDS = {b"\x13": Kind.UNKNOWN, b"\x05": Kind.INVALID, b"\x00": Kind.BUSY}


class UDPDriver:
    def __init__(self, served: Served, token: str, stack: AsyncExitStack) -> None:
        self._port = served.ports["udp"]
        self._token = token
        self._stack = stack
        self._device: UDPDevice | None = None

    async def write(self, values, *, is_broadcast=True):
        if self._device is None:
            transport, self._device = await asyncio.get_running_loop().create_datagram_endpoint(
                UDPDevice, remote_addr=("127.0.0.1", self._port)
            )
            self._stack.callback(transport.close)
        payload = compact({"values": values})
        answer = await self._device.ask(b"\x01" + self._token.encode() + payload)
        return None if answer == _STORED else Refused(_KINDS[answer], "", answer)
