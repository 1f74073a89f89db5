"""What an MQTT connection needs of the socket that it speaks through."""

from typing import Protocol


class Wire(Protocol):
    """What carries the bytes: a TCP transport, or a WebSocket's."""

    def write(self, data: bytes) -> None:
        """Send, or keep what cannot be sent yet."""

    def close(self) -> None:
        """Close after what was written."""

    def abort(self) -> None:
        """Close at once."""

    def pause_reading(self) -> None:
        """Read no more for now."""

    def resume_reading(self) -> None:
        """Read on."""

    def can_write_eof(self) -> bool:
        """Return whether the sending side can be closed alone."""

    def write_eof(self) -> None:
        """Close the sending side after what was written; the client is read on."""


def close_wire(wire: Wire, *, is_told: bool) -> None:
    """Close after what was written; a client that `is_told` why can read it while it sends.

    A socket that is closed with unread bytes is reset, and the reset overtakes what was
    written (RFC 9112, 9.6, says it of HTTP). Whoever calls this cuts off a client that does not
    close in its turn.
    """
    if not is_told or not wire.can_write_eof():
        wire.close()
        return
    wire.write_eof()
    wire.resume_reading()
