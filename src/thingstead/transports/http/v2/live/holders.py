"""Who holds a live WebSocket, and which resources are theirs.

A session reaches `/me/resources/RESOURCE` and `/classes/me/COLLECTION`, a thing token its own
thing as `/things/THING_TOKEN`, or without naming it. Whatever else is named does not exist, so
that nobody learns what is somebody else's. Names stand as they are, not percent-encoded.
"""

from typing import NamedTuple, Protocol

from thingstead.features.streams.service import Stream, Streams
from thingstead.features.things.service import Things
from thingstead.features.users.tickets import PREFIX as TICKET_PREFIX
from thingstead.kernel.ids import is_token_shaped
from thingstead.transports.http.refusals import AddressNotFoundError
from thingstead.transports.http.v2.callers import Callers, Listener

_RESOURCES = "/me/resources/"
_COLLECTIONS = "/classes/me/"
_THINGS = "/things/"


class Opened(NamedTuple):
    """A stream, the name by which its client knows it, and the one resource that it shows."""

    stream: Stream
    name: str
    resource: str | None


class Holder(Protocol):
    """Who has authenticated on a socket."""

    async def open(self, name: str | None) -> Opened:
        """Open a stream.

        Raises:
            InvalidSessionError, ThingNotFoundError: the holder's own right has ended.
            ThingsteadError: there is no such resource for the holder, or no room.
        """
        ...


class Holders:
    """Finds out who somebody is by what they hold: a session, a thing token, or a ticket."""

    def __init__(self, callers: Callers, things: Things, streams: Streams) -> None:
        self._callers = callers
        self._things = things
        self._streams = streams

    async def of(self, token: str, *, address: str) -> Holder:
        """Return who holds the token.

        Raises:
            InvalidSessionError, InvalidTicketError, ThingNotFoundError: nobody does.
            TooManyRequestsError: the address guesses, or the caller calls too often.
        """
        if is_token_shaped(token):
            await self._things.resolve(token, address=address)
            return _ThingHolder(self._streams, token)
        if token.startswith(TICKET_PREFIX):
            return await self.of_ticket(token)
        listener = await self._callers.listener_by_session(token, address=address)
        return _SessionHolder(self._callers, self._streams, listener)

    async def of_ticket(self, ticket: str) -> Holder:
        """Return who holds the ticket, and use it up.

        Raises:
            InvalidTicketError: nobody does.
        """
        listener = await self._callers.listener_by_ticket(ticket)
        return _SessionHolder(self._callers, self._streams, listener)


class _SessionHolder:
    __slots__ = ("_callers", "_listener", "_streams")

    def __init__(self, callers: Callers, streams: Streams, listener: Listener) -> None:
        self._callers = callers
        self._streams = streams
        self._listener = listener

    async def open(self, name: str | None) -> Opened:
        again = self._listener.again
        caller = await again()
        self._callers.admit(caller)
        resource = _named(name, _RESOURCES)
        if resource is not None:
            stream = await self._streams.of_resource(caller, again, resource)
            return Opened(stream, f"{_RESOURCES}{resource}", resource)
        collection = _named(name, _COLLECTIONS)
        if collection is not None:
            stream = self._streams.of_collection(caller, again, collection)
            return Opened(stream, f"{_COLLECTIONS}{collection}", None)
        raise AddressNotFoundError(
            f"a session has {_RESOURCES}RESOURCE and {_COLLECTIONS}COLLECTION"
        )


class _ThingHolder:
    __slots__ = ("_streams", "_token")

    def __init__(self, streams: Streams, token: str) -> None:
        self._streams = streams
        self._token = token

    async def open(self, name: str | None) -> Opened:
        own = f"{_THINGS}{self._token}"
        if name is not None and name != own:
            raise AddressNotFoundError(f"a thing has {_THINGS}THING_TOKEN, its own")
        stream = await self._streams.of_thing(self._token, address=None)
        return Opened(stream, own, None)


def _named(name: str | None, prefix: str) -> str | None:
    """Return what follows the prefix, if it is one name."""
    if name is None or not name.startswith(prefix):
        return None
    rest = name.removeprefix(prefix)
    return rest if rest and "/" not in rest else None
