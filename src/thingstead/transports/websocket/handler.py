"""What speaks over a WebSocket: the seam between `connection.py` and its users."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from thingstead.transports.websocket.connection import WebSocketConnection


class WebSocketHandler(Protocol):
    """Takes the messages of one connection. Everything is called on the loop and must not wait.

    An exception ends the connection with 1011 and is logged.
    """

    def opened(self, connection: "WebSocketConnection") -> None:
        """Learn the connection; called once, before anything else."""

    def text(self, message: str) -> None:
        """Take a text message."""

    def binary(self, message: bytes) -> None:
        """Take a binary message."""

    def writable(self) -> None:
        """Go on sending: the client reads again (`WebSocketConnection.is_writable`)."""

    def deadline_passed(self) -> None:
        """Act on the time set by `WebSocketConnection.set_deadline`; it is no longer set."""

    def closed(self) -> None:
        """Let go: the connection closes, whoever began; nothing can be sent or comes any more.

        Called once, also from within a call of `WebSocketConnection.close`.
        """
