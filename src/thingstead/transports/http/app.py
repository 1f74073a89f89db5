"""The ASGI application: route, handle, answer; and one line of log for what failed inside.

Knows no endpoint; those are in `v2/` and `health.py`, joined into one table by `server.py`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.answers import (
    JSON_TYPE,
    PREFLIGHT_HEADERS,
    V2_HEADERS,
    Answer,
    PiecewiseAnswer,
    refusal,
)
from thingstead.transports.http.long_answers import LongAnswer, LongSender
from thingstead.transports.http.refusals import AddressNotFoundError, InvalidSessionTokenError
from thingstead.transports.http.request import (
    ClientGoneError,
    Receive,
    Request,
    Scope,
    Send,
)
from thingstead.transports.http.router import Router

_log = logging.getLogger(__name__)
_PREFLIGHT = Answer(200, b"", PREFLIGHT_HEADERS)

HasSession = Callable[[Request], Awaitable[bool]]
"""Returns whether a valid session came with the request."""


class Application:
    """Serves a route table over ASGI."""

    def __init__(self, router: Router, has_session: HasSession) -> None:
        self._router = router
        self._has_session = has_session
        self._long = LongSender()
        self._logged_at = float("-inf")
        self._unlogged = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an exception other than a refusal goes up to the server."""
        first = b""
        try:
            request = Request(scope, receive)
            if request.method == "OPTIONS" and not self._router.has(request):
                answer: Answer | PiecewiseAnswer | LongAnswer | None = _PREFLIGHT
            else:
                answer = await self._answer(request, send)
            if isinstance(answer, PiecewiseAnswer):
                # Until there is a piece, what goes wrong can be answered like anything else.
                first = await anext(answer.pieces, b"")
            elif isinstance(answer, LongAnswer):
                # It raises only while nothing has been sent.
                await self._long.send(send, answer)
        except ThingsteadError as error:
            answer = refusal(error)
            if answer.status >= 500:
                self._log_failure(answer.status, error.code)
        except ClientGoneError:
            return
        if isinstance(answer, Answer):
            await send_answer(send, answer)
        elif isinstance(answer, PiecewiseAnswer):
            await _send_pieces(receive, send, answer, first)

    async def _answer(
        self, request: Request, send: Send
    ) -> Answer | PiecewiseAnswer | LongAnswer | None:
        """Return the answer, or None when a stream has sent everything itself."""
        try:
            route = self._router.find(request)
        except InvalidSessionTokenError:
            # The original looks at the session before the path (`thethings-v2.md` 1.10).
            if await self._has_session(request):
                raise AddressNotFoundError from None
            raise
        # HEAD gets the head of what can be read: a stream without its body would never end.
        wants_stream = route.handler is None or (
            route.stream is not None
            and request.method != "HEAD"
            and (request.query.get("subscribe") == "true" or request.accepts_event_stream)
        )
        if wants_stream and route.stream is not None:
            await route.stream(request, send)
            return None
        assert route.handler is not None  # noqa: S101  # A route has one of the two.
        return await route.handler(request)

    def _log_failure(self, status: int, code: str) -> None:
        """Log what the server could not do; once a second, or an outage would fill the disk."""
        now = time.monotonic()
        if now - self._logged_at < 1.0:
            self._unlogged += 1
            return
        _log.error("answered %d (%s), and %d more since", status, code, self._unlogged)
        self._logged_at = now
        self._unlogged = 0


async def send_answer(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": answer.status, "headers": heads(answer)})
    await send({"type": "http.response.body", "body": answer.body})


def heads(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers, in the order in which they go out."""
    if answer.status == 304:
        # Type and length would be those of what is not sent (RFC 9110, 8.6 and 15.4.5).
        return [*answer.common, *answer.headers]
    length = (b"Content-Length", str(len(answer.body)).encode("ascii"))
    return [answer.content_type, length, *answer.common, *answer.headers]


async def _send_pieces(receive: Receive, send: Send, answer: PiecewiseAnswer, first: bytes) -> None:
    """Send an answer piece by piece, until its end or until the client has left.

    What goes wrong after the first piece ends the connection, so that a cut answer cannot be
    taken for a whole one.
    """
    async with aclosing(answer.pieces) as pieces:
        # Sending never tells that the client left; only the receiving side does.
        watcher = asyncio.create_task(_client_leaves(receive))
        try:
            headers = [JSON_TYPE, *V2_HEADERS, *answer.headers]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for piece in pieces:
                if watcher.done():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ThingsteadError as error:
            _log.warning("an answer was cut off: %s", error.code)
        finally:
            watcher.cancel()


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
