"""Who makes a call of the app API: `Authorization: SESSION_TOKEN`, bare or after `Bearer`.

Routes of the app API are made here, so that none can be reached without a session: a handler
is given its caller, and there is no other way to one (`thethings-v2.md` 6, `security.md` 4).
Where no header can be sent, streams may be opened with a ticket (`listener`).
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from thingstead.features.users.errors import (
    InsecureTransportError,
    InvalidSessionError,
    InvalidTicketError,
)
from thingstead.features.users.model import Caller
from thingstead.features.users.sessions import Sessions
from thingstead.features.users.tickets import Tickets
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.answers import Answer, PiecewiseAnswer
from thingstead.transports.http.refusals import InvalidHeaderError
from thingstead.transports.http.request import Request, Send
from thingstead.transports.http.router import Access, Parameter, Route

CallerHandler = Callable[[Request, Caller], Awaitable[Answer | PiecewiseAnswer]]
CallerStream = Callable[[Request, Send, "Listener"], Awaitable[None]]

_SCHEME = "bearer "
_LONGEST_HEADER = 256
_TICKET = "ticket"

TICKET_PARAMETER = Parameter(
    _TICKET,
    {"type": "string"},
    "A ticket of POST /v2/me/tickets, from clients that cannot send the header Authorization.",
)


class Listener(NamedTuple):
    """Who opens a stream; `again` tells later whether they still may (InvalidSessionError)."""

    caller: Caller
    again: Callable[[], Awaitable[Caller]]


class Callers:
    """Knows who makes a call, and makes the routes that need to know.

    Without `tickets` none is valid.
    """

    def __init__(self, sessions: Sessions, tickets: Tickets | None = None) -> None:
        self._sessions = sessions
        self._tickets = tickets

    async def caller(self, request: Request) -> Caller:
        """Return who makes the call, and take it from their rate.

        Raises:
            InvalidSessionError: no valid session came with it.
            TooManyRequestsError: the caller calls too often, or the address guesses.
        """
        token = session_token(request)
        return (await self.listener_by_session(token, address=request.address)).caller

    async def again(self, request: Request) -> Caller:
        """Return the caller of a request whose session was valid before; it costs no rate.

        Raises:
            InvalidSessionError: the session has ended meanwhile.
        """
        token = session_token(request)
        if token is None:
            raise InvalidSessionError
        return await self._again(token)

    async def listener(self, request: Request) -> Listener:
        """Return who opens a stream, by session or, without the header, by `?ticket=`.

        Takes it from their rate, as any call. A ticket in vain is used up all the same.

        Raises:
            InvalidSessionError, InvalidTicketError: neither came with it, or it is not valid.
            TooManyRequestsError: the caller calls too often, or the address guesses.
        """
        ticket = request.query.get(_TICKET)
        token = session_token(request)
        if token is None and ticket is not None:
            return await self.listener_by_ticket(ticket)
        return await self.listener_by_session(token, address=request.address)

    async def listener_by_session(self, token: str | None, *, address: str) -> Listener:
        """Return whose session token it is; otherwise as `listener`."""
        if token is None:
            raise InvalidSessionError
        caller = self._sessions.known(token)
        if caller is None:
            caller = await self._sessions.authenticate(token, address=address)
        self._sessions.admit(caller)
        return Listener(caller, lambda: self._again(token))

    async def listener_by_ticket(self, ticket: str) -> Listener:
        """Return whose ticket it is, and use it up; otherwise as `listener`."""
        if self._tickets is None:
            raise InvalidTicketError
        redeemed = await self._tickets.redeem(ticket)
        self._sessions.admit(redeemed.caller)
        return Listener(redeemed.caller, lambda: self._again(redeemed.session_token))

    def admit(self, caller: Caller) -> None:
        """Take a call that came over an open connection from the caller's rate.

        Raises:
            TooManyRequestsError: the caller calls too often.
        """
        self._sessions.admit(caller)

    async def _again(self, token: str) -> Caller:
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
            if request.accepts_event_stream:
                # `EventSource` can send no header.
                listener = await self.listener(request)
            else:
                token = session_token(request)
                listener = await self.listener_by_session(token, address=request.address)
            await stream(request, send, listener)

        return handle


def session_token(request: Request) -> str | None:
    """Return the session token that came with the request, or None.

    Raises:
        InvalidHeaderError: it came twice, so that two readers could see two callers.
    """
    return authorization_token(request.headers(b"authorization"))


def authorization_token(values: list[bytes]) -> str | None:
    """Return what the values of the header Authorization hold, bare or after `Bearer`.

    Raises:
        InvalidHeaderError: there are two of them.
    """
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
