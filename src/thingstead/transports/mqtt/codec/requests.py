"""What only clients send: CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, and their DISCONNECT and AUTH.

Every function reads one packet whose bounds are known and raises MQTTProtocolError when it
is not well formed. Sources: the MQTT 3.1 paper, MQTT 3.1.1 and MQTT 5.0, chapter 3 each.
"""

from typing import Final

from thingstead.transports.mqtt.codec.acknowledgements import read_reason
from thingstead.transports.mqtt.codec.errors import MQTTProtocolError
from thingstead.transports.mqtt.codec.fields import Cursor, malformed, protocol_error, topic_of
from thingstead.transports.mqtt.codec.packets import (
    Auth,
    Connect,
    Disconnect,
    Pingreq,
    Subscribe,
    SubscribeRequest,
    Unsubscribe,
    Will,
)
from thingstead.transports.mqtt.codec.properties import (
    AUTH_PROPERTIES,
    CLIENT_DISCONNECT_PROPERTIES,
    CONNECT_PROPERTIES,
    NO_PROPERTIES,
    SUBSCRIBE_PROPERTIES,
    UNSUBSCRIBE_PROPERTIES,
    WILL_PROPERTIES,
    Properties,
    read_properties,
)
from thingstead.transports.mqtt.codec.reasons import CLIENT_DISCONNECT_REASONS, Reason

_LEVELS: Final = {("MQIsdp", 3), ("MQTT", 4), ("MQTT", 5)}
_PINGREQ: Final = Pingreq()
_CLIENT_AUTH_REASONS: Final = frozenset({0x18, 0x19})

# The bits of CONNECT's flags (MQTT 5, section 3.1.2.3).
_RESERVED: Final = 0x01
_CLEAN: Final = 0x02
_WILL: Final = 0x04
_WILL_RETAIN: Final = 0x20
_PASSWORD: Final = 0x40
_USER_NAME: Final = 0x80


def read_level(cursor: Cursor) -> int:
    """Return the protocol level with which a CONNECT begins: 3, 4 or 5."""
    name = cursor.text("protocol name")
    level = cursor.byte("protocol level")
    if (name, level) not in _LEVELS:
        raise MQTTProtocolError(
            Reason.UNSUPPORTED_PROTOCOL_VERSION, "only MQTT 3.1, 3.1.1 and 5.0 are spoken here"
        )
    return level


def read_connect(cursor: Cursor, level: int) -> Connect:
    """Return the CONNECT whose level was read from the same cursor just before."""
    flags = cursor.byte("connect flags")
    _check_connect_flags(flags, level)
    keep_alive_s = cursor.two_bytes("keep alive")
    properties = NO_PROPERTIES
    if level == 5:
        properties = read_properties(cursor, CONNECT_PROPERTIES, "CONNECT")
        _check_authentication(properties)
    client_id = cursor.text("client identifier")
    # MQTT 3.1.1, 3.1.3.1. MQTT 3.1 also forbids more than 23 bytes, but clients send them.
    if not client_id and (level == 3 or (level == 4 and not flags & _CLEAN)):
        raise MQTTProtocolError(
            Reason.CLIENT_ID_NOT_VALID, "an empty client identifier needs a clean session"
        )
    will = _read_will(cursor, flags, level) if flags & _WILL else None
    user_name = None
    if flags & _USER_NAME and not _is_left_out(cursor, level):
        user_name = cursor.text("user name")
    password = None
    if flags & _PASSWORD and not _is_left_out(cursor, level):
        password = cursor.binary("password")
    cursor.finish()
    return Connect(
        level,
        client_id,
        bool(flags & _CLEAN),
        keep_alive_s,
        user_name=user_name,
        password=password,
        will=will,
        properties=properties,
    )


def _is_left_out(cursor: Cursor, level: int) -> bool:
    """Return whether the field is announced but missing, which MQTT 3.1 allows (its 3.1)."""
    return level == 3 and cursor.is_done


def _check_connect_flags(flags: int, level: int) -> None:
    if flags & _RESERVED:
        raise malformed("connect flags: the reserved bit is set")
    if flags & _WILL:
        if _will_qos(flags) == 3:
            raise malformed("connect flags: there is no QoS 3")
    elif flags & (_WILL_RETAIN | 0x18):
        raise malformed("connect flags: QoS or retain of a will that is not there")
    if level < 5 and flags & _PASSWORD and not flags & _USER_NAME:
        raise malformed("connect flags: a password without a user name")


def _will_qos(flags: int) -> int:
    return flags >> 3 & 3


def _check_authentication(properties: Properties) -> None:
    """MQTT 5, section 3.1.2.11.10."""
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise protocol_error("authentication data without an authentication method")


