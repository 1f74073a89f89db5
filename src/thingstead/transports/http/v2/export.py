"""`GET /v2/me/export`: everything that is a user's, as one JSON document.

Made while it is sent, page by page, so that years of values need no memory. What changes
meanwhile may be in it or not; every value that stays as it is, is there once.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from thingstead.features.apps.model import App
from thingstead.features.collections.service import Collections
from thingstead.features.links.model import LinkedThing
from thingstead.features.links.service import Links
from thingstead.features.sharing.service import Sharing
from thingstead.features.users.model import Caller
from thingstead.features.users.user_settings import UserSettings
from thingstead.features.values.model import ArchivedValue, Mark, Source
from thingstead.features.values.ports import ValueArchive
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import TooManyRequestsError
from thingstead.kernel.ids import UserId
from thingstead.kernel.instants import format_instant
from thingstead.transports.http.answers import PiecewiseAnswer
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Route
from thingstead.transports.http.v2.callers import Callers
from thingstead.transports.http.v2.sharing import grant_document
from thingstead.transports.http.v2.users import user_document
from thingstead.transports.wire.values_out import encode, instant

_VALUES_A_PAGE = 1_000
_DESCRIPTION = "description"
_RETRY_S = 30


@dataclass(frozen=True, slots=True)
class Exported:
    """Where what is exported comes from."""

    settings: UserSettings
    links: Links
    sharing: Sharing
    collections: Collections
    archive: ValueArchive


class ExportHandlers:
    """Handles exports, one at a time for each user."""

    def __init__(self, callers: Callers, exported: Exported, clock: Clock) -> None:
        self._callers = callers
        self._exported = exported
        self._clock = clock
        self._under_way: set[UserId] = set()

    def routes(self) -> list[Route]:
        """Return the route."""
        return [
            self._callers.route(
                "GET",
                "/v2/me/export",
                "Everything that is the user's: settings, things with their values, collections",
                self.export,
                statuses=(200, 401, 429, 503),
                answer_example={
                    "exportedAt": "2026-01-31T12:00:00.000Z",
                    "user": {"_id": "USER_ID", "email": "ada@example.org"},
                    "settings": {},
                    "things": [],
                    "collections": {},
                    "grants": {"given": [], "received": []},
                },
            )
        ]

    async def export(self, request: Request, caller: Caller) -> PiecewiseAnswer:
        """Answer the document; a second export of one user is refused until the first ends."""
        name = b'attachment; filename="thingstead-export.json"'
        pieces = self._while_logged_in(request, self._pieces(caller))
        return PiecewiseAnswer(pieces, ((b"Content-Disposition", name),))

    async def _while_logged_in(
        self, request: Request, pieces: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        """Give the pieces; raises when the session ends, which ends the connection."""
        async with aclosing(pieces):
            async for piece in pieces:
                # Who reads slowly must not be sent what is written after the session's end.
                await self._callers.again(request)
                yield piece

    async def _pieces(self, caller: Caller) -> AsyncGenerator[bytes, None]:
        if caller.user.id in self._under_way:
            raise TooManyRequestsError("one export of a user at a time", retry_after_s=_RETRY_S)
        self._under_way.add(caller.user.id)
        try:
            exported = self._exported
            head = {
                "exportedAt": format_instant(self._clock.now_ms()),
                "user": user_document(caller.user),
                "settings": await exported.settings.of(caller),
                "grants": {
                    "given": [grant_document(one) for one in await exported.sharing.given(caller)],
                    "received": [
                        grant_document(one) for one in await exported.sharing.received(caller)
                    ],
                },
            }
            yield encode(head)[:-1] + b',"things":['
            async for piece in self._things(caller):
                yield piece
            yield b'],"collections":{'
            async for piece in self._collections(caller):
                yield piece
            yield b"}}"
        finally:
            self._under_way.discard(caller.user.id)

    async def _things(self, caller: Caller) -> AsyncIterator[bytes]:
        for index, linked in enumerate(await self._exported.links.linked(caller)):
            if index:
                yield b","
            async for piece in self._thing(linked, caller.app):
                yield piece

    async def _thing(self, linked: LinkedThing, app: App) -> AsyncIterator[bytes]:
        archive = self._exported.archive
        source = Source(linked.thing.id, linked.thing.epochs)
        described = await archive.documents_of([source], _DESCRIPTION)
        head = {
            "_id": linked.thing.id,
            "productId": linked.thing.product_id,
            "linkedAt": format_instant(linked.linked_at_ms),
            "description": described[0][1] if described else None,
        }
        yield encode(head)[:-1] + b',"resources":{'
        written = [key for _, found in await archive.keys_of([source]) for key in found]
        keys = list(filter(app.reaches, written))
        for index, key in enumerate(keys):
            yield (b"," if index else b"") + encode(key) + b":["
            async for piece in self._values(source, key):
                yield piece
            yield b"]"
        yield b"}}"

    async def _values(self, source: Source, key: str) -> AsyncIterator[bytes]:
        after: Mark | None = None
        while page := await self._exported.archive.page(
            source, key, after=after, limit=_VALUES_A_PAGE
        ):
            yield (b"" if after is None else b",") + _members(map(_value, page))
            after = page[-1].mark

    async def _collections(self, caller: Caller) -> AsyncIterator[bytes]:
        collections = self._exported.collections
        for index, name in enumerate(await collections.names(caller.user.id)):
            yield (b"," if index else b"") + encode(name) + b":["
            is_first = True
            async for page in collections.all(caller.user.id, name):
                text = ",".join([stored.text for stored in page]).encode("utf-8")
                yield text if is_first else b"," + text
                is_first = False
            yield b"]"


def _members(items: Iterable[object]) -> bytes:
    """Return the items as JSON, without the brackets around them."""
    return encode(list(items))[1:-1]


def _value(archived: ArchivedValue) -> dict[str, object]:
    shown = {"datetime": instant(archived.mark.at_ms), "value": archived.value}
    if archived.position is not None:
        shown["geo"] = {"lat": archived.position.lat, "long": archived.position.long}
    return shown
