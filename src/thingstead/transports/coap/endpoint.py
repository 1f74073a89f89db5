"""The socket, and aiocoap's layers on it, joined by hand so that ours take their places.

One dual-stack socket that answers from the address that a datagram was sent to (RFC 3542
packet information, aiocoap's `udp6`). Its loop of reads takes what waits in one go.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable

from aiocoap.message import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.types import Type
from aiocoap.pipe import Pipe
from aiocoap.transports.udp6 import MessageInterfaceUDP6
from aiocoap.util.asyncio.recvmsg import RecvmsgSelectorDatagramTransport

from thingstead.kernel.clock import Clock
from thingstead.transports.coap.addresses import PeerAddress, is_for_many, sockaddr_of
from thingstead.transports.coap.datagrams import Kind, MalformedError, read_datagram
from thingstead.transports.coap.exchanges import Exchanges, ReceivedMessage
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.tokens import Tokens

_log = logging.getLogger(__name__)
SocketAddress = tuple[str, int, int, int]
"""What the system says of a peer's IPv6 socket: host, port, flow, scope."""
# The library's own lines are debugging aids, some of them one per datagram of whoever sends.
LIBRARY_LOGGER = f"{__name__}.aiocoap"
# Linux's <linux/in.h> and <linux/in6.h>; Python has no names for them.
_HAS_ERRORS = sys.platform == "linux"
_MSG_ERRQUEUE = 0x2000
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_BUFFER_BYTES = 65_536
_ANCILLARY_BYTES = 1_024
_REQUESTS = frozenset({Kind.CON, Kind.NON})
_READS_AT_ONCE = 16
_TRIES = 2
_SOCKET_BUFFER_BYTES = 1_048_576


class _Reader(RecvmsgSelectorDatagramTransport):
    """Reads all that waits, up to a bound, each time the loop says that something does."""

    def _read_ready(self) -> None:
        reader: socket.socket = self.get_extra_info("socket")
        if _HAS_ERRORS:
            self._read_errors(reader)
        for _ in range(_READS_AT_ONCE):
            if self._protocol is None:
                return
            try:
                raw, ancillary, _, address = reader.recvmsg(_BUFFER_BYTES, _ANCILLARY_BYTES)
            except OSError:
                # Nothing left, or an error that also is in the queue of errors.
                return
            self._protocol.take_datagram(raw, ancillary, address)

    def _read_errors(self, reader: socket.socket) -> None:
        try:
            *_, address = reader.recvmsg(_BUFFER_BYTES, _ANCILLARY_BYTES, _MSG_ERRQUEUE)
        except OSError:
            return
        if address:
            self._protocol.take_error(address)


class _Interface(MessageInterfaceUDP6):
    """Turns datagrams into messages; what is no proper one goes no further."""

    def __init__(
        self, exchanges: Exchanges, log: logging.Logger, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(exchanges, log, loop)
        self._exchanges = exchanges

    def take_datagram(
        self, raw: bytes, ancillary: list[tuple[int, int, bytes]], address: SocketAddress
    ) -> None:
        """Take one datagram; whatever it holds, the next one can be read."""
        try:
            self._take(raw, ancillary, address)
        except Exception:  # noqa: BLE001
            # A fault with one peer's datagram must not stop the socket for all.
            _log.exception("a datagram could not be handled")

    def _take(
        self, raw: bytes, ancillary: list[tuple[int, int, bytes]], address: SocketAddress
    ) -> None:
        packet_info = next(
            (
                value
                for level, kind, value in ancillary
                if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)
            ),
            None,
        )
        if packet_info is None or is_for_many(packet_info):
            return
        remote = PeerAddress(address, self, pktinfo=packet_info)
        try:
            datagram = read_datagram(raw)
        except MalformedError as malformed:
            if malformed.confirmable_id is not None:
                self._exchanges.reset(remote, malformed.confirmable_id)
            return
        if not datagram.is_empty and not (datagram.is_request and datagram.kind in _REQUESTS):
            # The server asks nobody anything, so nothing can be a response.
            if datagram.kind is Kind.CON:
                self._exchanges.reset(remote, datagram.message_id)
            return
        message = ReceivedMessage(code=Code(datagram.code))
        message.mid = datagram.message_id
        message.mtype = Type(datagram.kind)
        message.token = datagram.token
        message.remote = remote
        message.datagram = datagram
        message.raw_bytes = len(raw)
        message.fingerprint = hash(raw)
        self._exchanges.dispatch_message(message)

    def take_error(self, address: SocketAddress) -> None:
        """Give up what is underway to a peer that the network cannot reach."""
        try:
            self._exchanges.dispatch_error(OSError("unreachable"), PeerAddress(address, self))
        except Exception:  # noqa: BLE001
            # Whatever a router may send must not stop the socket.
            _log.exception("an ICMP error could not be handled")

    def send(self, message: Message) -> None:
        """Send a message of the library's once more."""
        if isinstance(message.remote, PeerAddress):
            self.send_raw(message.encode(), message.remote)

    def send_raw(self, raw: bytes, remote: PeerAddress) -> None:
        """Send; what the system cannot take just now is lost, as anything on the way may be."""
        ancillary = []
        if remote.pktinfo is not None:
            ancillary.append((socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, remote.pktinfo))
        writer: socket.socket = self.transport.get_extra_info("socket")
        for _ in range(_TRIES):
            try:
                writer.sendmsg((raw,), ancillary, 0, remote.sockaddr)
            except BlockingIOError:
                return
            except OSError as exc:
                # Linux tells here of what became of earlier datagrams, to whomever they went.
                _log.debug("sending a datagram: %s", exc.strerror)
            else:
                return


class _Host:
    """What the library's token layer wants of the context that it runs in."""

    client_credentials = None

    def __init__(self, take: Callable[[Pipe], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.log = logging.getLogger(LIBRARY_LOGGER)
        self.render_to_pipe = take


class Endpoint:
    """An open socket; `close` it."""

    def __init__(self, tokens: Tokens, exchanges: Exchanges, port: int) -> None:
        self._tokens = tokens
        self.exchanges = exchanges
        self.port = port

    async def close(self) -> None:
        """Cancel what is underway and close the socket."""
        await self._tokens.shutdown()


async def open_endpoint(
    host: str, port: int, take: Callable[[Pipe], None], *, clock: Clock, limits: CoAPLimits
) -> Endpoint:
    """Listen; `take` is called with each request that has not come before.

    Raises:
        OSError: the address cannot be listened on.
    """
    logging.getLogger(LIBRARY_LOGGER).setLevel(logging.ERROR)
    context = _Host(take)
    tokens = Tokens(context)
    exchanges = Exchanges(tokens, clock, limits)
    listener = _bound_socket(host, port)
    interface = _Interface(exchanges, context.log, context.loop)
    exchanges.message_interface = interface
    tokens.token_interface = exchanges
    opened: asyncio.Future[None] = context.loop.create_future()
    # The interface keeps the transport, as soon as it is told of it.
    _Reader(context.loop, listener, interface, opened)
    await opened
    await interface.ready
    return Endpoint(tokens, exchanges, listener.getsockname()[1])


def _bound_socket(host: str, port: int) -> socket.socket:
    address = sockaddr_of(host, port)
    listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        listener.settimeout(0)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        # A burst waits here while the loop is busy; the system may give less.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
        if _HAS_ERRORS:
            listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            listener.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
