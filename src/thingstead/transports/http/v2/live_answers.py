"""Live streams below `/v2`: one JSON document per HTTP chunk and write, or Server-Sent Events.

First the confirmation, then a document for each event, `{}` whenever nothing happened for
`keepAlive` milliseconds (`thethings-v2.md` 3.7). The subscription exists before the
confirmation is sent, so nothing committed after it is missed. Who asks for the media type
`text/event-stream` gets the same documents as events (`event_stream.py`). How the bytes leave
is in `pushing.py`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from thingstead.features.live.cursors import CursorKind, cursor_of, sequence_of
from thingstead.features.live.model import End
from thingstead.features.live.ports import Event, Missed
from thingstead.features.live.subscription import Overflow
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.answers import JSON_TYPE, V2_HEADERS, Header, refusal_document
from thingstead.transports.http.refusals import InvalidQueryError
from thingstead.transports.http.request import Request, Send
from thingstead.transports.http.router import Parameter
from thingstead.transports.http.v2.event_stream import EventStreamForm
from thingstead.transports.http.v2.pushing import Following, PushedStream
from thingstead.transports.wire.keep_alive import (
    DEFAULT_KEEP_ALIVE_MS,
    LONGEST_KEEP_ALIVE_MS,
    SHORTEST_KEEP_ALIVE_MS,
    keep_alive_ms,
)

SUBSCRIBED = {"status": "success", "message": "subscribed"}
_SUBSCRIBED = b'{"status":"success","message":"subscribed"}'

SUBSCRIBE_PARAMETER = Parameter(
    "subscribe",
    {"type": "string", "enum": ["true"]},
    "true opens a live stream; so does Accept: text/event-stream.",
)
STREAM_PARAMETERS = (
    Parameter(
        "keepAlive",
        {
            "type": "integer",
            "minimum": SHORTEST_KEEP_ALIVE_MS,
            "maximum": LONGEST_KEEP_ALIVE_MS,
            "default": DEFAULT_KEEP_ALIVE_MS,
        },
        "Milliseconds of silence after which {} is sent; values outside the bounds are clamped.",
    ),
    Parameter(
        "since",
        {"type": "string"},
        "With Accept: text/event-stream: the id of the last event received; what came after it"
        " is sent first. The header Last-Event-ID says the same and rules over it.",
    ),
    Parameter(
        "conflate",
        {"type": "string", "enum": ["true"]},
        "With Accept: text/event-stream: true leaves out older values of a resource when the"
        " client reads too slowly, rather than ending the stream.",
    ),
)


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """How a stream was asked for; `after` is the sequence of `cursor`."""

    keep_alive_s: float
    is_event_stream: bool
    is_conflating: bool
    cursor: str | None
    after: int


def stream_query(request: Request, kind: CursorKind) -> StreamQuery:
    """Return how a stream whose cursors are of that kind was asked for.

    Raises:
        InvalidQueryError: `keepAlive` is no number.
        InvalidCursorError: the place to begin behind is no cursor of this kind of stream.
    """
    keep_alive_s = _keep_alive_ms(request.query.get("keepAlive")) / 1_000
    is_event_stream = request.accepts_event_stream
    cursor = None
    if is_event_stream:
        header = request.header(b"last-event-id")
        cursor = (header.decode("latin-1") if header else request.query.get("since")) or None
    return StreamQuery(
        keep_alive_s,
        is_event_stream,
        is_event_stream and request.query.get("conflate") == "true",
        cursor,
        0 if cursor is None else sequence_of(kind, cursor),
    )


class DocumentForm:
    """The v2 form: bare documents, each in a chunk and a write of its own."""

    __slots__ = ()
    name = "v2"
    # A proxy that gathers chunks would hold live values back.
    headers: tuple[Header, ...] = (JSON_TYPE, *V2_HEADERS, (b"X-Accel-Buffering", b"no"))
    events_at_once = 1
    sign_of_life = b"{}"

    def opening(self, cursor: str | None) -> bytes:  # noqa: ARG002  # The form has no cursors.
        """Return the confirmation."""
        return _SUBSCRIBED

    def piece(self, document: bytes, event: Event) -> bytes:  # noqa: ARG002  # Nor has an event.
        """Return the document."""
        return document

    def gap(self, sequence: int) -> bytes:  # noqa: ARG002  # There is none to tell of.
        """Fail: a stream of this form takes no cursor, so it cannot begin behind a gap."""
        raise AssertionError("a stream of documents was opened with a cursor")

    def goodbye(self, error: ThingsteadError, reason: End) -> bytes:  # noqa: ARG002  # Is in it.
        """Return the document of a refusal."""
        return refusal_document(error)


_DOCUMENTS = DocumentForm()
_EVENT_STREAMS = {kind: EventStreamForm(kind) for kind in CursorKind}


async def stream_events(send: Send, following: Following, query: StreamQuery) -> None:
    """Stream until the client leaves, reads too slowly, or loses the right to listen.

    Raises:
        OverloadedError: what was missed cannot be read just now.
    """
    if not query.is_event_stream:
        await PushedStream(following, _DOCUMENTS, query.keep_alive_s).run(send)
        return
    stream = following.stream
    if query.is_conflating:
        stream.subscription.overflow = Overflow.CONFLATE
    pushed = PushedStream(following, _EVENT_STREAMS[stream.kind], query.keep_alive_s)
    if query.cursor is None:
        newest = await stream.head()
        # Some were heard while that was asked, which the confirmation's cursor is behind.
        stream.subscription.start_after(newest)
        await pushed.run(send, cursor_of(stream.kind, newest))
        return
    async with aclosing(stream.missed(query.after)) as pages:
        # A store that cannot be asked refuses the whole stream.
        first = await anext(pages)
        await pushed.run(send, query.cursor, _from(first, pages))


async def _from(first: Missed, rest: AsyncGenerator[Missed, None]) -> AsyncGenerator[Missed, None]:
    yield first
    async for page in rest:
        yield page


def _keep_alive_ms(text: str | None) -> int:
    """Return the milliseconds between signs of life, clamped to what is allowed."""
    try:
        return keep_alive_ms(text)
    except ValueError as exc:
        raise InvalidQueryError(str(exc)) from exc
