"""The packets of both generations, as bytes; pure functions that know no connection.

Engine.IO 3 carries Socket.IO 1.x and 2.x, Engine.IO 4 carries 3.x and 4.x
(https://github.com/socketio/engine.io-protocol, socket.io-protocol). On a WebSocket a packet
is a text message in both; in a polling body they differ in how packets stand next to each
other. Everything sent is ASCII (`event_packet`), so that its length is the same in bytes and in
the UTF-16 units that Engine.IO 3 counts. Packets with binary attachments are refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import msgspec

_encode = msgspec.json.Encoder().encode

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"
"""What an Engine.IO packet begins with."""

_MOST_PACKETS = 128
_LONGEST_NAMESPACE = 64
_SEPARATOR = "\x1e"
_LENGTH = re.compile(r"[0-9]{1,7}")
_SOCKET_PACKET = re.compile(r"(?s)([0-6])(/[^,]*)?(,)?([0-9]{0,15})(.*)")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_IS_TEXT, _END_OF_LENGTH = 0, 0xFF


class Generation(IntEnum):
    """What the client names in `EIO`."""

    THREE = 3
    FOUR = 4


class SocketPacketType(StrEnum):
    """What a Socket.IO packet begins with."""

    CONNECT = "0"
    DISCONNECT = "1"
    EVENT = "2"
    ACK = "3"
    CONNECT_ERROR = "4"
    BINARY_EVENT = "5"
    BINARY_ACK = "6"


class MalformedPacketError(Exception):
    """The client sent what is no packet, or none that is taken here; the text says why."""


@dataclass(frozen=True, slots=True)
class SocketPacket:
    """A Socket.IO packet; `data` is JSON text that nobody has looked into, or empty.

    `ack` is the number under which the client waits for an answer.
    """

    type: SocketPacketType
    namespace: str
    ack: int | None
    data: str


def packet_of(text: str) -> tuple[str, str]:
    """Return an Engine.IO packet's type and the rest of it.

    Raises:
        MalformedPacketError: it is none.
    """
    kind = text[:1]
    if not kind or kind not in "0123456":
        raise MalformedPacketError("unknown packet type")
    return kind, text[1:]


def split_payload(generation: Generation, body: bytes, *, is_framed: bool = False) -> list[str]:
    """Return the packets of a polling body, undecoded; there is at least one.

    `is_framed` tells that it came as `application/octet-stream`, in which the first clients of
    Engine.IO 3 send texts too.

    Raises:
        MalformedPacketError: it is no payload, or has too many packets.
    """
    try:
        if generation is Generation.FOUR:
            packets = body.decode("utf-8").split(_SEPARATOR, _MOST_PACKETS)
        elif is_framed:
            packets = _split_framed(body)
        else:
            packets = _split_counted(body.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise MalformedPacketError("the payload is no UTF-8") from exc
    if not packets or len(packets) > _MOST_PACKETS:
        raise MalformedPacketError(f"a payload has 1 to {_MOST_PACKETS} packets")
    return packets


def _split_counted(text: str) -> list[str]:
    """Split `<length>:<packet>…`, whose lengths count UTF-16 units."""
    # In this encoding a unit is two bytes, whatever the character.
    units = text.encode("utf-16-le")
    packets: list[str] = []
    at = 0
    while at < len(units) and len(packets) <= _MOST_PACKETS:
        # Seven digits and the colon; longer ones are no length.
        head = units[at : at + 16].decode("utf-16-le", "replace").partition(":")
        if not head[1] or not _LENGTH.fullmatch(head[0]):
            raise MalformedPacketError("a packet's length is missing")
        start = at + 2 * (len(head[0]) + 1)
        at = start + 2 * int(head[0])
        if at > len(units):
            raise MalformedPacketError("a packet is shorter than announced")
        packets.append(units[start:at].decode("utf-16-le"))
    return packets


def _split_framed(body: bytes) -> list[str]:
    """Split `0 <digits, a byte each> 255 <packet>…`, whose lengths count bytes."""
    packets: list[str] = []
    at = 0
    while at < len(body) and len(packets) <= _MOST_PACKETS:
        if body[at] != _IS_TEXT:
            raise MalformedPacketError("binary packets are not taken")
        end = body.find(_END_OF_LENGTH, at + 1, at + 9)
        digits = body[at + 1 : end]
        if end < 0 or not digits or max(digits) > 9:
            raise MalformedPacketError("a packet's length is missing")
        start = end + 1
        at = start + int("".join(map(str, digits)))
        if at > len(body):
            raise MalformedPacketError("a packet is shorter than announced")
        packets.append(body[start:at].decode("utf-8"))
    return packets


def join_payload(generation: Generation, packets: Sequence[bytes]) -> bytes:
    """Return the polling body that holds these packets, which are ASCII; at least one."""
    if generation is Generation.FOUR:
        return _SEPARATOR.encode("ascii").join(packets)
    return b"".join([b"%d:%b" % (len(packet), packet) for packet in packets])


def socket_packet_of(text: str) -> SocketPacket:
    """Return the Socket.IO packet that an Engine.IO message holds.

    The query that clients of Engine.IO 3 may write behind a namespace is left out.

    Raises:
        MalformedPacketError: it is none, or has binary attachments.
    """
    found = _SOCKET_PACKET.fullmatch(text)
    if found is None:
        raise MalformedPacketError("unknown packet type")
    kind, namespace, comma, number, data = found.groups()
    packet_type = SocketPacketType(kind)
    if packet_type in (SocketPacketType.BINARY_EVENT, SocketPacketType.BINARY_ACK):
        raise MalformedPacketError("binary packets are not taken")
    if comma and namespace is None:
        raise MalformedPacketError("unexpected comma")
    name = (namespace or "/").partition("?")[0]
    if not name.isascii() or len(name) > _LONGEST_NAMESPACE:
        raise MalformedPacketError("no namespace is called that")
    return SocketPacket(packet_type, name, int(number) if number else None, data)


def open_packet(
    sid: str, *, has_upgrade: bool, ping_interval_ms: int, ping_timeout_ms: int, most_bytes: int
) -> bytes:
    """Return the packet that begins a connection."""
    return OPEN.encode("ascii") + _encode(
        {
            "sid": sid,
            "upgrades": ["websocket"] if has_upgrade else [],
            "pingInterval": ping_interval_ms,
            "pingTimeout": ping_timeout_ms,
            "maxPayload": most_bytes,
        }
    )


def connected_packet(generation: Generation, namespace: str, sid: str) -> bytes:
    """Return the packet that tells the client that it is in a namespace, and as whom."""
    if generation is Generation.THREE:
        return _packet(SocketPacketType.CONNECT, namespace, b"")
    return _packet(SocketPacketType.CONNECT, namespace, _encode({"sid": sid}))


def refused_packet(generation: Generation, namespace: str, message: str) -> bytes:
    """Return the packet that tells the client why it is not in a namespace."""
    said = message if generation is Generation.THREE else {"message": message}
    return _packet(SocketPacketType.CONNECT_ERROR, namespace, ascii_json(_encode(said)))


def event_packet(namespace: str, name: str, argument: bytes) -> bytes:
    """Return an event with one argument, which is JSON."""
    data = b"[%b,%b]" % (_encode(name), argument)
    return _packet(SocketPacketType.EVENT, namespace, ascii_json(data))


def ack_packet(namespace: str, number: int, argument: bytes) -> bytes:
    """Return the answer to an event that the client gave a number, with one argument in JSON."""
    return _packet(SocketPacketType.ACK, namespace, b"%d[%b]" % (number, ascii_json(argument)))


def _packet(kind: SocketPacketType, namespace: str, data: bytes) -> bytes:
    place = b"" if namespace == "/" else namespace.encode("ascii") + b","
    return b"%b%b%b%b" % (MESSAGE.encode("ascii"), kind.encode("ascii"), place, data)


def ascii_json(document: bytes) -> bytes:
    """Return the same JSON with every other character as an escape; bytes are UTF-8."""
    if document.isascii():
        return document
    return _NOT_ASCII.sub(_escaped, document.decode("utf-8")).encode("ascii")


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join([f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)])
