"""Server-Sent Events: the form that browsers read with `EventSource`.

The HTML standard, section "Server-sent events". An event's `data` is exactly the document of
the v2 form, which is JSON on one line; its `id` is the cursor behind which to go on.
"""

from thingstead.features.live.cursors import CursorKind, cursor_of
from thingstead.features.live.model import End
from thingstead.features.live.ports import Event
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.answers import V2_HEADERS, Header, refusal_document
from thingstead.transports.http.request import EVENT_STREAM_TYPE

RETRY_MS = 3_000
# A server that stops takes a while to come back, and all of its clients come with it.
RETRY_AFTER_STOP_MS = 10_000
_GAP = b'{"message":"Events are missing here: they are no longer known"}'
_SUBSCRIBED = b'{"status":"success","message":"subscribed"}'
_HEADERS: tuple[Header, ...] = (
    (b"Content-Type", EVENT_STREAM_TYPE.encode("ascii")),
    *V2_HEADERS,
    (b"X-Accel-Buffering", b"no"),
)


class EventStreamForm:
    """The form of a stream whose cursors are of one kind."""

    __slots__ = ("_event", "_kind")
    name = "sse"
    headers = _HEADERS
    # More than a queue holds: whatever came in one turn leaves in one write.
    events_at_once = 1_000_000
    sign_of_life = b":\n\n"

    def __init__(self, kind: CursorKind) -> None:
        self._kind = kind
        self._event = b"values" if kind is CursorKind.VALUES else b"object"

    def opening(self, cursor: str | None) -> bytes:
        """Return after how long to come back, and the confirmation with its cursor."""
        place = b"" if cursor is None else b"id: %b\n" % cursor.encode("ascii")
        return b"retry: %d\n\n%bevent: subscribed\ndata: %b\n\n" % (RETRY_MS, place, _SUBSCRIBED)

    def piece(self, document: bytes, event: Event) -> bytes:
        """Return an event with its cursor."""
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (
            self._cursor(event.sequence),
            self._event,
            document,
        )

    def gap(self, sequence: int) -> bytes:
        """Return an event that says so, with a cursor behind which nothing is missing."""
        return b"id: %b\nevent: gap\ndata: %b\n\n" % (self._cursor(sequence), _GAP)

    def goodbye(self, error: ThingsteadError, reason: End) -> bytes:
        """Return the reason as an event, and when to come back."""
        later = b"retry: %d\n" % RETRY_AFTER_STOP_MS if reason is End.SHUTDOWN else b""
        return b"%bevent: end\ndata: %b\n\n" % (later, refusal_document(error))

    def _cursor(self, sequence: int) -> bytes:
        return cursor_of(self._kind, sequence).encode("ascii")
