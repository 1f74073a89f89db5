"""Answers that are long, or have no end in sight: written from callbacks.

An extension of ASGI. A scope whose `extensions` name `EXTENSION` belongs to a connection that
understands a message of type `EXTENSION` in place of the answer's start. What is written then
are pieces that are ready for the wire, so that a thousand subscribers share one encoding. It
must not know what is pushed. Read on in `cycle.py`.

With a Content-Length among its headers such an answer has a known end: what is written is
counted, `finish` is refused before that end, and the client must read at a bearable pace
(`pace.py`). Without one it may go on for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

EXTENSION: Final = "thingstead.http.push"


class Push(Protocol):
    """An answer that has begun; its connection calls back on the event loop."""

    @property
    def is_chunked(self) -> bool:
        """Whether pieces must stand in chunk framing; a client of HTTP/1.0 gets them bare."""

    @property
    def is_writable(self) -> bool:
        """Whether the client reads as fast as it is written to; otherwise `write` piles up."""

    def has_confirmed(self) -> bool:
        """Gives whether the client's system has confirmed all that was written, as far as known.

        Where this system does not tell, it means that everything has left this process.
        """

    def write(self, piece: bytes) -> None:
        """Hands over a piece, framed as `is_chunked` says; does nothing after the client left.

        It leaves at once, in a write of its own, while `is_writable`; some clients parse what
        they receive at once as one document. Under TLS it is a record of its own.
        """

    def finish(self) -> None:
        """Ends the answer, so that the client knows that it is whole."""

    def cut(self) -> None:
        """Ends the connection in the middle of the answer."""


@dataclass(frozen=True, slots=True)
class PushStart:
    """What begins an answer, and who is called about it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    first: bytes
    """The first piece, not framed; it leaves in one write with the head."""
    on_writable: Callable[[], None]
    """Called when the client reads again after `is_writable` was False."""
    on_gone: Callable[[], None]
    """Called once, when the client has gone before `finish`."""
    on_begun: Callable[[Push], None]
    """Called with the answer once its head is written; not at all when the client has gone."""


def chunk(piece: bytes) -> bytes:
    """Return a piece in chunk framing (RFC 9112, 7.1); it must not be empty."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
