"""Packets to bytes: what a server sends.

Arguments are trusted; a text or a payload that does not fit into its field raises
OverflowError or ValueError. `level` is the protocol level of the receiver: 3, 4 or 5.
Reasons and properties that MQTT 3 has no bytes for are left out there.
"""

from collections.abc import Iterable
from dataclasses import replace
from struct import Struct
from typing import Final

from thingstead.transports.mqtt.codec.fields import written_binary, written_variable
from thingstead.transports.mqtt.codec.properties import (
    NO_PROPERTIES,
    Properties,
    written_properties,
)
from thingstead.transports.mqtt.codec.reasons import return_code

_CONNACK: Final = b"\x20"
_SUBACK: Final = b"\x90"
_UNSUBACK: Final = b"\xb0"
_DISCONNECT: Final = b"\xe0"
_AUTH: Final = b"\xf0"
_PINGRESP: Final = b"\xd0\x00"
_PUBLISH: Final = 0x30

_REFUSED_IN_MQTT_3: Final = 0x80

_short = Struct(">BBH").pack


def connack(
    level: int,
    *,
    session_present: bool = False,
    reason: int = 0,
    properties: Properties = NO_PROPERTIES,
) -> bytes:
    """Return the CONNACK; `reason` is an MQTT 5 reason code for every level.

    Empty where MQTT 3 has no return code for the reason: then the server just closes
    (MQTT 3.1.1, section 3.2.2.3). Level 0 (no CONNECT understood) is written as MQTT 3.1.1.
    """
    # MQTT 3.1 has no such flag, and a refusal never has a session (MQTT 5, 3.2.2.1.1).
    flag = b"\1" if session_present and not reason and level > 3 else b"\0"
    if level == 5:
        return _packet(_CONNACK, flag + bytes((reason,)) + written_properties(properties))
    code = return_code(reason)
    return b"" if code is None else _packet(_CONNACK, flag + bytes((code,)))


def puback(level: int, packet_id: int, reason: int = 0, reason_text: str = "") -> bytes:
    """Return the PUBACK; in MQTT 3 it can only say that the message was taken."""
    if reason or reason_text:
        return _acknowledgement(0x40, level, packet_id, reason, reason_text)
    return _short(0x40, 2, packet_id)


def pubrec(level: int, packet_id: int, reason: int = 0, reason_text: str = "") -> bytes:
    """Return the PUBREC."""
    return _acknowledgement(0x50, level, packet_id, reason, reason_text)


def pubrel(level: int, packet_id: int, reason: int = 0, reason_text: str = "") -> bytes:
    """Return the PUBREL."""
    return _acknowledgement(0x62, level, packet_id, reason, reason_text)


def pubcomp(level: int, packet_id: int, reason: int = 0, reason_text: str = "") -> bytes:
    """Return the PUBCOMP."""
    return _acknowledgement(0x70, level, packet_id, reason, reason_text)


def publish(
    level: int,
    topic: bytes,
    payload: bytes,
    *,
    qos: int,
    packet_id: int | None = None,
    is_duplicate: bool = False,
    retain: bool = False,
    properties: Properties = NO_PROPERTIES,
) -> bytes:
    """Return the PUBLISH; `packet_id` is given exactly for QoS 1 and 2, `topic` is UTF-8."""
    head = _PUBLISH | is_duplicate << 3 | qos << 1 | retain
    identifier = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    extra = written_properties(properties) if level == 5 else b""
    length = 2 + len(topic) + len(identifier) + len(extra) + len(payload)
    return b"".join(
        (
            bytes((head,)) + written_variable(length) + len(topic).to_bytes(2, "big"),
            topic,
            identifier,
            extra,
            payload,
        )
    )


def publish_qos0(
    level: int, topic: bytes, payload: bytes, properties: Properties = NO_PROPERTIES
) -> bytes:
    """Return the QoS 0 PUBLISH, without retain.

    It holds nothing of its receiver: the same bytes may be sent to everyone who has the
    same topic and properties, on levels 3 and 4, or on level 5. So encode it once for an
    event, and keep it under a name that says which of the two it is.
    """
    return publish(level, topic, payload, qos=0, properties=properties)


def suback(
    level: int, packet_id: int, reasons: Iterable[int], properties: Properties = NO_PROPERTIES
) -> bytes:
    """Return the SUBACK, with a reason for each filter in its order.

    In MQTT 3 every refusal is 0x80, which MQTT 3.1 does not have but clients read as one.
    """
    if level == 5:
        rest = written_properties(properties) + bytes(reasons)
    else:
        rest = bytes(min(reason, _REFUSED_IN_MQTT_3) for reason in reasons)
    return _packet(_SUBACK, packet_id.to_bytes(2, "big") + rest)


def unsuback(
    level: int,
    packet_id: int,
    reasons: Iterable[int] = (),
    properties: Properties = NO_PROPERTIES,
) -> bytes:
    """Return the UNSUBACK, with a reason for each filter in its order in MQTT 5."""
    rest = written_properties(properties) + bytes(reasons) if level == 5 else b""
    return _packet(_UNSUBACK, packet_id.to_bytes(2, "big") + rest)


def pingresp() -> bytes:
    """Return the PINGRESP."""
    return _PINGRESP


def disconnect(
    level: int, reason: int = 0, reason_text: str = "", properties: Properties = NO_PROPERTIES
) -> bytes:
    """Return the DISCONNECT; empty in MQTT 3, where a server just closes."""
    if level < 5:
        return b""
    if reason_text:
        properties = replace(properties, reason_string=reason_text)
    if properties is NO_PROPERTIES:
        return _packet(_DISCONNECT, bytes((reason,)) if reason else b"")
    return _packet(_DISCONNECT, bytes((reason,)) + written_properties(properties))


def auth(reason: int = 0, properties: Properties = NO_PROPERTIES) -> bytes:
    """Return the AUTH of MQTT 5; its properties name the method, unless it says nothing at all."""
    if not reason and properties is NO_PROPERTIES:
        return _packet(_AUTH, b"")
    return _packet(_AUTH, bytes((reason,)) + written_properties(properties))


def _packet(head: bytes, body: bytes) -> bytes:
    return head + written_variable(len(body)) + body


def _acknowledgement(head: int, level: int, packet_id: int, reason: int, reason_text: str) -> bytes:
    if level < 5 or not (reason or reason_text):
        return _short(head, 2, packet_id)
    body = packet_id.to_bytes(2, "big") + bytes((reason,))
    if reason_text:
        # The property 0x1F alone, with the length of all properties before it.
        text = b"\x1f" + written_binary(reason_text.encode("utf-8"))
        body += written_variable(len(text)) + text
    return _packet(bytes((head,)), body)