def _read_will(cursor: Cursor, flags: int, level: int) -> Will:
    properties = NO_PROPERTIES
    if level == 5:
        properties = read_properties(cursor, WILL_PROPERTIES, "will")
    topic = topic_of(cursor.binary("will topic"), "will topic")
    if not topic:
        raise MQTTProtocolError(Reason.TOPIC_NAME_INVALID, "will topic: is empty")
    payload = cursor.binary("will payload")
    return Will(topic, payload, _will_qos(flags), bool(flags & _WILL_RETAIN), properties)


def read_subscribe(cursor: Cursor, level: int) -> Subscribe:
    """Return the SUBSCRIBE."""
    packet_id = cursor.packet_id()
    properties = NO_PROPERTIES
    if level == 5:
        properties = read_properties(cursor, SUBSCRIBE_PROPERTIES, "SUBSCRIBE")
        if len(properties.subscription_identifiers) > 1:
            raise protocol_error("SUBSCRIBE: the subscription identifier stands twice")
    requests = []
    while not cursor.is_done:
        text = _read_filter(cursor)
        requests.append(_request(text, cursor.byte("subscription options"), level))
    if not requests:
        raise protocol_error("SUBSCRIBE: holds no filter")
    return Subscribe(packet_id, tuple(requests), properties)


def _read_filter(cursor: Cursor) -> str:
    text = cursor.text("topic filter")
    if not text:
        raise protocol_error("topic filter: is empty")
    return text


def _request(text: str, options: int, level: int) -> SubscribeRequest:
    qos = options & 3
    if qos == 3:
        raise malformed("subscription options: there is no QoS 3")
    if level < 5:
        if options > 3:
            raise malformed("subscription options: a reserved bit is set")
        return SubscribeRequest(text, qos)
    no_local = bool(options & 4)
    retain_handling = options >> 4 & 3
    if options & 0xC0:
        raise malformed("subscription options: a reserved bit is set")
    if retain_handling == 3:
        raise protocol_error("subscription options: there is no retain handling 3")
    if no_local and text.startswith("$share/"):
        raise protocol_error("subscription options: no local with a shared subscription")
    return SubscribeRequest(text, qos, no_local, bool(options & 8), retain_handling)


def read_unsubscribe(cursor: Cursor, level: int) -> Unsubscribe:
    """Return the UNSUBSCRIBE."""
    packet_id = cursor.packet_id()
    properties = NO_PROPERTIES
    if level == 5:
        properties = read_properties(cursor, UNSUBSCRIBE_PROPERTIES, "UNSUBSCRIBE")
    filters = []
    while not cursor.is_done:
        filters.append(_read_filter(cursor))
    if not filters:
        raise protocol_error("UNSUBSCRIBE: holds no filter")
    return Unsubscribe(packet_id, tuple(filters), properties)


def read_pingreq(cursor: Cursor, level: int) -> Pingreq:  # noqa: ARG001 - one form for all readers
    """Return the PINGREQ."""
    cursor.finish()
    return _PINGREQ


def read_client_disconnect(cursor: Cursor, level: int) -> Disconnect:
    """Return the DISCONNECT of a client."""
    return read_disconnect(cursor, level, CLIENT_DISCONNECT_REASONS, CLIENT_DISCONNECT_PROPERTIES)


def read_disconnect(
    cursor: Cursor, level: int, reasons: frozenset[int], allowed: frozenset[int]
) -> Disconnect:
    """Return the DISCONNECT with what its sender may say in it."""
    if level < 5 or cursor.is_done:
        cursor.finish()
        return Disconnect()
    reason = read_reason(cursor, reasons)
    properties = NO_PROPERTIES
    if not cursor.is_done:
        properties = read_properties(cursor, allowed, "DISCONNECT")
        cursor.finish()
    return Disconnect(reason, properties)


def read_client_auth(cursor: Cursor, level: int) -> Auth:  # noqa: ARG001 - as above
    """Return the AUTH of a client."""
    return read_auth(cursor, _CLIENT_AUTH_REASONS)


def read_auth(cursor: Cursor, reasons: frozenset[int]) -> Auth:
    """Return the AUTH; it has to name its method unless it is nothing but success."""
    reason, properties = 0, NO_PROPERTIES
    if not cursor.is_done:
        reason = read_reason(cursor, reasons)
        properties = read_properties(cursor, AUTH_PROPERTIES, "AUTH")
        cursor.finish()
        if properties.authentication_method is None:
            raise protocol_error("AUTH: names no authentication method")
    elif reason not in reasons:
        raise protocol_error("AUTH: only a server may say success")
    return Auth(reason, properties)
