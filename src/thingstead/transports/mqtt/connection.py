"""One MQTT connection: bytes in their order, within limits and in time.

What the hot path takes (`publishing.py`) is done where the bytes arrive. All else waits in
order for one task, which exists only while there is something to do. It must not know what a
topic means; read on in `client.py`.
"""

import asyncio
import logging
from collections import deque

from thingstead.features.kept_sessions.model import KeptSubscription
from thingstead.kernel.addresses import counted_as
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.mqtt.broker import Broker
from thingstead.transports.mqtt.client import Client
from thingstead.transports.mqtt.codec import (
    Connect,
    Decoder,
    Disconnect,
    MQTTProtocolError,
    Packet,
    Pingreq,
    Properties,
    Puback,
    Publish,
    Pubrel,
    Reason,
    Subscribe,
    Unsubscribe,
    encoder,
)
from thingstead.transports.mqtt.codec.reasons import CONNACK_REASONS
from thingstead.transports.mqtt.connecting import RefusedError, introduce
from thingstead.transports.mqtt.refusals import connack_reason
from thingstead.transports.mqtt.wire import Wire, close_wire

_log = logging.getLogger(__name__)
_KEEP_ALIVE_FACTOR = 1.5
_STOPPING_S = 1.0
# How much of one client is done before the others get their turn; a piece costs something too.
_PIECE_BYTES = 64
_MOST_IN_A_TURN, _DONE_AT_ONCE = 1_000, 32


