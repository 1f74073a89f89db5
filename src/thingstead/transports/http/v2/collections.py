"""Collections of objects: `/v2/classes/me/COLLECTION` (`thethings-v2.md` 6.10, 10.1).

Objects are kept as the text that goes out, so nothing is encoded twice. The alias that the
original documentation prints, `PUT /v2/things/COLLECTION/PRIMARY_KEY`, takes a session like
all of these, and never a thing token.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing, closing

from thingstead.features.collections.errors import InvalidFilterError
from thingstead.features.collections.etags import etag_of
from thingstead.features.collections.model import ObjectEvent, StoredObject
from thingstead.features.collections.service import Collections
from thingstead.features.live.cursors import CursorKind
from thingstead.features.live.ports import Event
from thingstead.features.streams.service import Streams
from thingstead.features.users.model import Caller
from thingstead.features.values.service import window_limit
from thingstead.kernel.errors import InvalidJSONError
from thingstead.transports.http.answers import Answer, PiecewiseAnswer, json_answer, success
from thingstead.transports.http.bodies import read_json
from thingstead.transports.http.request import Request, Send
from thingstead.transports.http.router import Parameter, Route
from thingstead.transports.http.v2.callers import TICKET_PARAMETER, Callers, Listener
from thingstead.transports.http.v2.conditions import etag_header, if_match
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.http.v2.live_answers import (
    STREAM_PARAMETERS,
    SUBSCRIBE_PARAMETER,
    stream_events,
    stream_query,
)
from thingstead.transports.http.v2.long_lists import LongLists, while_connected
from thingstead.transports.http.v2.pushing import Following
from thingstead.transports.wire.json_bodies import decode_any
from thingstead.transports.wire.objects_out import encode_object_event

_Page = list[StoredObject]

_MOST_OBJECTS = 10_000
_COLLECTION = "/v2/classes/me/{collection}"
_OBJECT = f"{_COLLECTION}/{{primary_key}}"
_EXAMPLE = {"_id": "kitchen", "color": "red"}
_ANY_OBJECT: dict[str, object] = {"type": "object", "additionalProperties": True}
_LIMIT = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": _MOST_OBJECTS},
    "At most so many objects; without it all.",
)
_AFTER = Parameter("after", {"type": "string"}, "Only objects that come after this `_id`.")
_WHERE = Parameter(
    "where",
    {"type": "string"},
    'Only objects equal in these members, as JSON: {"color":"red"}.',
)


class CollectionHandlers:
    """Handles the calls below `/v2/classes/me`."""

    def __init__(
        self, callers: Callers, collections: Collections, streams: Streams, limits: V2Limits
    ) -> None:
        self._callers = callers
        self._collections = collections
        self._streams = streams
        self._limits = limits
        self._long_lists = LongLists()

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self._callers.route
        listing = route(
            "GET",
            _COLLECTION,
            "All objects of the collection, `_id` descending; or its live stream",
            self.list_objects,
            stream=self.stream,
            statuses=(200, 400, 401, 429, 503),
            parameters=(
                _LIMIT,
                _AFTER,
                _WHERE,
                SUBSCRIBE_PARAMETER,
                *STREAM_PARAMETERS,
                TICKET_PARAMETER,
            ),
            answer_example=[_EXAMPLE],
        )
        updates = [
            route(
                "PUT",
                pattern,
                summary,
                self.update,
                statuses=(200, 400, 401, 403, 404, 412, 413, 429, 503, 507),
                reads_body=self._body_bytes,
                body_schema=_ANY_OBJECT,
                body_example={"color": "blue"},
                answer_example={"status": "success", "message": "updated"},
            )
            for pattern, summary in (
                (_OBJECT, "Set the members sent and keep the others"),
                (
                    "/v2/things/{collection}/{primary_key}",
                    "The same, as the original documentation prints it; takes a session",
                ),
            )
        ]
        return [
            route(
                "GET",
                "/v2/classes/me",
                "Names of the user's collections",
                self.names,
                statuses=(200, 401, 429),
                answer_example=["rooms"],
            ),
            listing,
            route(
                "POST",
                _COLLECTION,
                "Store an object; `_id` is made up when absent",
                self.create,
                statuses=(201, 400, 401, 403, 413, 429, 503, 507),
                reads_body=self._body_bytes,
                body_schema=_ANY_OBJECT,
                body_example=_EXAMPLE,
                answer_example={"status": "created", "message": "created", "_id": "kitchen"},
            ),
            route(
                "GET",
                _OBJECT,
                "One object, with an ETag",
                self.read,
                statuses=(200, 400, 401, 404, 429, 503),
                answer_example=_EXAMPLE,
            ),
            *updates,
            route(
                "DELETE",
                _OBJECT,
                "Delete an object",
                self.delete,
                statuses=(200, 400, 401, 404, 412, 429, 503, 507),
                answer_example={"status": "success", "message": "deleted"},
            ),
        ]

    async def names(self, _request: Request, caller: Caller) -> Answer:
        """Answer the names in alphabetical order."""
        return json_answer(await self._collections.names(caller.user.id))

    async def create(self, request: Request, caller: Caller) -> Answer:
        """Store an object."""
        value = await read_json(request, self._body_bytes)
        name = request.arguments["collection"]
        stored = await self._collections.create(caller.user.id, name, value)
        answer = json_answer({"status": "created", "message": "created", "_id": stored.id}, 201)
        return _tagged(answer, stored)

    async def read(self, request: Request, caller: Caller) -> Answer:
        """Answer the object itself."""
        stored = await self._collections.get(caller.user.id, *_place(request))
        return _tagged(Answer(200, stored.text.encode("utf-8")), stored)

    async def update(self, request: Request, caller: Caller) -> Answer:
        """Merge the members sent into the object."""
        members = await read_json(request, self._body_bytes)
        stored = await self._collections.merge(
            caller.user.id, *_place(request), members, etag=if_match(request)
        )
        return _tagged(success("updated"), stored)

    async def delete(self, request: Request, caller: Caller) -> Answer:
        """Delete the object."""
        await self._collections.delete(caller.user.id, *_place(request), etag=if_match(request))
        return success("deleted")

    async def list_objects(self, request: Request, caller: Caller) -> Answer | PiecewiseAnswer:
        """Answer a bare array: whole where it is small, otherwise while it is read."""
        limit = request.query.get("limit")
        where = _where(request.query.get("where"))
        pages = self._collections.all(
            caller.user.id,
            request.arguments["collection"],
            where=where,
            after=request.query.get("after"),
            limit=None if limit is None else window_limit(limit, most=_MOST_OBJECTS),
        )
        # What fits into one page goes out in one piece: old clients parse each piece alone.
        if where:
            # All objects may be looked at before the first match is found.
            with self._long_lists.one_of(caller.user.id):
                first, second = await while_connected(request, _first_two(pages))
        else:
            first, second = await _first_two(pages)
        if second is None:
            return Answer(200, b"[" + _joined(first) + b"]")
        return PiecewiseAnswer(self._array(caller, first, second, pages))

    async def _array(
        self, caller: Caller, first: _Page, second: _Page, rest: AsyncGenerator[_Page, None]
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(rest):
            # Refused before the first piece, so it still is an answer.
            with self._long_lists.one_of(caller.user.id):
                yield b"[" + _joined(first)
                yield b"," + _joined(second)
                async for page in rest:
                    yield b"," + _joined(page)
                yield b"]"

    async def stream(self, request: Request, send: Send, listener: Listener) -> None:
        """Stream a document at each change of the collection."""
        query = stream_query(request, CursorKind.OBJECTS)
        name = request.arguments["collection"]
        with closing(self._streams.of_collection(*listener, name)) as stream:
            await stream_events(send, Following(stream, "object", _document), query)

    @property
    def _body_bytes(self) -> int:
        return self._limits.object_bytes + self._limits.slack_bytes


def _place(request: Request) -> tuple[str, str]:
    return request.arguments["collection"], request.arguments["primary_key"]


def _tagged(answer: Answer, stored: StoredObject) -> Answer:
    return Answer(answer.status, answer.body, (etag_header(etag_of(stored)),))


def _where(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        wanted = decode_any(text.encode("utf-8"))
    except InvalidJSONError as exc:
        raise InvalidFilterError(f"where: {exc.detail}") from exc
    if not isinstance(wanted, dict):
        raise InvalidFilterError("where: expected a JSON object")
    return wanted


async def _first_two(pages: AsyncGenerator[_Page, None]) -> tuple[_Page, _Page | None]:
    nothing: _Page = []
    return await anext(pages, nothing), await anext(pages, None)


def _joined(page: _Page) -> bytes:
    return ",".join([stored.text for stored in page]).encode("utf-8")


def _document(event: Event) -> bytes:
    return encode_object_event(event) if isinstance(event, ObjectEvent) else b""
