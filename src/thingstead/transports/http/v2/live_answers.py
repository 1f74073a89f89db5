"""Live streams of the v2 API: one JSON document per HTTP chunk and per write to the socket.

First the confirmation, then a document for each event, `{}` whenever nothing happened for
`keepAlive` milliseconds (`thethings-v2.md` 3.7). The subscription exists before the
confirmation is sent, so nothing committed after it is missed. Knows no feature but `live`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from thingstead.features.live.model import End, Wake
from thingstead.features.live.ports import Event
from thingstead.features.live.service import Subscription, SubscriptionEndedError
from thingstead.kernel.errors import OverloadedError, ThingsteadError
from thingstead.transports.http.answers import JSON_TYPE, V2_HEADERS, refusal_document
from thingstead.transports.http.refusals import InvalidQueryError
from thingstead.transports.http.request import Receive, Request, Send
from thingstead.transports.http.router import Parameter

SHORTEST_KEEP_ALIVE_MS = 1_000
LONGEST_KEEP_ALIVE_MS = 3_600_000
DEFAULT_KEEP_ALIVE_MS = 60_000

SUBSCRIBED = {"status": "success", "message": "subscribed"}
_SUBSCRIBED = b'{"status":"success","message":"subscribed"}'
_KEEP_ALIVE = b"{}"
# A proxy that gathers chunks would hold live values back.
_HEADERS = [JSON_TYPE, *V2_HEADERS, (b"X-Accel-Buffering", b"no")]
_GOODBYE_S = 2.0

KEEP_ALIVE_PARAMETER = Parameter(
    "keepAlive",
    {
        "type": "integer",
        "minimum": SHORTEST_KEEP_ALIVE_MS,
        "maximum": LONGEST_KEEP_ALIVE_MS,
        "default": DEFAULT_KEEP_ALIVE_MS,
    },
    "Milliseconds of silence after which {} is sent; values outside the bounds are clamped.",
)
SUBSCRIBE_PARAMETER = Parameter(
    "subscribe", {"type": "string", "enum": ["true"]}, "true opens a live stream."
)


@dataclass(frozen=True, slots=True)
class Following:
    """What a stream sends and when it ends.

    `encode` returns an event's document, or None for one that is not for this subscriber.
    `recheck` ends the subscription when its holder may no longer listen; `revoked` is what a
    new request would be answered then.
    """

    subscription: Subscription
    encode: Callable[[Event], bytes | None]
    recheck: Callable[[], Awaitable[None]]
    revoked: type[ThingsteadError]


async def stream_events(
    request: Request, send: Send, following: Following, keep_alive_s: float
) -> None:
    """Stream until the client leaves, reads too slowly, or loses the right to listen."""
    # Sending never tells that the client left; only the receiving side does.
    watcher = asyncio.create_task(_watch(request.receive, following.subscription))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _send_document(send, _SUBSCRIBED)
        await _follow(following, send, keep_alive_s)
    finally:
        watcher.cancel()


async def _follow(following: Following, send: Send, keep_alive_s: float) -> None:
    while True:
        try:
            happened = await following.subscription.next(keep_alive_s)
        except SubscriptionEndedError as ended:
            await _say_goodbye(send, ended.reason, following.revoked)
            return
        if happened is Wake.KEEP_ALIVE:
            await _send_document(send, _KEEP_ALIVE)
        elif happened is Wake.RECHECK:
            await following.recheck()
        elif not isinstance(happened, Wake):
            document = following.encode(happened)
            if document is not None:
                await _send_document(send, document)


async def _watch(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.end(End.CLOSED)


async def _send_document(send: Send, document: bytes) -> None:
    await send({"type": "http.response.body", "body": document, "more_body": True})
    # uvloop joins what is written in one turn of the loop; some clients parse each piece alone.
    await asyncio.sleep(0)


async def _say_goodbye(send: Send, reason: End, revoked: type[ThingsteadError]) -> None:
    """Send the reason as a last document, if the client still reads, and end the stream."""
    if reason is End.CLOSED:
        return
    try:
        async with asyncio.timeout(_GOODBYE_S):
            error = revoked if reason is End.REVOKED else OverloadedError
            await _send_document(send, refusal_document(error(reason.value)))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except TimeoutError:
        return


def keep_alive_s(request: Request) -> float:
    """Return the seconds between signs of life that the query asks for, clamped.

    Raises:
        InvalidQueryError: `keepAlive` is no number.
    """
    return _keep_alive_ms(request.query.get("keepAlive")) / 1_000


def _keep_alive_ms(text: str | None) -> int:
    """Return the milliseconds between signs of life, clamped to what is allowed."""
    if not text:
        return DEFAULT_KEEP_ALIVE_MS
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        raise InvalidQueryError("keepAlive: expected a number of milliseconds")
    return max(SHORTEST_KEEP_ALIVE_MS, min(LONGEST_KEEP_ALIVE_MS, int(text)))
