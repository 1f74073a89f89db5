"""What an MQTT client sends, as bytes; the server has no use for encoding it.

`client_bytes` encodes every packet that a client may send, `SAMPLES` holds one of each.
"""

from functools import singledispatch

from thingstead.transports.mqtt.codec import (
    NO_PROPERTIES,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscribeRequest,
    Unsuback,
    Unsubscribe,
    Will,
    encoder,
)
from thingstead.transports.mqtt.codec.fields import (
    written_binary,
    written_text,
    written_variable,
)
from thingstead.transports.mqtt.codec.properties import written_properties


def framed(head, body):
    """Return the packet with its first byte, its length and its body."""
    return bytes((head,)) + written_variable(len(body)) + body


def extra(level, properties):
    return written_properties(properties) if level == 5 else b""


@singledispatch
def client_bytes(packet, level):
    raise TypeError(f"no client sends {packet!r}")


@client_bytes.register
def _(packet: Connect, level):
    will = packet.will
    flags = packet.is_clean << 1 | (packet.password is not None) << 6
    flags |= (packet.user_name is not None) << 7
    if will:
        flags |= 4 | will.qos << 3 | will.retain << 5
    body = written_text("MQIsdp" if level == 3 else "MQTT") + bytes((level, flags))
    body += packet.keep_alive_s.to_bytes(2, "big") + extra(level, packet.properties)
    body += written_text(packet.client_id)
    if will:
        body += extra(level, will.properties)
        body += written_text(will.topic) + written_binary(will.payload)
    if packet.user_name is not None:
        body += written_text(packet.user_name)
    if packet.password is not None:
        body += written_binary(packet.password)
    return framed(0x10, body)


@client_bytes.register
def _(packet: Publish, level):
    return encoder.publish(
        level,
        packet.topic.encode(),
        packet.payload,
        qos=packet.qos,
        packet_id=packet.packet_id,
        is_duplicate=packet.is_duplicate,
        retain=packet.retain,
        properties=packet.properties,
    )


def _acknowledgement(head, packet, level):
    body = packet.packet_id.to_bytes(2, "big")
    if level == 5 and (packet.reason or packet.properties != NO_PROPERTIES):
        body += bytes((packet.reason,))
        if packet.properties != NO_PROPERTIES:
            body += written_properties(packet.properties)
    return framed(head, body)


@client_bytes.register
def _(packet: Puback, level):
    return _acknowledgement(0x40, packet, level)


@client_bytes.register
def _(packet: Pubrec, level):
    return _acknowledgement(0x50, packet, level)


@client_bytes.register
def _(packet: Pubrel, level):
    return _acknowledgement(0x62, packet, level)


@client_bytes.register
def _(packet: Pubcomp, level):
    return _acknowledgement(0x70, packet, level)


@client_bytes.register
def _(packet: Subscribe, level):
    body = packet.packet_id.to_bytes(2, "big") + extra(level, packet.properties)
    for request in packet.requests:
        options = request.qos | request.no_local << 2 | request.retain_as_published << 3
        body += written_text(request.filter) + bytes((options | request.retain_handling << 4,))
    return framed(0x82, body)


@client_bytes.register
def _(packet: Unsubscribe, level):
    body = packet.packet_id.to_bytes(2, "big") + extra(level, packet.properties)
    return framed(0xA2, body + b"".join(written_text(text) for text in packet.filters))


@client_bytes.register
def _(packet: Pingreq, level):
    return b"\xc0\x00"


@client_bytes.register
def _(packet: Disconnect, level):
    if level < 5 or packet == Disconnect():
        return b"\xe0\x00"
    return framed(0xE0, bytes((packet.reason,)) + written_properties(packet.properties))


@client_bytes.register
def _(packet: Auth, level):
    return framed(0xF0, bytes((packet.reason,)) + written_properties(packet.properties))


def server_bytes(packet, level):
    """Return what a server sends, through the encoder under test."""
    match packet:
        case Connack():
            return encoder.connack(
                level,
                session_present=packet.is_session_present,
                reason=packet.reason,
                properties=packet.properties,
            )
        case Suback():
            return encoder.suback(level, packet.packet_id, packet.reasons, packet.properties)
        case Unsuback():
            return encoder.unsuback(level, packet.packet_id, packet.reasons, packet.properties)
        case Pingresp():
            return encoder.pingresp()
        case Disconnect():
            return encoder.disconnect(level, packet.reason, properties=packet.properties)
        case Auth():
            return encoder.auth(packet.reason, packet.properties)
        case _:
            return client_bytes(packet, level)


_USER = (("a", "1"), ("a", "2"))
_WILL = Will("v2/things/T", b"gone", 1, True)
_SAID = Properties(reason_string="why", user_properties=_USER)

# One of each kind that a client sends, by level; CONNECT first.
SAMPLES = {
    level: [
        Connect(level, "device", True, 60, user_name="T", password=b"p", will=_WILL),
        Publish("v2/things/T", b'{"values":[]}'),
        Publish("v2/things/T", b'{"values":[]}', 1, False, True, 10),
        Publish("v2/things/T", b"", 2, True, False, 65_535),
        Puback(1),
        Pubrec(2),
        Pubrel(3),
        Pubcomp(4),
        Subscribe(5, (SubscribeRequest("v2/things/T/#", 1), SubscribeRequest("a", 0))),
        Unsubscribe(6, ("v2/things/T/#", "a")),
        Pingreq(),
        Disconnect(),
    ]
    for level in (3, 4, 5)
}
SAMPLES[5] += [
    Publish("", b"x", 1, False, False, 7, Properties(topic_alias=3)),
    Publish("t", b"x", properties=Properties(message_expiry_s=5, content_type="json")),
    Puback(8, 0x10),
    Puback(9, 0x87, _SAID),
    Pubrel(10, 0x92, _SAID),
    Subscribe(
        11,
        (SubscribeRequest("a/+", 2, True, True, 2),),
        Properties(subscription_identifiers=(300,)),
    ),
    Unsubscribe(12, ("a",), Properties(user_properties=_USER)),
    Disconnect(0x04, Properties(session_expiry_s=0, reason_string="bye")),
    Auth(0x18, Properties(authentication_method="M", authentication_data=b"\0")),
]
CONNECT_5 = Connect(
    5,
    "",
    False,
    0,
    password=b"\0\xff",
    will=Will("w", b"", 2, False, Properties(will_delay_s=9, response_topic="r")),
    properties=Properties(session_expiry_s=3600, receive_maximum=32, maximum_packet_bytes=1024),
)
