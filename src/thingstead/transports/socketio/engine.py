"""One Engine.IO connection: packets in and out, over polling, a WebSocket, or one after the other.

It knows the clock only as numbers that it is given and no HTTP. What the packets carry is the
rider's (`namespace.py`). Nothing waits here but a poll; a connection has no task of its own, and
the sweeper's one timer ends those whose clients have vanished.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Protocol

from thingstead.kernel.budget import TokenBucket
from thingstead.transports.socketio.limits import SocketIOLimits
from thingstead.transports.socketio.packets import (
    CLOSE,
    MESSAGE,
    NOOP,
    PING,
    PONG,
    UPGRADE,
    Generation,
    MalformedPacketError,
    open_packet,
    packet_of,
)

_log = logging.getLogger(__name__)

_CLOSE, _NOOP, _PING, _PONG = (kind.encode("ascii") for kind in (CLOSE, NOOP, PING, PONG))
_PROBE = "probe"
NORMAL, GOING_AWAY, POLICY = 1000, 1001, 1008
"""Codes that close a WebSocket (RFC 6455, 7.4.1)."""


class Carrier(Protocol):
    """A WebSocket that carries packets, each a text message."""

    @property
    def is_writable(self) -> bool:
        """Whether the client reads as fast as we write."""
        ...

    def send_text(self, text: bytes) -> None:
        """Write a message; never waits. After the end it does nothing."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin to close; idempotent."""
        ...


class Rider(Protocol):
    """What the packets of a connection are for."""

    def on_message(self, text: str) -> None:
        """Take a message of the client's; may raise MalformedPacketError."""
        ...

    def on_writable(self) -> None:
        """Take note that more can be sent."""
        ...

    def on_closed(self) -> None:
        """Let go of everything; called once."""
        ...


class PollRefusedError(Exception):
    """A poll or its body came where there can be none."""


