"""Bytes of one connection to packets.

It knows no socket, no limit but the size of a packet, and no topic's meaning. Every byte
string gives packets, an incomplete rest or `MQTTProtocolError`, and nothing else.
Read on in `requests.py` and `acknowledgements.py` (the packets but PUBLISH).
"""

from collections.abc import Iterable, Iterator
from typing import Final

from thingstead.transports.mqtt.codec.errors import MQTTProtocolError
from thingstead.transports.mqtt.codec.fields import Cursor, malformed, protocol_error, topic_of
from thingstead.transports.mqtt.codec.packets import (
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
)
from thingstead.transports.mqtt.codec.properties import NO_PROPERTIES, read_properties
from thingstead.transports.mqtt.codec.reasons import Reason
from thingstead.transports.mqtt.codec.requests import read_connect, read_level
from thingstead.transports.mqtt.codec.sides import AUTH, CONNECT, FROM_CLIENT, PUBLISH, Side

MAX_CONNECT_BYTES: Final = 4096
"""A client is not known before its CONNECT, so it gets little memory (`security.md` 5)."""

# A longer topic is decoded each time; remembering it would cost memory for each connection.
_MAX_REMEMBERED_TOPIC_BYTES: Final = 256

_ACKNOWLEDGEMENTS: Final[dict[int, type[Puback | Pubrec | Pubrel | Pubcomp]]] = {
    4: Puback,
    5: Pubrec,
    6: Pubrel,
    7: Pubcomp,
}


