"""MQTT inside binary WebSocket messages (MQTT 5, section 6): a stream of bytes like any other.

Where messages begin and end means nothing to MQTT. It must not know frames: what carries them
is described by the protocol below, and is `transports/websocket`.
"""

from typing import Protocol

from thingstead.transports.mqtt.connection import MQTTConnection
from thingstead.transports.mqtt.listener import MQTTServer

SUBPROTOCOLS = ("mqtt", "mqttv3.1")
_NORMAL, _UNSUPPORTED = 1000, 1003


class Carrier(Protocol):
    """What the WebSocket offers."""

    @property
    def is_writable(self) -> bool:
        """Whether the client reads what is sent."""

    def send_binary(self, payload: bytes) -> None:
        """Send a binary message."""

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake."""

    def pause_reading(self) -> None:
        """Read no more for now."""

    def resume_reading(self) -> None:
        """Read on."""


class MQTTOverWebSocket:
    """Handles one WebSocket whose client speaks MQTT (`transports/websocket/handler.py`)."""

    __slots__ = ("_address", "_carrier", "_connection", "_is_closed")

    def __init__(self, server: MQTTServer, address: str) -> None:
        self._connection: MQTTConnection = server.connection()
        self._address = address
        self._carrier: Carrier
        self._is_closed = False

    # What the WebSocket calls.

    def opened(self, connection: Carrier) -> None:
        """Begin."""
        self._carrier = connection
        self._connection.begin(self, self._address)

    def text(self, message: str) -> None:  # noqa: ARG002  # What it says is no matter.
        """Refuse: MQTT comes in binary messages only (MQTT 5, 6.0.0-1)."""
        self._carrier.close(_UNSUPPORTED, "MQTT comes in binary messages")

    def binary(self, message: bytes) -> None:
        """Take some bytes."""
        self._connection.data_received(message)

    def writable(self) -> None:
        """Let events go on."""
        self._connection.resume_writing()

    def deadline_passed(self) -> None:
        """Do nothing: the broker looks at the time."""

    def closed(self) -> None:
        """End."""
        if not self._is_closed:
            self._is_closed = True
            self._connection.connection_lost(None)

    # What the MQTT connection calls.

    def write(self, data: bytes) -> None:
        """Send some bytes."""
        self._carrier.send_binary(data)
        if not self._carrier.is_writable:
            self._connection.pause_writing()

    def close(self) -> None:
        """Close after what was written."""
        self._carrier.close(_NORMAL)

    def abort(self) -> None:
        """Close; the WebSocket's own deadline cuts off who does not answer."""
        self._carrier.close(_NORMAL)

    def can_write_eof(self) -> bool:
        """Return False: a WebSocket has a closing handshake of its own."""
        return False

    def write_eof(self) -> None:
        """Close, as nothing less can be done."""
        self.close()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._carrier.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._carrier.resume_reading()
