"""The socket of the UDP gateway: takes datagrams, bounds them, and answers each with a byte.

An answer is never larger than what it answers, so that nobody is flooded in another's name.
What cannot be taken now is dropped and counted, as the network would.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import cast

from thingstead.features.devices.model import DeviceProduct
from thingstead.features.devices.service import Devices
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.features.values.service import Values
from thingstead.kernel.addresses import counted_as, is_public
from thingstead.kernel.budget import Budgets, Rate
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.udp.datagrams import (
    ByDevice,
    ByToken,
    Datagram,
    parse_datagram,
    signed_payload,
)
from thingstead.transports.udp.payloads import write_of
from thingstead.transports.udp.statuses import RefusedDatagramError, Status, status_of

_log = logging.getLogger(__name__)
_LOG_EVERY_S = 1.0

Peer = tuple[str, int]


@dataclass(frozen=True, slots=True)
class UDPLimits:
    """How much is taken; wrong datagrams cost their address `bad`, and get no answer beyond."""

    datagram_bytes: int = 8 * 1024
    in_progress: int = 1_000
    bad: Rate = field(default=Rate(per_second=20 / 60, burst=20))
    patience_seconds: float = 30.0
    drain_seconds: float = 10.0


@dataclass(slots=True)
class UDPCounts:
    """How many datagrams came, and what became of them."""

    received: int = 0
    stored: int = 0
    refused: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class UDPServices:
    """What the gateway calls."""

    devices: Devices
    things: Things
    values: Values


class UDPServer:
    """Serves one port; `drain` ends it and closes the socket."""

    def __init__(
        self, services: UDPServices, clock: Clock, limits: UDPLimits | None = None
    ) -> None:
        self._services = services
        self._clock = clock
        self._limits = limits or UDPLimits()
        self._bad: Budgets[str] = Budgets(self._limits.bad)
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self._is_paused = False
        self._logged_at = float("-inf")
        self.counts = UDPCounts()

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one. Raises `OSError` when that cannot be."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Protocol(self), local_addr=(host, port)
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._transport is not None  # noqa: S101  # It has been started.
        return int(self._transport.get_extra_info("sockname")[1])

    async def drain(self) -> None:
        """Take nothing more, let what was taken be answered, and close the socket."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._limits.drain_seconds)
            late = list(self._tasks)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        finally:
            transport.close()

    def receive(self, transport: asyncio.DatagramTransport, data: bytes, peer: Peer) -> None:
        """Take a datagram, or drop it when too many are in progress."""
        self.counts.received += 1
        is_full = len(self._tasks) >= self._limits.in_progress
        if not data or is_full or self._transport is None:
            self.counts.dropped += 1
            return
        task = asyncio.create_task(self._serve(transport, data, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def pause(self, *, is_paused: bool) -> None:
        """Send no answers while the system takes none."""
        self._is_paused = is_paused

    async def _serve(self, transport: asyncio.DatagramTransport, data: bytes, peer: Peer) -> None:
        status = await self._status(data, peer[0])
        if status is Status.OK:
            self.counts.stored += 1
        elif status is None:
            self.counts.dropped += 1
        else:
            self.counts.refused += 1
        if status is not None and not self._is_paused:
            transport.sendto(bytes([status]), peer)

    async def _status(self, data: bytes, host: str) -> Status | None:
        """Return what became of the datagram; None for what is not answered."""
        try:
            async with asyncio.timeout(self._limits.patience_seconds):
                return await self._stored(data, host)
        except RefusedDatagramError as error:
            is_paid = self._bad.take(counted_as(host), self._clock.monotonic()) <= 0
            return error.status if is_paid else None
        except TimeoutError:
            # Whether it is stored is not known yet.
            return None
        except Exception:  # noqa: BLE001  # A fault of ours must not end the gateway.
            self._log_failure()
            return Status.INTERNAL

    async def _stored(self, data: bytes, host: str) -> Status | None:
        if len(data) > self._limits.datagram_bytes:
            raise RefusedDatagramError(Status.INVALID_MESSAGE)
        datagram = parse_datagram(data)
        sender, address = datagram.sender, counted_as(host)
        try:
            if isinstance(sender, ByToken):
                thing, product, payload = await self._by_token(sender, datagram, address)
            else:
                thing, product, payload = await self._by_device(sender, datagram, host)
            # The future resolves after the durable commit.
            await self._services.values.submit_encoded(
                thing, lambda: write_of(payload, product.decoder)
            )
        except ThingsteadError as error:
            return status_of(error, is_by_token=isinstance(sender, ByToken))
        return Status.OK

    async def _by_token(
        self, sender: ByToken, datagram: Datagram, address: str
    ) -> tuple[Thing, DeviceProduct, bytes]:
        thing = await self._services.things.resolve(sender.token, address=address)
        product = await self._services.devices.product_of(thing)
        if product.udp_key is None:
            return thing, product, datagram.rest
        return thing, product, signed_payload(datagram.rest, product.udp_key)

    async def _by_device(
        self, sender: ByDevice, datagram: Datagram, host: str
    ) -> tuple[Thing, DeviceProduct, bytes]:
        devices = self._services.devices
        product = await devices.product(
            sender.product_id, sender.product_hash, address=counted_as(host)
        )
        payload = datagram.rest
        if product.udp_key is not None:
            payload = signed_payload(payload, product.udp_key)
        elif is_public(host):
            # The hash alone, which everybody on the way can read, is enough within a network
            # of one's own only (`rulings.md`, Transports).
            raise RefusedDatagramError(Status.INVALID_HMAC)
        return await devices.thing(product, sender.device_id), product, payload

    def _log_failure(self) -> None:
        """Log a fault with its trace; once a second, or one fault would fill the disk."""
        now = self._clock.monotonic()
        if now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            _log.exception("a datagram could not be served")


class _Protocol(asyncio.DatagramProtocol):
    """Hands what the socket brings to the server."""

    def __init__(self, server: UDPServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is no subclass of asyncio's, so it cannot be asked what it is.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        assert self._transport is not None  # noqa: S101
        self._server.receive(self._transport, data, addr)

    def error_received(self, exc: Exception) -> None:
        """Do nothing: a peer that is gone needs no answer."""

    def pause_writing(self) -> None:
        self._server.pause(is_paused=True)

    def resume_writing(self) -> None:
        self._server.pause(is_paused=False)
