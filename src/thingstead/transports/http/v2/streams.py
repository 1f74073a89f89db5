"""`GET /v2/things/THING_TOKEN`: the live stream of a thing (`thethings-v2.md` 3.7)."""

from collections.abc import Callable

from thingstead.features.live.model import End, LiveEvent
from thingstead.features.live.ports import Event
from thingstead.features.live.service import Live, Subscription
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import ThingId
from thingstead.transports.http.request import Request, Send
from thingstead.transports.http.router import Access, Route
from thingstead.transports.http.v2.live_answers import (
    KEEP_ALIVE_PARAMETER,
    SUBSCRIBED,
    Following,
    keep_alive_s,
    stream_events,
)
from thingstead.transports.wire.values_out import encode_event


class StreamHandlers:
    """Handles the live streams of things."""

    def __init__(self, things: Things, live: Live) -> None:
        self._things = things
        self._live = live

    def routes(self) -> list[Route]:
        """Return the route of a thing's stream."""
        return [
            Route(
                "GET",
                "/v2/things/{thing_token}",
                "Subscribe to the thing: an endless stream of what it writes",
                stream=self.stream,
                statuses=(200, 400, 404, 429, 503),
                parameters=(KEEP_ALIVE_PARAMETER,),
                answer_example=SUBSCRIBED,
                access=Access.THING_TOKEN,
            )
        ]

    async def stream(self, request: Request, send: Send) -> None:
        """Stream until the client leaves, reads too slowly, or loses the right to listen."""
        token = request.arguments["thing_token"]
        patience_s = keep_alive_s(request)
        thing = await self._things.resolve(token, address=request.address)
        with self._live.subscribe(thing.id) as subscription:
            subscription.accepts = _accepts(thing)

            async def recheck() -> None:
                await self._recheck(subscription, token, thing.id)

            def document(event: Event) -> bytes | None:
                # What waited while the thing changed hands must not go out after it.
                if not isinstance(event, LiveEvent) or not _is_accepted(subscription, event):
                    return None
                return encode_event(event)

            following = Following(subscription, document, recheck, ThingNotFoundError)
            await stream_events(request, send, following, patience_s)

    async def _recheck(self, subscription: Subscription, token: str, thing_id: ThingId) -> None:
        try:
            thing = await self._things.resolve(token, address=None)
        except ThingNotFoundError:
            subscription.end(End.REVOKED)
            return
        except ThingsteadError:
            # What may be heard cannot be told just now, so nothing is.
            subscription.end(End.INTERRUPTED)
            return
        if thing.id != thing_id:
            subscription.end(End.REVOKED)
            return
        subscription.accepts = _accepts(thing)


def _accepts(thing: Thing) -> Callable[[Event], bool]:
    """Return what chooses the events of the epochs that may be seen of the thing."""
    epochs = frozenset(thing.epochs)
    return lambda event: isinstance(event, LiveEvent) and event.epoch in epochs


def _is_accepted(subscription: Subscription, event: LiveEvent) -> bool:
    return subscription.accepts is not None and subscription.accepts(event)
