import socket
import struct

import pytest

from thingstead.transports.coap.addresses import is_for_many, sockaddr_of


def packet_info(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.inet_pton(family, address)
    return struct.pack("16sI", raw if len(raw) == 16 else bytes(10) + b"\xff\xff" + raw, 1)


@pytest.mark.parametrize("address", ["224.0.1.187", "255.255.255.255", "ff02::fd", "ff05::1"])
def test_datagram_to_many_is_told(address):
    assert is_for_many(packet_info(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.7", "::1", "fe80::1", "2001:db8::1"])
def test_datagram_to_this_server_is_told(address):
    assert not is_for_many(packet_info(address))


@pytest.mark.parametrize(
    ("host", "bound"),
    [
        ("0.0.0.0", "::"),
        ("::", "::"),
        ("", "::"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_one_socket_serves_both_families(host, bound):
    assert sockaddr_of(host, 5683) == (bound, 5683, 0, 0)
