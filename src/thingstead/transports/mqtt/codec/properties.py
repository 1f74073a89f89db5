"""Properties of MQTT 5 packets (section 2.2.2): one table for reading and writing.

A packet kind names the properties that it may hold (the `*_PROPERTIES` sets below);
anything else in it, and anything twice that may stand once, is an error.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from thingstead.transports.mqtt.codec.errors import MQTTProtocolError
from thingstead.transports.mqtt.codec.fields import (
    Cursor,
    malformed,
    protocol_error,
    topic_of,
    written_binary,
    written_text,
    written_variable,
)
from thingstead.transports.mqtt.codec.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What a packet says beside its fixed fields; None or empty is not said.

    `user_properties`: in the order of the packet, names may repeat.
    `subscription_identifiers`: at most one in a SUBSCRIBE.
    """

    payload_format_indicator: int | None = None
    message_expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = field(default=None, repr=False)
    correlation_data: bytes | None = field(default=None, repr=False)
    subscription_identifiers: tuple[int, ...] = ()
    session_expiry_s: int | None = None
    assigned_client_id: str | None = field(default=None, repr=False)
    server_keep_alive_s: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = field(default=None, repr=False)
    request_problem_information: int | None = None
    will_delay_s: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    maximum_packet_bytes: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifiers_available: int | None = None
    shared_subscription_available: int | None = None

    @property
    def subscription_identifier(self) -> int | None:
        """The first of `subscription_identifiers`."""
        return self.subscription_identifiers[0] if self.subscription_identifiers else None


NO_PROPERTIES: Final = Properties()

_SUBSCRIPTION_IDENTIFIER: Final = 0x0B
_USER_PROPERTY: Final = 0x26

CONNECT_PROPERTIES: Final = frozenset({0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27})
CONNACK_PROPERTIES: Final = frozenset(
    {0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27}
    | {0x28, 0x29, 0x2A}
)
WILL_PROPERTIES: Final = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26})
CLIENT_PUBLISH_PROPERTIES: Final = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26})
SERVER_PUBLISH_PROPERTIES: Final = CLIENT_PUBLISH_PROPERTIES | {_SUBSCRIPTION_IDENTIFIER}
ANSWER_PROPERTIES: Final = frozenset({0x1F, 0x26})
"""Of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK."""
SUBSCRIBE_PROPERTIES: Final = frozenset({_SUBSCRIPTION_IDENTIFIER, 0x26})
UNSUBSCRIBE_PROPERTIES: Final = frozenset({0x26})
CLIENT_DISCONNECT_PROPERTIES: Final = frozenset({0x11, 0x1F, 0x26})
SERVER_DISCONNECT_PROPERTIES: Final = frozenset({0x1C, 0x1F, 0x26})
AUTH_PROPERTIES: Final = frozenset({0x15, 0x16, 0x1F, 0x26})


def _switch(cursor: Cursor, what: str) -> int:
    value = cursor.byte(what)
    if value > 1:
        raise protocol_error(f"{what}: must be 0 or 1")
    return value


def _two_bytes_from_1(cursor: Cursor, what: str) -> int:
    return _from_1(cursor.two_bytes(what), what)


def _four_bytes_from_1(cursor: Cursor, what: str) -> int:
    return _from_1(cursor.four_bytes(what), what)


def _from_1(value: int, what: str) -> int:
    if not value:
        raise protocol_error(f"{what}: must not be 0")
    return value


def _alias(cursor: Cursor, what: str) -> int:
    value = cursor.two_bytes(what)
    if not value:
        raise MQTTProtocolError(Reason.TOPIC_ALIAS_INVALID, f"{what}: must not be 0")
    return value


def _topic(cursor: Cursor, what: str) -> str:
    return topic_of(cursor.binary(what), what)


def _identifier(cursor: Cursor, what: str) -> int:
    return _from_1(cursor.variable(what), what)


def _pair(cursor: Cursor, what: str) -> tuple[str, str]:
    return cursor.text(what), cursor.text(what)


def _written_byte(value: int) -> bytes:
    return value.to_bytes(1, "big")


