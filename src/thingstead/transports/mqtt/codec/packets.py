"""What MQTT packets say, as values.

Read on in `decoder.py` (from bytes) and `encoder.py` (to bytes). `reason` is an MQTT 5
reason code as a plain int, 0 in MQTT 3. Texts that may hold a token or a payload are left
out of `repr`, so that no log gets them by accident.
"""

from dataclasses import dataclass, field

from thingstead.transports.mqtt.codec.properties import NO_PROPERTIES, Properties


@dataclass(frozen=True, slots=True)
class Will:
    """What the server publishes for a client that is lost."""

    topic: str = field(repr=False)
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Connect:
    """A client introduces itself; `level` is 3 (MQTT 3.1), 4 (3.1.1) or 5.

    `is_clean`: Clean Session of MQTT 3, Clean Start of MQTT 5.
    `keep_alive_s`: 0 to 65,535; 0 is none.
    """

    level: int
    client_id: str = field(repr=False)
    is_clean: bool
    keep_alive_s: int
    user_name: str | None = field(default=None, repr=False)
    password: bytes | None = field(default=None, repr=False)
    will: Will | None = None
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Connack:
    """The server's answer to CONNECT; in MQTT 3 `reason` is the return code, 0 to 5."""

    is_session_present: bool
    reason: int
    properties: Properties = NO_PROPERTIES


# Not frozen: that would make it in 0.61 instead of 0.13 µs, a third of decoding a PUBLISH.
@dataclass(slots=True)
class Publish:
    """A message. `packet_id` is None for QoS 0; `topic` is empty only with a topic alias."""

    topic: str = field(repr=False)
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False
    is_duplicate: bool = False
    packet_id: int | None = None
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Puback:
    """A QoS 1 message was taken."""

    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Pubrec:
    """A QoS 2 message was received (first answer of three)."""

    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Pubrel:
    """A QoS 2 message may be released (second step)."""

    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Pubcomp:
    """A QoS 2 message is done with (last step)."""

    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """One filter of a SUBSCRIBE; `retain_handling` is 0, 1 or 2 (MQTT 5, section 3.8.3.1).

    The filter is a non-empty text; whether its wildcards stand right is for `topics.py`.
    """

    filter: str = field(repr=False)
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """At least one filter, in the order in which SUBACK answers them."""

    packet_id: int
    requests: tuple[SubscribeRequest, ...]
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Suback:
    """One reason for each filter: the granted QoS, or a refusal (0x80 in MQTT 3)."""

    packet_id: int
    reasons: tuple[int, ...]
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """At least one filter, in the order in which UNSUBACK answers them."""

    packet_id: int
    filters: tuple[str, ...] = field(repr=False)
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Unsuback:
    """One reason for each filter; none at all in MQTT 3."""

    packet_id: int
    reasons: tuple[int, ...] = ()
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Pingreq:
    """A client shows that it is there."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """The server does too."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The last packet of a connection; 0 from a client discards its will."""

    reason: int = 0
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Auth:
    """A step of an authentication exchange; MQTT 5 only."""

    reason: int = 0
    properties: Properties = NO_PROPERTIES


Acknowledgement = Puback | Pubrec | Pubrel | Pubcomp
ClientPacket = (
    Connect | Publish | Acknowledgement | Subscribe | Unsubscribe | Pingreq | Disconnect | Auth
)
ServerPacket = (
    Connack | Publish | Acknowledgement | Suback | Unsuback | Pingresp | Disconnect | Auth
)
Packet = ClientPacket | ServerPacket
