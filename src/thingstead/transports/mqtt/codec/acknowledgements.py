"""PUBACK, PUBREC, PUBREL and PUBCOMP, which have one form (MQTT 5, sections 3.4 to 3.7)."""

from typing import TypeVar

from thingstead.transports.mqtt.codec.fields import Cursor, protocol_error
from thingstead.transports.mqtt.codec.packets import Puback, Pubcomp, Pubrec, Pubrel
from thingstead.transports.mqtt.codec.properties import (
    ANSWER_PROPERTIES,
    NO_PROPERTIES,
    read_properties,
)
from thingstead.transports.mqtt.codec.reasons import PUBACK_REASONS, PUBREL_REASONS

A = TypeVar("A", Puback, Pubrec, Pubrel, Pubcomp)


def read_puback(cursor: Cursor, level: int) -> Puback:
    """Return the packet; as all below, raises MQTTProtocolError when it is not one."""
    return _read(Puback, cursor, level, PUBACK_REASONS)


def read_pubrec(cursor: Cursor, level: int) -> Pubrec:
    """Return the packet."""
    return _read(Pubrec, cursor, level, PUBACK_REASONS)


def read_pubrel(cursor: Cursor, level: int) -> Pubrel:
    """Return the packet."""
    return _read(Pubrel, cursor, level, PUBREL_REASONS)


def read_pubcomp(cursor: Cursor, level: int) -> Pubcomp:
    """Return the packet."""
    return _read(Pubcomp, cursor, level, PUBREL_REASONS)


def _read(kind: type[A], cursor: Cursor, level: int, reasons: frozenset[int]) -> A:
    packet_id = cursor.packet_id()
    if level < 5 or cursor.is_done:
        cursor.finish()
        return kind(packet_id)
    reason = read_reason(cursor, reasons)
    properties = NO_PROPERTIES
    if not cursor.is_done:
        properties = read_properties(cursor, ANSWER_PROPERTIES, "acknowledgement")
        cursor.finish()
    return kind(packet_id, reason, properties)


def read_reason(cursor: Cursor, allowed: frozenset[int]) -> int:
    """Return the reason code at the cursor.

    Raises:
        MQTTProtocolError: the packet may not hold this one.
    """
    reason = cursor.byte("reason code")
    if reason not in allowed:
        raise protocol_error(f"reason code 0x{reason:02X} does not belong into this packet")
    return reason
