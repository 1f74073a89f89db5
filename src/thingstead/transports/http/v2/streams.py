"""`GET /v2/things/THING_TOKEN`: the live stream of a thing (`thethings-v2.md` 3.7)."""

from contextlib import closing

from thingstead.features.live.cursors import CursorKind
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Event
from thingstead.features.streams.service import Streams
from thingstead.transports.http.request import Request, Send
from thingstead.transports.http.router import Access, Route
from thingstead.transports.http.v2.live_answers import (
    STREAM_PARAMETERS,
    SUBSCRIBED,
    stream_events,
    stream_query,
)
from thingstead.transports.http.v2.pushing import Following
from thingstead.transports.wire.values_out import encode_event


class StreamHandlers:
    """Handles the live streams of things."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def routes(self) -> list[Route]:
        """Return the route of a thing's stream."""
        return [
            Route(
                "GET",
                "/v2/things/{thing_token}",
                "Subscribe to the thing: an endless stream of what it writes",
                stream=self.stream,
                statuses=(200, 400, 404, 429, 503),
                parameters=STREAM_PARAMETERS,
                answer_example=SUBSCRIBED,
                access=Access.THING_TOKEN,
            )
        ]

    async def stream(self, request: Request, send: Send) -> None:
        """Stream until the client leaves, reads too slowly, or loses the right to listen."""
        query = stream_query(request, CursorKind.VALUES)
        token = request.arguments["thing_token"]
        with closing(await self._streams.of_thing(token, address=request.address)) as stream:
            await stream_events(send, Following(stream, "thing", _document), query)


def _document(event: Event) -> bytes:
    return encode_event(event) if isinstance(event, LiveEvent) else b""
