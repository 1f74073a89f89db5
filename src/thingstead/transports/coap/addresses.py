"""Peers' addresses as aiocoap's message layer and ours know them."""

import ipaddress
import socket
from functools import cached_property

from aiocoap.transports.udp6 import UDP6EndpointAddress

from thingstead.kernel.addresses import counted_as, is_public
from thingstead.transports.coap.messages import Peer

_ADDRESS_BYTES = 16
_MAPPED = bytes(10) + b"\xff\xff"


class PeerAddress(UDP6EndpointAddress):
    """Where a datagram came from; equal for all datagrams of one socket of the peer."""

    # Nothing multicast gets this far, and asking each time costs more than encoding an answer.
    is_multicast = False
    is_multicast_locally = False

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PeerAddress) and self.key == other.key

    @cached_property
    def key(self) -> tuple[str, int, int]:
        """Address, port and, of a link-local address, the interface."""
        host, port, _, scope = self.sockaddr
        return host, port, scope

    @cached_property
    def peer(self) -> Peer:
        """What the rest of the transport knows of it."""
        host = self.sockaddr[0].partition("%")[0]
        return Peer(self.key, counted_as(host), is_public(host))


def is_for_many(packet_info: bytes) -> bool:
    """Return whether a datagram was sent to a multicast or broadcast address.

    Answering those would make the server an amplifier on its own network (RFC 7252, 11.3).
    `packet_info` is a `struct in6_pktinfo` (RFC 3542, 6.1).
    """
    local = packet_info[:_ADDRESS_BYTES]
    if local.startswith(_MAPPED):
        return local[12] >= 0xE0
    return local[0] == 0xFF


def sockaddr_of(host: str, port: int) -> tuple[str, int, int, int]:
    """Return what a dual-stack socket binds to; all of IPv4 is all of IPv6 as well.

    Raises:
        OSError: the host has no address.
    """
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104  # Compared with, not bound to.
        return "::", port, 0, 0
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    address = found[0][4]
    plain = ipaddress.ip_address(str(address[0]).partition("%")[0])
    if plain.version == 4:
        return f"::ffff:{plain}", port, 0, 0
    scope = int(address[3]) if len(address) == 4 else 0
    return str(plain), port, 0, scope