class MQTTConnection(asyncio.BufferedProtocol):
    """Speaks with one client; made by the listener, counted by the broker."""

    __slots__ = (
        "_address",
        "_behind_bytes",
        "_broker",
        "_client",
        "_closing_since",
        "_decoder",
        "_heard_at",
        "_is_lost",
        "_is_paused",
        "_leaving",
        "_patience_s",
        "_pending",
        "_taken_bytes",
        "_wire",
        "_worker",
        "is_writable",
    )

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        limits = broker.limits
        self._decoder = Decoder(limits.packet_bytes, max_connect_bytes=limits.connect_bytes)
        self._client: Client | None = None
        self._pending: deque[Packet] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._wire: Wire
        self._address = "unknown"
        self._heard_at = broker.now()
        self._patience_s: float | None = limits.connect_s
        self._closing_since: float | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._is_lost = False
        self._is_paused = False
        self._behind_bytes = 0
        self._taken_bytes = 0
        self.is_writable = True

    # What the event loop calls.

    # uvloop's transports have the methods without being of the class.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; a client has until `connect_s` to introduce itself."""
        peer = transport.get_extra_info("peername")
        transport.set_write_buffer_limits(high=self._broker.limits.write_buffer_bytes)
        self.begin(transport, peer[0] if peer else "unknown")

    def begin(self, wire: Wire, address: str) -> None:
        """Begin on any wire; `address` is the client's."""
        self._wire = wire
        self._address = counted_as(address)
        if not self._broker.admit(self, self._address):
            self._is_lost = True
            self._closing_since = self._broker.now()
            wire.abort()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  # As asyncio has it.
        """Return where to put what comes: the same for all, because it is taken at once."""
        return self._broker.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come; never more at a time than the buffer holds."""
        self.data_received(bytes(memoryview(self._broker.buffer)[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._closing_since is not None:
            return
        if self._client is not None:
            # Before that, bytes that come one by one buy no time.
            self._heard_at = self._broker.now()
        try:
            for count, packet in enumerate(self._decoder.feed(data)):
                if count >= _MOST_IN_A_TURN:
                    self._queue(packet)
                elif not (
                    type(packet) is Publish
                    and self._worker is None
                    and self._publish_quickly(packet)
                ):
                    self._take(packet)
        except MQTTProtocolError as error:
            self._queue_failure(error)
        if self._worker is not None:
            self._behind_bytes += len(data)
        self._taken_bytes += len(data) + _PIECE_BYTES
        if self._is_full():
            self._pause()
        elif self._taken_bytes >= self._broker.limits.turn_bytes:
            # Whoever sends without end would have the loop for itself alone.
            self._pause()
            self._broker.loop.call_soon(self.resume_if_room)

    def eof_received(self) -> bool:
        """Close; what came before is still carried out."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # As asyncio has it.
        """End; what the client sent before it left is still carried out."""
        self._is_lost = True
        self._broker.release(self, self._address)
        if self._closing_since is None:
            self._closing_since = self._broker.now()
        if self._worker is None:
            self._leave()

    def pause_writing(self) -> None:
        """Hold events back, and answers too: the client reads too slowly."""
        self.is_writable = False
        self._pause()

    def resume_writing(self) -> None:
        """Let events go on."""
        self.is_writable = True
        self.resume_if_room()
        if self._client is not None:
            self._client.poke()

    # Packets in their order.

    def _take(self, packet: Packet) -> None:
        kind = type(packet)
        if kind is Puback and self._client is not None:
            assert isinstance(packet, Puback)  # noqa: S101  # For the type checker.
            self._client.outbox.acknowledged(packet.packet_id)
            return
        if kind is Pingreq and self._client is not None:
            # At once: who waits for something slow is there all the same.
            self.write(encoder.pingresp())
            return
        self._queue(packet)

    def _queue(self, packet: Packet) -> None:
        self._pending.append(packet)
        if self._worker is None:
            self._worker = self._broker.spawn(self._work())

    def _queue_failure(self, error: MQTTProtocolError) -> None:
        """End the connection when what came before the failure has been carried out."""
        if self._worker is None:
            self.fail(error.reason, str(error))
        else:
            self._worker.add_done_callback(lambda _: self.fail(error.reason, str(error)))

    async def _work(self) -> None:
        done = 0
        try:
            while self._pending:
                packet = self._pending.popleft()
                # What waited behind something slow may be quick by now.
                if not (type(packet) is Publish and self._publish_quickly(packet)):
                    await self._carry_out(packet)
                self._resume_if_room()
                done += 1
                if not done % _DONE_AT_ONCE:
                    await asyncio.sleep(0)
        except MQTTProtocolError as error:
            self._pending.clear()
            self.fail(error.reason, str(error))
        except ThingsteadError as error:
            self._pending.clear()
            self.fail(Reason.SERVER_BUSY, str(error))
        except Exception:  # noqa: BLE001  # A fault of ours ends this connection, and no other.
            _log.exception("an MQTT connection failed")
            self._pending.clear()
            self.fail(Reason.UNSPECIFIED_ERROR, "")
        finally:
            self._worker = None
            self._behind_bytes = 0
            self._resume_if_room()
            if self._is_lost:
                self._leave()

    def _publish_quickly(self, packet: Publish) -> bool:
        return self._client is not None and self._client.publishing.take(packet)

    async def _carry_out(self, packet: Packet) -> None:
        client = self._client
        if client is None:
            if not isinstance(packet, Connect):
                raise MQTTProtocolError(Reason.PROTOCOL_ERROR, "the first packet must be CONNECT")
            await self._introduce(packet)
        elif isinstance(packet, Publish):
            await client.publishing.publish(packet)
        elif isinstance(packet, Pubrel):
            await client.publishing.release(packet)
        elif isinstance(packet, Subscribe):
            await client.subscribing.subscribe(packet)
        elif isinstance(packet, Unsubscribe):
            await client.subscribing.unsubscribe(packet)
        elif isinstance(packet, Pingreq):
            self.write(encoder.pingresp())
        elif isinstance(packet, Disconnect):
            client.say_goodbye(packet)
            self.close()
        elif isinstance(packet, Puback):
            client.outbox.acknowledged(packet.packet_id)
        else:
            raise MQTTProtocolError(
                Reason.PROTOCOL_ERROR, "a packet that this connection does not expect"
            )

    async def _introduce(self, packet: Connect) -> None:
        try:
            client = await introduce(self._broker, self, packet, self._address)
        except RefusedError as refused:
            self.fail(refused.reason, str(refused))
            return
        except ThingsteadError as error:
            self._broker.note_refusal(None, error.code)
            self.fail(connack_reason(error), str(error))
            return
        keep_alive_s = client.keep_alive_s
        self._patience_s = keep_alive_s * _KEEP_ALIVE_FACTOR if keep_alive_s else None
        self._heard_at = self._broker.now()
        self._client = client
        await client.begin()

    def _is_full(self) -> bool:
        client, limits = self._client, self._broker.limits
        outstanding = 0 if client is None else client.publishing.outstanding
        has_many = len(self._pending) + outstanding >= limits.waiting
        return has_many or self._behind_bytes >= limits.packet_bytes or not self.is_writable

    def _pause(self) -> None:
        if not self._is_paused and not self._is_lost and self._closing_since is None:
            self._is_paused = True
            self._wire.pause_reading()

    def _resume_if_room(self) -> None:
        is_over = self._is_lost or self._closing_since is not None or self._broker.is_stopping
        if self._is_paused and not is_over and not self._is_full():
            self._is_paused = False
            self._taken_bytes = 0
            self._heard_at = self._broker.now()
            self._wire.resume_reading()

    # What the client's parts call.

    def resume_if_room(self) -> None:
        """Read on, when too much of this client waited and does no longer."""
        if self._is_paused:
            self._resume_if_room()

    def write(self, data: bytes) -> None:
        """Send the bytes, unless the connection is gone."""
        if data and not self._is_lost and self._closing_since is None:
            self._wire.write(data)

    def fail(self, reason: int, text: str) -> None:
        """End the connection, with the reason where the protocol can say it."""
        client = self._client
        if client is not None:
            self.write(encoder.disconnect(client.level, reason, client.told_last(text)))
        elif self._decoder.level or reason == Reason.UNSUPPORTED_PROTOCOL_VERSION:
            level = self._decoder.level
            if reason not in CONNACK_REASONS:
                reason = Reason.SERVER_UNAVAILABLE
            told = Properties(reason_string=text or None)
            self.write(encoder.connack(level, reason=reason, properties=told))
        self.close(is_told=not self._broker.is_stopping)

    def close(self, *, is_told: bool = False) -> None:
        """Close after what was written; a client that reads nothing is cut off in the end.

        A client that `is_told` why can read it, whatever it is sending meanwhile.
        """
        if self._closing_since is None:
            self._closing_since = self._broker.now()
            self._pending.clear()
            if not self._is_lost:
                close_wire(self._wire, is_told=is_told)

    def abort(self) -> None:
        """Cut the connection off."""
        if not self._is_lost:
            self._wire.abort()

    async def give_way(self) -> None:
        """End because the same client connected anew; done when its session has been left."""
        self.fail(Reason.SESSION_TAKEN_OVER, "the same client connected anew")
        await self._finish_work(self._broker.limits.closing_s)
        if self._worker is not None:
            # What still waits is sent again by the client, and would be stored twice.
            self._worker.cancel()
            await self._finish_work(_STOPPING_S)
        await self._finish_leaving()

    async def _finish_work(self, patience_s: float) -> None:
        if self._worker is not None:
            await asyncio.wait({self._worker}, timeout=patience_s)

    async def _finish_leaving(self) -> None:
        self._leave()
        if self._leaving is not None:
            await asyncio.wait({self._leaving})

    def stop_if_idle(self) -> bool:
        """End because the server stops, at once, and return True; False while there is work."""
        client = self._client
        if self._worker is not None or (client is not None and client.publishing.outstanding):
            return False
        if client is not None:
            client.will = None
            client.publishing.flush()
        self.fail(Reason.SERVER_SHUTTING_DOWN, "the server is stopping")
        self._leave()
        return True

    async def stop(self) -> None:
        """End because the server stops, when what was taken before is acknowledged.

        The will stays unsent: it is not the client that was lost.
        """
        client = self._client
        if client is not None:
            client.will = None
            self._pause()
            await self._finish_work(_STOPPING_S)
            await client.publishing.settle()
        self.fail(Reason.SERVER_SHUTTING_DOWN, "the server is stopping")
        # Nothing that comes now is heard, so there is nothing to wait for but the session.
        await self._finish_leaving()

    def look_at_time(self, now: float) -> None:
        """End what has taken too long; called every second."""
        if self._closing_since is not None:
            if now - self._closing_since > self._broker.limits.closing_s:
                self.abort()
        elif self._patience_s is not None and now - self._heard_at > self._patience_s:
            is_introduced = self._client is None and self._worker is not None
            if is_introduced or (self._is_paused and self.is_writable):
                # It is the server that does not go on; the client's time stands still.
                self._heard_at = now
            elif self._client is None:
                self.close()
            else:
                self.fail(Reason.KEEP_ALIVE_TIMEOUT, "nothing came for 1.5 times the keep-alive")

    def progress_to_note(self) -> tuple[str, tuple[KeptSubscription, ...]] | None:
        """Return how far the client's kept session came, if that is to be noted."""
        return None if self._client is None else self._client.progress_to_note()

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            if self._broker.is_stopping:
                # It is the server that leaves, whichever side closed first.
                client.will = None
            self._leaving = client.leave()
