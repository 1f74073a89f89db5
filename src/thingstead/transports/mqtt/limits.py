"""How much one MQTT client may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MQTTLimits:
    """Bounds of the MQTT server; what settings say and what is fixed.

    `inflight`: QoS 1 messages to a client that wait for its PUBACK, and QoS 2 messages of a
    client that wait for its PUBREL; told to MQTT 5 clients as Receive Maximum.
    `turn_bytes`: how much of one client is read before the others get their turn.
    `waiting`: packets of one client that wait for their turn before its socket is read no more.
    `sweep_s`: how often it is looked whether anybody's time is over.
    """

    packet_bytes: int = 64 * 1024
    connect_bytes: int = 4 * 1024
    connect_s: float = 5.0
    filters: int = 50
    filter_bytes: int = 256
    filter_levels: int = 8
    inflight: int = 32
    turn_bytes: int = 4 * 1024
    waiting: int = 1_024
    longest_keep_alive_s: int = 1_200
    session_s: int = 86_400
    connections: int = 20_000
    connections_per_address: int = 10_000
    write_buffer_bytes: int = 64 * 1024
    closing_s: float = 5.0
    sweep_s: float = 1.0
