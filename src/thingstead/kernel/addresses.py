"""What a peer's address counts as in budgets, and whether it is one of the public internet."""

import ipaddress
from functools import lru_cache

_IPV6_PREFIX_BITS = 64


@lru_cache(maxsize=4_096)
def counted_as(address: str) -> str:
    """Return what the address counts as: itself, or of IPv6 the network of 64 bits.

    In such a network a client can choose its addresses freely. A text that is no address
    counts as itself.
    """
    found = _parsed(address)
    if found is None:
        return address
    if found.version == 4:
        return str(found)
    # A customer of any provider has at least a network of this size (RFC 6177).
    return str(ipaddress.ip_network((int(found), _IPV6_PREFIX_BITS), strict=False))


@lru_cache(maxsize=4_096)
def is_public(address: str) -> bool:
    """Return whether it is an address that the public internet routes."""
    found = _parsed(address)
    return found is not None and found.is_global


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address, that of an IPv4 client on an IPv6 socket as IPv4; None for a text."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if found.version == 6 and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
