"""aiocoap's message layer with bounds: message ids, acknowledgements, retransmission.

What differs from the library's own: repeated messages are remembered in bounded memory and
told apart by their bytes; who rejects a non-confirmable notification loses its observation;
nobody waits in a list without a bound, because a sender can wait until its peer has
acknowledged what is underway; and no step looks through the exchanges of all peers.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, cast

from aiocoap.message import Message
from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.codes import EMPTY
from aiocoap.numbers.constants import Unreliable
from aiocoap.numbers.types import ACK, CON, NON, RST
from aiocoap.tokenmanager import TokenManager

from thingstead.kernel.clock import Clock
from thingstead.transports.coap.addresses import PeerAddress
from thingstead.transports.coap.datagrams import Datagram
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.recent import RecentMessages, Seen

_log = logging.getLogger(__name__)
_REJECTABLE = 4_096


class ReceivedMessage(Message):
    """A message as the library handles it, with what was read of it."""

    remote: PeerAddress
    mid: int
    datagram: Datagram
    raw_bytes: int
    fingerprint: int


class Sender(Protocol):
    """What sends datagrams."""

    def send_raw(self, raw: bytes, remote: PeerAddress) -> None:
        """Send; it may get lost."""
        ...

    async def shutdown(self) -> None:
        """Close the socket."""
        ...


class Exchanges(MessageManager):
    """Drives one socket's messages."""

    message_interface: Sender

    def __init__(self, tokens: TokenManager, clock: Clock, limits: CoAPLimits) -> None:
        super().__init__(tokens)
        self._clock = clock
        self._recent = RecentMessages(limits)
        # Non-confirmable notifications sent lately, with what ends their observation.
        self._rejectable: OrderedDict[tuple[PeerAddress, int], Callable[[], None]] = OrderedDict()
        self._waiters: dict[PeerAddress, list[Callable[[], None]]] = {}
        self._is_ending = False

    def is_underway(self, remote: PeerAddress) -> bool:
        """Return whether the peer still has to acknowledge something."""
        return remote in self._backlogs and not self._is_ending

    def when_clear(self, remote: PeerAddress, call: Callable[[], None]) -> None:
        """Call once the peer has acknowledged what is underway, or never will."""
        self._waiters.setdefault(remote, []).append(call)

    def end_waiting(self) -> None:
        """Call everybody who waits; nothing that is sent from now on waits for anything."""
        self._is_ending = True
        for remote in list(self._waiters):
            self._release(remote)

    def reset(self, remote: PeerAddress, message_id: int) -> None:
        """Reject a message (RFC 7252, 4.2)."""
        rejection = Message(_mtype=RST, _mid=message_id, code=EMPTY)
        rejection.remote = remote
        self._send_initially(rejection)

    def send_message(
        self, message: Message, messageerror_monitor: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Send an answer or a notification, with the acknowledgement if that is still due."""
        if self._is_ending:
            # A confirmable one would wait for the one before it, and the socket closes soon.
            message.transport_tuning = Unreliable()
        super().send_message(message, messageerror_monitor)
        return None

    async def shutdown(self) -> None:
        """Stop every timer and close the socket."""
        for _, timer in self._piggyback_opportunities.values():
            timer.cancel()
        self._piggyback_opportunities.clear()
        await super().shutdown()

    def dispatch_error(self, error: Exception, remote: PeerAddress) -> None:
        """Give up what is underway to a peer that cannot be reached."""
        super().dispatch_error(error, remote)
        self._release(remote)

    def _deduplicate_message(self, message: ReceivedMessage) -> bool:
        seen = self._recent.see(
            message.remote.key, message.mid, message.fingerprint, self._clock.monotonic()
        )
        if seen is Seen.NEW:
            return False
        if isinstance(seen, bytes) and message.mtype is CON:
            self.message_interface.send_raw(seen, message.remote)
        return True

    def _process_request(self, request: ReceivedMessage) -> None:
        """Acknowledge what still waits for its answer under this token, and take the next."""
        waiting = self._piggyback_opportunities.pop((request.remote, request.token), None)
        if waiting is not None:
            message_id, timer = waiting
            timer.cancel()
            self._send_empty_ack(request.remote, message_id, "the token came again")
        super()._process_request(request)

    def _send_initially(
        self, message: Message, messageerror_monitor: Callable[[], None] | None = None
    ) -> None:
        remote = cast("PeerAddress", message.remote)
        if message.mtype is CON:
            self._add_exchange(message, messageerror_monitor)
        elif message.mtype is NON and messageerror_monitor is not None:
            self._rejectable[remote, message.mid] = messageerror_monitor
            if len(self._rejectable) > _REJECTABLE:
                self._rejectable.popitem(last=False)
        raw = message.encode()
        if message.mtype in {ACK, RST}:
            self._recent.answer(remote.key, message.mid, raw)
        self.message_interface.send_raw(raw, remote)

    def _remove_exchange(self, message: ReceivedMessage) -> None:
        if (message.remote, message.mid) in self._active_exchanges:
            super()._remove_exchange(message)
            return
        stop = self._rejectable.pop((message.remote, message.mid), None)
        if stop is not None and message.mtype is RST:
            stop()

    def _continue_backlog(self, remote: PeerAddress) -> None:
        """Send what waited for the acknowledgement that came (RFC 7252, 4.7: one at a time)."""
        backlog = self._backlogs[remote]
        while backlog:
            message, monitor = backlog.pop(0)
            self._send_initially(message, monitor)
            if message.mtype is CON:
                return
        del self._backlogs[remote]
        self._release(remote)

    def _retransmit(self, message: Message, timeout: float, retransmission_counter: int) -> None:
        super()._retransmit(message, timeout, retransmission_counter)
        remote = message.remote
        if isinstance(remote, PeerAddress) and remote not in self._backlogs:
            _log.info("a CoAP peer acknowledges nothing; what it observed has ended")
            self._release(remote)

    def _release(self, remote: PeerAddress) -> None:
        for call in self._waiters.pop(remote, ()):
            call()