def _written_two_bytes(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _written_four_bytes(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _written_pair(pair: tuple[str, str]) -> bytes:
    return written_text(pair[0]) + written_text(pair[1])


# The values differ in type by row; a row's reader and writer agree with the field's annotation.
_Row = tuple[str, Callable[[Cursor, str], Any], Callable[[Any], bytes]]

_TABLE: Final[dict[int, _Row]] = {
    0x01: ("payload_format_indicator", _switch, _written_byte),
    0x02: ("message_expiry_s", Cursor.four_bytes, _written_four_bytes),
    0x03: ("content_type", Cursor.text, written_text),
    0x08: ("response_topic", _topic, written_text),
    0x09: ("correlation_data", Cursor.binary, written_binary),
    _SUBSCRIPTION_IDENTIFIER: ("subscription_identifiers", _identifier, written_variable),
    0x11: ("session_expiry_s", Cursor.four_bytes, _written_four_bytes),
    0x12: ("assigned_client_id", Cursor.text, written_text),
    0x13: ("server_keep_alive_s", Cursor.two_bytes, _written_two_bytes),
    0x15: ("authentication_method", Cursor.text, written_text),
    0x16: ("authentication_data", Cursor.binary, written_binary),
    0x17: ("request_problem_information", _switch, _written_byte),
    0x18: ("will_delay_s", Cursor.four_bytes, _written_four_bytes),
    0x19: ("request_response_information", _switch, _written_byte),
    0x1A: ("response_information", Cursor.text, written_text),
    0x1C: ("server_reference", Cursor.text, written_text),
    0x1F: ("reason_string", Cursor.text, written_text),
    0x21: ("receive_maximum", _two_bytes_from_1, _written_two_bytes),
    0x22: ("topic_alias_maximum", Cursor.two_bytes, _written_two_bytes),
    0x23: ("topic_alias", _alias, _written_two_bytes),
    0x24: ("maximum_qos", _switch, _written_byte),
    0x25: ("retain_available", _switch, _written_byte),
    _USER_PROPERTY: ("user_properties", _pair, _written_pair),
    0x27: ("maximum_packet_bytes", _four_bytes_from_1, _written_four_bytes),
    0x28: ("wildcard_subscription_available", _switch, _written_byte),
    0x29: ("subscription_identifiers_available", _switch, _written_byte),
    0x2A: ("shared_subscription_available", _switch, _written_byte),
}
_REPEATABLE: Final = frozenset({_SUBSCRIPTION_IDENTIFIER, _USER_PROPERTY})


def read_properties(cursor: Cursor, allowed: frozenset[int], packet: str) -> Properties:
    """Return the properties that stand at the cursor, with their length before them.

    `allowed`: the identifiers that this packet may hold.

    Raises:
        MQTTProtocolError: one is unknown, misplaced, repeated or has a value out of range.
    """
    length = cursor.variable("property length")
    if not length:
        return NO_PROPERTIES
    part = cursor.part(length, "properties")
    found: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    while not part.is_done:
        identifier = part.variable("property identifier")
        if identifier not in allowed:
            raise malformed(f"{packet}: property 0x{identifier:02X} does not belong here")
        name, read, _ = _TABLE[identifier]
        value = read(part, name)
        if identifier in _REPEATABLE:
            lists.setdefault(name, []).append(value)
        elif name in found:
            raise protocol_error(f"{packet}: {name} stands twice")
        else:
            found[name] = value
    for name, values in lists.items():
        found[name] = tuple(values)
    return Properties(**found)


def written_properties(properties: Properties) -> bytes:
    """Return the properties with their length before them, in the order of the table."""
    if properties is NO_PROPERTIES:
        return b"\0"
    parts: list[bytes] = []
    for identifier, (name, _, write) in _TABLE.items():
        value = getattr(properties, name)
        label = bytes((identifier,))
        if identifier in _REPEATABLE:
            parts.extend(label + write(member) for member in value)
        elif value is not None:
            parts.append(label + write(value))
    body = b"".join(parts)
    return written_variable(len(body)) + body