class Decoder:
    """Reads what one side of a connection sends.

    `level`: 0 until a CONNECT was seen, then its protocol level: 3, 4 or 5. It is set as
    soon as the level is known, even if the CONNECT is refused for something behind it, so
    that the CONNACK can be written. Whoever reads a server's packets sets it.
    `max_packet_bytes`: the size of a whole packet, its head included, as in MQTT 5's
    Maximum Packet Size; `max_connect_bytes` holds while `level` is 0.
    """

    __slots__ = (
        "_failure",
        "_max_connect_bytes",
        "_max_packet_bytes",
        "_rest",
        "_side",
        "_topic",
        "_topic_bytes",
        "_wanted",
        "level",
    )

    def __init__(
        self,
        max_packet_bytes: int,
        *,
        max_connect_bytes: int = MAX_CONNECT_BYTES,
        side: Side = FROM_CLIENT,
    ) -> None:
        self.level = 0
        self._max_packet_bytes = max_packet_bytes
        self._max_connect_bytes = max_connect_bytes
        self._side = side
        self._failure: tuple[int, str] | None = None
        self._rest = bytearray()
        self._wanted = 0
        self._topic = ""
        self._topic_bytes = b""

    @property
    def kept_bytes(self) -> int:
        """How many bytes of an incomplete packet wait; never `max_packet_bytes` or more."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterable[Packet]:
        """Return the packets that these bytes complete, in order; go through them once.

        All are decoded before this returns, so what is not gone through is not lost to
        the decoder. When good packets stand before a bad one, the good ones come first
        and then the iteration raises. The time is linear in all bytes fed, however small
        the pieces are.

        Raises:
            MQTTProtocolError: the bytes are no MQTT, or a packet is too large, which shows
                before it is complete. So does every later call.
        """
        if self._failure is not None:
            raise MQTTProtocolError(*self._failure)
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return ()
            data = bytes(self._rest)
            self._rest = bytearray()
        packets: list[Packet] = []
        try:
            at = self._decode(data, packets)
        except MQTTProtocolError as exc:
            # The error itself would keep the frames of its traceback, and the bytes in them.
            failure = self._failure = (exc.reason, str(exc))
        else:
            if at < len(data):
                self._rest += data[at:]
            return packets
        if not packets:
            raise MQTTProtocolError(*failure)
        return _then_raise(packets, failure)

    def _decode(self, data: bytes, packets: list[Packet]) -> int:
        """Append the whole packets; return where the incomplete one begins."""
        level = self.level
        heads = self._side.heads[level]
        limit = self._max_packet_bytes if level else self._max_connect_bytes
        at, end = 0, len(data)
        while at < end:
            head = data[at]
            if not heads[head]:
                raise self._refusal_of_head(head)
            start = at + 2
            length = data[at + 1] if start <= end else -1
            if length > 0x7F:
                start, length = _long_length(data, at, level)
            stop = start + length
            if stop - at > limit:
                raise MQTTProtocolError(
                    Reason.PACKET_TOO_LARGE, f"a packet may have at most {limit} bytes here"
                )
            if length < 0 or stop > end:
                self._wanted = end - at + 1 if length < 0 else stop - at
                break
            if head >> 4 == PUBLISH:
                packets.append(self._publish(head, data, start, stop))
            elif length == 2 and 0x40 <= head < 0x80:
                packets.append(_short_acknowledgement(head, data, start))
            else:
                packets.append(self._other(head, data, start, stop))
                if level != self.level:
                    level = self.level
                    heads, limit = self._side.heads[level], self._max_packet_bytes
            at = stop
        return at

    def _publish(self, head: int, data: bytes, start: int, stop: int) -> Publish:
        # Written without a cursor: this is the hot path, see tests and benchmarks.
        at = start + 2
        topic_end = at + (data[start] << 8 | data[start + 1]) if at <= stop else stop + 1
        if topic_end > stop:
            raise malformed("topic: the packet ends too early")
        raw = data[at:topic_end]
        topic = self._topic if raw == self._topic_bytes else self._new_topic(raw)
        at = topic_end
        qos = head >> 1 & 3
        packet_id = None
        if qos:
            at += 2
            if at > stop:
                raise malformed("packet identifier: the packet ends too early")
            packet_id = data[at - 2] << 8 | data[at - 1]
            if not packet_id:
                raise protocol_error("the packet identifier is 0")
        properties = NO_PROPERTIES
        if self.level == 5:
            if at < stop and not data[at]:
                at += 1
            else:
                cursor = Cursor(data, at, stop)
                properties = read_properties(cursor, self._side.publish_properties, "PUBLISH")
                at = cursor.at
            if not topic and properties.topic_alias is None:
                raise protocol_error("topic: is empty, and there is no topic alias")
        elif not topic:
            raise MQTTProtocolError(Reason.TOPIC_NAME_INVALID, "topic: is empty")
        return Publish(
            topic, data[at:stop], qos, bool(head & 1), bool(head & 8), packet_id, properties
        )

    def _new_topic(self, raw: bytes) -> str:
        """Return the topic; the last one is remembered, as most clients publish to one only."""
        topic = topic_of(raw, "topic")
        if len(raw) <= _MAX_REMEMBERED_TOPIC_BYTES:
            self._topic_bytes, self._topic = raw, topic
        return topic

    def _other(self, head: int, data: bytes, start: int, stop: int) -> Packet:
        cursor = Cursor(data, start, stop)
        if head >> 4 == CONNECT:
            self.level = read_level(cursor)
            return read_connect(cursor, self.level)
        return self._side.readers[head >> 4](cursor, self.level)

    def _refusal_of_head(self, head: int) -> MQTTProtocolError:
        kind = head >> 4
        if not self.level:
            return protocol_error("the first packet must be CONNECT")
        if kind == 0 or (kind == AUTH and self.level < 5):
            return malformed(f"packet type {kind} is reserved")
        if not any(self._side.heads[self.level][kind << 4 : (kind + 1) << 4]):
            what = "a second CONNECT" if kind == CONNECT else f"packet type {kind}"
            return protocol_error(f"{what} may not be sent by this side")
        if kind == PUBLISH:
            is_qos_3 = head & 6 == 6
            return malformed("there is no QoS 3" if is_qos_3 else "a duplicate with QoS 0")
        return malformed(f"packet type {kind}: the flags in the first byte are reserved")


def _then_raise(packets: list[Packet], failure: tuple[int, str]) -> Iterator[Packet]:
    yield from packets
    raise MQTTProtocolError(*failure)


def _short_acknowledgement(head: int, data: bytes, start: int) -> Packet:
    packet_id = data[start] << 8 | data[start + 1]
    if not packet_id:
        raise protocol_error("the packet identifier is 0")
    return _ACKNOWLEDGEMENTS[head >> 4](packet_id)


def _long_length(data: bytes, at: int, level: int) -> tuple[int, int]:
    """Return where the body starts and how long it is; a length of -1 is not complete yet.

    MQTT 5 alone demands the shortest form (section 1.5.5).
    """
    if at + 2 < len(data) and 0 < data[at + 2] < 0x80:
        # Two bytes, up to 16,383: nearly every packet that gets here.
        return at + 3, data[at + 1] & 0x7F | data[at + 2] << 7
    length = 0
    for count, byte in enumerate(data[at + 1 : at + 5]):
        length |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if level == 5 and not byte:
                raise malformed("remaining length: not in its shortest form")
            return at + 2 + count, length
    if len(data) >= at + 5:
        raise malformed("remaining length: more than four bytes")
    return at, -1