class EngineSession:
    """One client's connection, under an id that only the client knows.

    `deadline` is the sweeper's: the next moment at which something is due. `count_stranger` is
    told of one more, or one less, connection whose client has shown no right; `on_end` of the end.
    """

    __slots__ = (
        "_beat_at",
        "_bucket",
        "_carrier",
        "_count_stranger",
        "_is_pinged",
        "_is_probed",
        "_limits",
        "_now",
        "_on_end",
        "_outbox",
        "_outbox_bytes",
        "_poll",
        "_probe",
        "_probe_until",
        "_stranger_until",
        "deadline",
        "generation",
        "has_ended",
        "rider",
        "sid",
        "stall_deadline",
    )

    def __init__(
        self,
        sid: str,
        generation: Generation,
        limits: SocketIOLimits,
        *,
        now: Callable[[], float],
        count_stranger: Callable[[int], None],
        on_end: "Callable[[EngineSession], None]",
    ) -> None:
        at = now()
        self.sid = sid
        self.generation = generation
        self.rider: Rider | None = None
        self.has_ended = False
        self.stall_deadline = math.inf
        self._limits = limits
        self._now = now
        self._on_end = on_end
        self._count_stranger = count_stranger
        self._carrier: Carrier | None = None
        self._probe: Carrier | None = None
        self._is_probed = False
        self._poll: asyncio.Future[None] | None = None
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        self._bucket = TokenBucket(limits.messages, at)
        self._is_pinged = False
        self._beat_at = math.inf
        self._probe_until = math.inf
        self._stranger_until = at + limits.greeting_s
        self.deadline = math.inf
        self._heard(at)
        count_stranger(1)

    @property
    def is_writable(self) -> bool:
        """Whether more than answers should be sent now."""
        if self._carrier is not None:
            return self._carrier.is_writable
        # Half of what may wait is left for answers and for what is taken at once.
        return (
            2 * len(self._outbox) < self._limits.queued_packets
            and 2 * self._outbox_bytes < self._limits.queued_bytes
        )

    def open(self, carrier: Carrier | None, *, has_upgrade: bool) -> None:
        """Begin, over polling or at once over a WebSocket."""
        self._carrier = carrier
        limits = self._limits
        self.send(
            open_packet(
                self.sid,
                has_upgrade=has_upgrade,
                ping_interval_ms=round(limits.ping_interval_s * 1_000),
                ping_timeout_ms=round(limits.ping_timeout_s * 1_000),
                most_bytes=limits.message_bytes,
            )
        )

    def send(self, packet: bytes) -> None:
        """Send a packet, which is ASCII, now or with the next poll.

        When too much waits for the client the connection ends instead.
        """
        if self.has_ended:
            return
        if self._carrier is not None:
            self._carrier.send_text(packet)
            return
        limits = self._limits
        # A single packet may be larger than the bound, which is for what piles up.
        if len(self._outbox) >= limits.queued_packets or self._outbox_bytes >= limits.queued_bytes:
            _log.info("a Socket.IO connection ended: too much waited for its next poll")
            self.end("too much waits for the next poll", POLICY)
            return
        self._outbox.append(packet)
        self._outbox_bytes += len(packet)
        self._wake_poll()

    async def poll(self) -> list[bytes]:
        """Return what waits for the client, at least one packet; wait until there is something.

        Raises:
            PollRefusedError: another poll waits, which ends the connection, or a WebSocket
                carries it.
        """
        if self._has_changed():
            raise PollRefusedError
        if self._poll is not None:
            self.end("two polls at once", POLICY)
            raise PollRefusedError
        if not self._outbox and not self._is_probed and not self.has_ended:
            self._poll = asyncio.get_running_loop().create_future()
            try:
                await self._poll
            finally:
                self._poll = None
        if self._has_changed():
            # What waits goes out on the WebSocket to which the client has changed.
            return [_NOOP]
        packets, self._outbox = self._outbox or [_NOOP], []
        self._outbox_bytes = 0
        if self.rider is not None and not self.has_ended:
            self.rider.on_writable()
        return packets

    def receive_polled(self, packets: list[str]) -> None:
        """Take the packets of a polling body.

        Raises:
            PollRefusedError: a WebSocket carries the connection.
            MalformedPacketError: something in it is no packet; the connection has ended.
        """
        if self._has_changed():
            raise PollRefusedError
        for text in packets:
            if self.has_ended:
                return
            self._receive(text)

    def receive_text(self, carrier: Carrier, text: str) -> None:
        """Take a message of a WebSocket; what is none ends the connection."""
        if self.has_ended:
            return
        if carrier is not self._carrier:
            self._receive_probe(carrier, text)
            return
        try:
            self._receive(text)
        except MalformedPacketError:
            return  # It has ended, and the client was told why.

    def _has_changed(self) -> bool:
        """Return whether a WebSocket carries the connection; it never goes back to polling."""
        return self._carrier is not None

    def _receive(self, text: str) -> None:
        now = self._now()
        if self._bucket.take(self._limits.messages, now) > 0:
            _log.info("a Socket.IO connection ended: it sent too many messages")
            self.end("too many messages", POLICY)
            return
        try:
            kind, data = packet_of(text)
            self._heard(now)
            self._take(kind, data)
        except MalformedPacketError as exc:
            self.end(str(exc), POLICY)
            raise

    def _take(self, kind: str, data: str) -> None:
        if kind == MESSAGE:
            if self.rider is not None:
                self.rider.on_message(data)
        elif kind == PING and self.generation is Generation.THREE:
            self.send(_PONG)
        elif kind == CLOSE:
            self.end("the client closed", NORMAL)
        elif kind not in (PONG, NOOP):
            raise MalformedPacketError("a packet that only the server sends")

    def offer(self, carrier: Carrier) -> bool:
        """Take a WebSocket to which the client may change; False when there can be none."""
        if self.has_ended or self._carrier is not None or self._probe is not None:
            return False
        self._probe = carrier
        self._probe_until = self._now() + self._limits.upgrade_s
        self._set_deadline()
        return True

    def _receive_probe(self, carrier: Carrier, text: str) -> None:
        if carrier is not self._probe:
            carrier.close(POLICY, "this connection has another WebSocket")
        elif text == PING + _PROBE:
            self._is_probed = True
            carrier.send_text((PONG + _PROBE).encode("ascii"))
            # The client changes over when its poll has been answered.
            self._wake_poll()
        elif text == UPGRADE and self._is_probed:
            self._change_to(carrier)
        else:
            self._end_probe("expected a probe")

    def _change_to(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._probe = None
        self._is_probed = False
        self._probe_until = math.inf
        self._heard(self._now())
        self._wake_poll()
        waiting, self._outbox = self._outbox, []
        self._outbox_bytes = 0
        for packet in waiting:
            carrier.send_text(packet)
        if self.rider is not None:
            self.rider.on_writable()

    def _end_probe(self, reason: str) -> None:
        probe, self._probe = self._probe, None
        self._is_probed = False
        self._probe_until = math.inf
        self._set_deadline()
        if probe is not None:
            probe.close(POLICY, reason)

    def writable(self, carrier: Carrier) -> None:
        """Take note that a WebSocket can take more."""
        if carrier is self._carrier and self.rider is not None and not self.has_ended:
            self.rider.on_writable()

    def lost(self, carrier: Carrier) -> None:
        """Take note that a WebSocket is gone."""
        if carrier is self._probe:
            self._end_probe("")
        elif carrier is self._carrier:
            self.end("the client left", NORMAL)

    def welcome(self) -> None:
        """Let the connection last: its client has shown a right."""
        if self._is_stranger and not self.has_ended:
            self._stranger_until = math.inf
            self._count_stranger(-1)
            self._set_deadline()

    def estrange(self) -> None:
        """Let the connection last only a while: its client holds no right any more."""
        if not self._is_stranger and not self.has_ended:
            self._stranger_until = self._now() + self._limits.greeting_s
            self._count_stranger(1)
            self._set_deadline()

    @property
    def _is_stranger(self) -> bool:
        return self._stranger_until != math.inf

    def end(self, reason: str, code: int) -> None:
        """End the connection: tell the client, in as far as it listens, and the rider."""
        if self.has_ended:
            return
        self.has_ended = True
        if self._carrier is None:
            self._outbox.append(_CLOSE)
            self._wake_poll()
        else:
            self._carrier.send_text(_CLOSE)
        for carrier in (self._carrier, self._probe):
            if carrier is not None:
                carrier.close(code, reason)
        if self._is_stranger:
            self._count_stranger(-1)
        self._on_end(self)
        if self.rider is not None:
            self.rider.on_closed()

    def deadline_passed(self, now: float) -> None:
        """Do what is due: a ping, or the end."""
        if self._stranger_until <= now:
            self.end("it has neither authenticated nor subscribed", POLICY)
        elif self._beat_at <= now:
            self._beat(now)
        elif self._probe_until <= now:
            self._end_probe("the upgrade took too long")
        self._set_deadline()

    def _beat(self, now: float) -> None:
        if self._is_pinged or self.generation is Generation.THREE:
            self.end("the client has vanished", NORMAL)
            return
        self._is_pinged = True
        self._beat_at = now + self._limits.ping_timeout_s
        self.send(_PING)

    def _heard(self, now: float) -> None:
        """Note that the client lives.

        Clients of Engine.IO 3 ping the server. The server pings those of Engine.IO 4, however
        much they send, because they wait for it.
        """
        limits = self._limits
        if self.generation is Generation.THREE:
            self._beat_at = now + limits.ping_interval_s + limits.ping_timeout_s
        elif self._is_pinged or self._beat_at == math.inf:
            self._is_pinged = False
            self._beat_at = now + limits.ping_interval_s
        self._set_deadline()

    def _set_deadline(self) -> None:
        self.deadline = min(self._beat_at, self._probe_until, self._stranger_until)

    def _wake_poll(self) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)
