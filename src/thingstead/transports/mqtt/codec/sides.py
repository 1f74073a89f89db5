"""Who may send which packets, as tables for the decoder.

Both are made once, when the module is read: the decoder asks them for every packet.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from thingstead.transports.mqtt.codec import acknowledgements, replies, requests
from thingstead.transports.mqtt.codec.fields import Cursor
from thingstead.transports.mqtt.codec.packets import Packet
from thingstead.transports.mqtt.codec.properties import (
    CLIENT_PUBLISH_PROPERTIES,
    SERVER_PUBLISH_PROPERTIES,
)

CONNECT: Final = 1
PUBLISH: Final = 3
AUTH: Final = 15
_DISCONNECT: Final = 14
_WITH_FLAGS_2: Final = frozenset({6, 8, 10})
"""PUBREL, SUBSCRIBE and UNSUBSCRIBE (MQTT 5, section 2.1.3)."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a connection may send.

    `heads`: by protocol level (0 is before CONNECT), 256 bytes that are 1 for each first
    byte with which a packet may begin.
    `readers`: by packet type, all but CONNECT and PUBLISH; they take a cursor and a level.
    """

    heads: dict[int, bytes]
    readers: dict[int, Callable[[Cursor, int], Packet]]
    publish_properties: frozenset[int]


def _heads(kinds: Iterable[int], level: int) -> bytes:
    """Return the table of first bytes for the packet types.

    MQTT 3.1 lets PUBREL, SUBSCRIBE and UNSUBSCRIBE be marked as duplicates, and does not
    mind the mark on a QoS 0 PUBLISH.
    """
    heads = bytearray(256)
    for kind in kinds:
        flags = [2 if kind in _WITH_FLAGS_2 else 0]
        if kind == PUBLISH:
            flags = [bits for bits in range(16) if bits & 6 != 6 and (bits & 14 != 8 or level == 3)]
        elif kind in _WITH_FLAGS_2 and level == 3:
            flags.append(10)
        for bits in flags:
            heads[kind << 4 | bits] = 1
    return bytes(heads)


_ACKNOWLEDGEMENTS: Final[dict[int, Callable[[Cursor, int], Packet]]] = {
    4: acknowledgements.read_puback,
    5: acknowledgements.read_pubrec,
    6: acknowledgements.read_pubrel,
    7: acknowledgements.read_pubcomp,
}
_CLIENT_READERS: Final[dict[int, Callable[[Cursor, int], Packet]]] = _ACKNOWLEDGEMENTS | {
    8: requests.read_subscribe,
    10: requests.read_unsubscribe,
    12: requests.read_pingreq,
    _DISCONNECT: requests.read_client_disconnect,
    AUTH: requests.read_client_auth,
}
_SERVER_READERS: Final[dict[int, Callable[[Cursor, int], Packet]]] = _ACKNOWLEDGEMENTS | {
    2: replies.read_connack,
    9: replies.read_suback,
    11: replies.read_unsuback,
    13: replies.read_pingresp,
    _DISCONNECT: replies.read_server_disconnect,
    AUTH: replies.read_server_auth,
}


def _client_heads() -> dict[int, bytes]:
    kinds = {PUBLISH, *_CLIENT_READERS}
    return {
        0: _heads([CONNECT], 0),
        3: _heads(kinds - {AUTH}, 3),
        4: _heads(kinds - {AUTH}, 4),
        5: _heads(kinds, 5),
    }


def _server_heads() -> dict[int, bytes]:
    kinds = {PUBLISH, *_SERVER_READERS}
    return {
        0: bytes(256),
        3: _heads(kinds - {AUTH, _DISCONNECT}, 3),
        4: _heads(kinds - {AUTH, _DISCONNECT}, 4),
        5: _heads(kinds, 5),
    }


FROM_CLIENT: Final = Side(_client_heads(), _CLIENT_READERS, CLIENT_PUBLISH_PROPERTIES)
FROM_SERVER: Final = Side(_server_heads(), _SERVER_READERS, SERVER_PUBLISH_PROPERTIES)
