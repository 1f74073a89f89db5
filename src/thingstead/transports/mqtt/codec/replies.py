"""What only servers send, read by clients: CONNACK, SUBACK, UNSUBACK, PINGRESP and so on.

The server needs it for nothing; a client in a test or a load generator does.
"""

from typing import Final

from thingstead.transports.mqtt.codec.acknowledgements import read_reason
from thingstead.transports.mqtt.codec.fields import Cursor, malformed, protocol_error
from thingstead.transports.mqtt.codec.packets import (
    Auth,
    Connack,
    Disconnect,
    Pingresp,
    Suback,
    Unsuback,
)
from thingstead.transports.mqtt.codec.properties import (
    ANSWER_PROPERTIES,
    CONNACK_PROPERTIES,
    NO_PROPERTIES,
    SERVER_DISCONNECT_PROPERTIES,
    read_properties,
)
from thingstead.transports.mqtt.codec.reasons import (
    CONNACK_REASONS,
    SERVER_DISCONNECT_REASONS,
    SUBACK_REASONS,
    UNSUBACK_REASONS,
)
from thingstead.transports.mqtt.codec.requests import read_auth, read_disconnect

_PINGRESP: Final = Pingresp()
_RETURN_CODES: Final = frozenset(range(6))
_SUBACK_CODES_3: Final = frozenset({0x00, 0x01, 0x02, 0x80})
_SERVER_AUTH_REASONS: Final = frozenset({0x00, 0x18})


def read_connack(cursor: Cursor, level: int) -> Connack:
    """Return the CONNACK; as all below, raises MQTTProtocolError when it is not one."""
    flags = cursor.byte("acknowledge flags")
    # MQTT 3.1 calls the whole byte reserved.
    if flags > (level > 3):
        raise malformed("acknowledge flags: a reserved bit is set")
    reason = read_reason(cursor, CONNACK_REASONS if level == 5 else _RETURN_CODES)
    if flags and reason:
        raise protocol_error("CONNACK: a session cannot be present in a refusal")
    properties = NO_PROPERTIES
    if level == 5:
        properties = read_properties(cursor, CONNACK_PROPERTIES, "CONNACK")
    cursor.finish()
    return Connack(bool(flags), reason, properties)


def read_suback(cursor: Cursor, level: int) -> Suback:
    """Return the SUBACK."""
    packet_id = cursor.packet_id()
    properties = NO_PROPERTIES
    if level == 5:
        properties = read_properties(cursor, ANSWER_PROPERTIES, "SUBACK")
    return Suback(
        packet_id,
        _read_reasons(cursor, SUBACK_REASONS if level == 5 else _SUBACK_CODES_3),
        properties,
    )


def read_unsuback(cursor: Cursor, level: int) -> Unsuback:
    """Return the UNSUBACK."""
    packet_id = cursor.packet_id()
    if level < 5:
        cursor.finish()
        return Unsuback(packet_id)
    properties = read_properties(cursor, ANSWER_PROPERTIES, "UNSUBACK")
    return Unsuback(packet_id, _read_reasons(cursor, UNSUBACK_REASONS), properties)


def _read_reasons(cursor: Cursor, allowed: frozenset[int]) -> tuple[int, ...]:
    reasons = tuple(cursor.rest())
    if not reasons or not allowed.issuperset(reasons):
        raise protocol_error("reason codes: none, or one that does not belong into this packet")
    return reasons


def read_pingresp(cursor: Cursor, level: int) -> Pingresp:  # noqa: ARG001 - one form for all readers
    """Return the PINGRESP."""
    cursor.finish()
    return _PINGRESP


def read_server_disconnect(cursor: Cursor, level: int) -> Disconnect:
    """Return the DISCONNECT of a server, which MQTT 5 alone has."""
    return read_disconnect(cursor, level, SERVER_DISCONNECT_REASONS, SERVER_DISCONNECT_PROPERTIES)


def read_server_auth(cursor: Cursor, level: int) -> Auth:  # noqa: ARG001 - as above
    """Return the AUTH of a server."""
    return read_auth(cursor, _SERVER_AUTH_REASONS)
