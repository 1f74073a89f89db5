"""The seam through which the hottest call passes without the ASGI machinery.

It must not know what the call is: a lane is shown the bytes and takes them or leaves
them. Read on in `connection.py`, which asks the lane first.
"""

from typing import Protocol


class LaneConnection(Protocol):
    """What a lane sees of a connection; valid until its one answer has been given."""

    @property
    def client(self) -> tuple[str, int] | None:
        """Address and port of the peer as the socket says; None on a Unix socket."""

    @property
    def scheme(self) -> str | None:
        """`http` or `https`, as this connection came in."""

    def lane_respond(self, answer: bytes, keep_alive: bool) -> None:  # noqa: FBT001 - hot path
        """Writes the answer to the request that the lane took, and ends the request.

        Call it exactly once for each request taken, on the loop's thread; after the
        connection was lost it does nothing. `answer`: the complete bytes, from the
        status line on, with `Content-Length`, and with `Connection: close` when
        `keep_alive` is false.
        """


class DirectLane(Protocol):
    """Takes whole requests off a connection before they are parsed."""

    def try_take(self, connection: LaneConnection, data: bytes) -> bool:
        """Tells whether `data` is one request of this lane's kind, and then takes it.

        True promises two things: `data` is exactly one complete request (head and whole
        body, nothing after it), and `lane_respond` will be called for it, perhaps
        before this returns. On False nothing was changed and the ordinary way goes on;
        whatever is unusual about a request is a reason for False. The edge's limits on
        heads and bodies are not checked for what a lane takes.
        """
