"""`GET /v2/things/THING_TOKEN`: the live stream of a thing (`thethings-v2.md` 3.7).

One JSON document per HTTP chunk and per write to the socket: first the confirmation, then an
array for each write, `{}` whenever nothing happened for `keepAlive` milliseconds. The
subscription exists before the confirmation is sent, so nothing committed after it is missed.
"""

import asyncio

from thingstead.features.live.model import End, LiveEvent, Wake
from thingstead.features.live.service import Live, Subscription, SubscriptionEndedError
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.service import Things
from thingstead.kernel.errors import OverloadedError, ThingsteadError
from thingstead.transports.http.answers import JSON_TYPE, V2_HEADERS, refusal_document
from thingstead.transports.http.refusals import InvalidQueryError
from thingstead.transports.http.request import Receive, Request, Send
from thingstead.transports.http.router import Parameter, Route
from thingstead.transports.wire.values_out import encode_event

SHORTEST_KEEP_ALIVE_MS = 1_000
LONGEST_KEEP_ALIVE_MS = 3_600_000
DEFAULT_KEEP_ALIVE_MS = 60_000

_SUBSCRIBED = b'{"status":"success","message":"subscribed"}'
_KEEP_ALIVE = b"{}"
# A proxy that gathers chunks would hold live values back.
_HEADERS = [JSON_TYPE, *V2_HEADERS, (b"X-Accel-Buffering", b"no")]
_GOODBYE_S = 2.0
_KEEP_ALIVE_PARAMETER = Parameter(
    "keepAlive",
    {
        "type": "integer",
        "minimum": SHORTEST_KEEP_ALIVE_MS,
        "maximum": LONGEST_KEEP_ALIVE_MS,
        "default": DEFAULT_KEEP_ALIVE_MS,
    },
    "Milliseconds of silence after which {} is sent; values outside the bounds are clamped.",
)


class StreamHandlers:
    """Handles live streams."""

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
                parameters=(_KEEP_ALIVE_PARAMETER,),
                answer_example={"status": "success", "message": "subscribed"},
            )
        ]

    async def stream(self, request: Request, send: Send) -> None:
        """Stream until the client leaves, reads too slowly, or loses the right to listen."""
        token = request.arguments["thing_token"]
        keep_alive_s = _keep_alive_ms(request.query.get("keepAlive")) / 1_000
        thing = await self._things.resolve(token, address=request.address)
        with self._live.subscribe(thing.id) as subscription:
            # Sending never tells that the client left; only the receiving side does.
            watcher = asyncio.create_task(_watch(request.receive, subscription))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                await _send_document(send, _SUBSCRIBED)
                await self._follow(subscription, send, token, keep_alive_s)
            finally:
                watcher.cancel()

    async def _follow(
        self, subscription: Subscription, send: Send, token: str, keep_alive_s: float
    ) -> None:
        while True:
            try:
                happened = await subscription.next(keep_alive_s)
            except SubscriptionEndedError as ended:
                await _say_goodbye(send, ended.reason)
                return
            if isinstance(happened, LiveEvent):
                await _send_document(send, encode_event(happened))
            elif happened is Wake.KEEP_ALIVE:
                await _send_document(send, _KEEP_ALIVE)
            else:
                await self._recheck(subscription, token)

    async def _recheck(self, subscription: Subscription, token: str) -> None:
        try:
            thing = await self._things.resolve(token, address=None)
        except ThingNotFoundError:
            subscription.end(End.REVOKED)
            return
        except ThingsteadError:
            # The store cannot tell just now; it is asked again within a minute.
            return
        if thing.id != subscription.thing_id:
            subscription.end(End.REVOKED)


async def _watch(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.end(End.CLOSED)


async def _send_document(send: Send, document: bytes) -> None:
    await send({"type": "http.response.body", "body": document, "more_body": True})
    # uvloop joins what is written in one turn of the loop; some clients parse each piece alone.
    await asyncio.sleep(0)


async def _say_goodbye(send: Send, reason: End) -> None:
    """Send the reason as a last document, if the client still reads, and end the stream."""
    if reason is End.CLOSED:
        return
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await _send_document(send, refusal_document(OverloadedError(reason.value)))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except TimeoutError:
        return


def _keep_alive_ms(text: str | None) -> int:
    """Return the milliseconds between signs of life, clamped to what is allowed."""
    if not text:
        return DEFAULT_KEEP_ALIVE_MS
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        raise InvalidQueryError("keepAlive: expected a number of milliseconds")
    return max(SHORTEST_KEEP_ALIVE_MS, min(LONGEST_KEEP_ALIVE_MS, int(text)))
