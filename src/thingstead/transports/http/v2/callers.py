"""Who makes a call of the app API: `Authorization: SESSION_TOKEN`, bare or after `Bearer`.

Routes of the app API are made here, so that none can be reached without a session: a handler
is given its caller, and there is no other way to one (`thethings-v2.md` 6, `security.md` 4).
"""

from collections.abc import Awaitable, Callable
from typing import Any

from thingstead.features.users.errors import InsecureTransportError, InvalidSessionError
from thingstead.features.users.model import Caller
from thingstead.features.users.sessions import Sessions
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.answers import Answer, PiecewiseAnswer
from thingstead.transports.http.refusals import InvalidHeaderError
from thingstead.transports.http.request import Request, Send
from thingstead.transports.http.router import Access, Route

CallerHandler = Callable[[Request, Caller], Awaitable[Answer | PiecewiseAnswer]]
CallerStream = Callable[[Request, Send, Caller], Awaitable[None]]

_SCHEME = "bearer "
_LONGEST_HEADER = 256


class Callers:
    """Knows who makes a call, and makes the routes that need to know."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def caller(self, request: Request) -> Caller:
        """Return who makes the call, and take it from their rate.

        Raises:
            InvalidSessionError: no valid session came with it.
            TooManyRequestsError: the caller calls too often, or the address guesses.
        """
        token = session_token(request)
        if token is None:
            raise InvalidSessionError
        caller = self._sessions.known(token)
        if caller is None:
            caller = await self._sessions.authenticate(token, address=request.address)
        self._sessions.admit(caller)
        return caller

    async def again(self, request: Request) -> Caller:
        """Return the caller of a request whose session was valid before; it costs no rate.

        Raises:
            InvalidSessionError: the session has ended meanwhile.
        """
        token = session_token(request)
        if token is None:
            raise InvalidSessionError
        known = self._sessions.known(token)
        return known or await self._sessions.authenticate(token, address=None)

    async def has_session(self, request: Request) -> bool:
        """Return whether a valid session came with the request."""
        try:
            await self.caller(request)
        except InvalidSessionError:
            return False
        except ThingsteadError:
            # Too many guesses: not to be told apart from a wrong one here.
            return False
        return True

    def route(
        self,
        method: str,
        pattern: str,
        summary: str,
        handler: CallerHandler | None = None,
        *,
        stream: CallerStream | None = None,
        reads_body: int | None = None,
        **described: Any,  # noqa: ANN401  # The other fields of `Route`, which checks them.
    ) -> Route:
        """Return a route that only callers with a valid session reach.

        A handler that stores what its body says names in `reads_body` how many bytes it takes:
        it is called once the body is there, and its caller is who has the session then.
        """
        return Route(
            method,
            pattern,
            summary,
            None if handler is None else self._with_caller(handler, reads_body),
            None if stream is None else self._streaming_to(stream),
            access=Access.SESSION,
            **described,
        )

    def _with_caller(
        self, handler: CallerHandler, body_bytes: int | None
    ) -> Callable[[Request], Awaitable[Answer | PiecewiseAnswer]]:
        async def handle(request: Request) -> Answer | PiecewiseAnswer:
            caller = await self.caller(request)
            if body_bytes is not None:
                await request.body(body_bytes)
                # It may take half an hour to arrive; session and user may be gone by then.
                caller = await self.again(request)
            return await handler(request, caller)

        return handle

    def _streaming_to(self, stream: CallerStream) -> Callable[[Request, Send], Awaitable[None]]:
        async def handle(request: Request, send: Send) -> None:
            await stream(request, send, await self.caller(request))

        return handle


def session_token(request: Request) -> str | None:
    """Return the session token that came with the request, or None.

    Raises:
        InvalidHeaderError: it came twice, so that two readers could see two callers.
    """
    values = request.headers(b"authorization")
    if len(values) > 1:
        raise InvalidHeaderError("Authorization: stands twice")
    if not values or len(values[0]) > _LONGEST_HEADER:
        return None
    text = values[0].decode("latin-1").strip()
    if text[: len(_SCHEME)].lower() == _SCHEME:
        text = text[len(_SCHEME) :].strip()
    return text or None


def demand_confidence(request: Request) -> None:
    """Refuse a request with a password that others could have read on its way.

    Raises:
        InsecureTransportError: it came unencrypted from a public address.
    """
    if not request.is_confidential:
        raise InsecureTransportError
