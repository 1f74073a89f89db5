"""MQTT packets from and to bytes, without any socket: 3.1, 3.1.1 and 5.0.

    decoder = Decoder(max_packet_bytes=65_536)
    for packet in decoder.feed(received):
        match packet: ...
    transport.write(puback(decoder.level, packet.packet_id))

Read on in `decoder.py`, `encoder.py`, `packets.py` and `properties.py`.
"""

from thingstead.transports.mqtt.codec.decoder import MAX_CONNECT_BYTES, Decoder
from thingstead.transports.mqtt.codec.errors import MQTTProtocolError
from thingstead.transports.mqtt.codec.packets import (
    Acknowledgement,
    Auth,
    ClientPacket,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ServerPacket,
    Suback,
    Subscribe,
    SubscribeRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from thingstead.transports.mqtt.codec.properties import NO_PROPERTIES, Properties
from thingstead.transports.mqtt.codec.reasons import Reason, return_code
from thingstead.transports.mqtt.codec.sides import FROM_CLIENT, FROM_SERVER, Side

__all__ = [
    "FROM_CLIENT",
    "FROM_SERVER",
    "MAX_CONNECT_BYTES",
    "NO_PROPERTIES",
    "Acknowledgement",
    "Auth",
    "ClientPacket",
    "Connack",
    "Connect",
    "Decoder",
    "Disconnect",
    "MQTTProtocolError",
    "Packet",
    "Pingreq",
    "Pingresp",
    "Properties",
    "Puback",
    "Pubcomp",
    "Publish",
    "Pubrec",
    "Pubrel",
    "Reason",
    "ServerPacket",
    "Side",
    "Suback",
    "Subscribe",
    "SubscribeRequest",
    "Unsuback",
    "Unsubscribe",
    "Will",
    "return_code",
]
