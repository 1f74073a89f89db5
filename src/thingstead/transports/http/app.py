"""The ASGI application: route, handle, answer; and one line of log for what failed inside.

Knows no endpoint; those are in `v2/` and `health.py`, joined into one table by `server.py`.
"""

import logging
import time

from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.answers import (
    JSON_TYPE,
    PREFLIGHT_HEADERS,
    V2_HEADERS,
    Answer,
    refusal,
)
from thingstead.transports.http.request import ClientGoneError, Receive, Request, Scope, Send
from thingstead.transports.http.router import Router

_log = logging.getLogger(__name__)
_PREFLIGHT = Answer(200, b"", PREFLIGHT_HEADERS)


class Application:
    """Serves a route table over ASGI."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._logged_at = float("-inf")
        self._unlogged = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an exception other than a refusal goes up to the server."""
        try:
            request = Request(scope, receive)
            if request.method == "OPTIONS":
                answer = _PREFLIGHT
            else:
                route = self._router.find(request)
                if route.handler is None:
                    if route.stream is not None:
                        await route.stream(request, send)
                    return
                answer = await route.handler(request)
        except ThingsteadError as error:
            answer = refusal(error)
            if answer.status >= 500:
                self._log_failure(answer.status, error.code)
        except ClientGoneError:
            return
        await send_answer(send, answer)

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
    length = (b"Content-Length", str(len(answer.body)).encode("ascii"))
    return [JSON_TYPE, length, *V2_HEADERS, *answer.headers]
