"""Resources as app users see them: `/v2/me/resources` (`thethings-v2.md` 6.6 and 6.7).

`description` and `publicDescription` are addresses of their own, never timelines. Where a path
names a thing, its token does as well as its id: the Android sample sends it there.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, closing

from thingstead.features.live.cursors import CursorKind
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Event
from thingstead.features.magic.service import DESCRIPTION
from thingstead.features.sharing.following import entries_of
from thingstead.features.sharing.resources import UserResources
from thingstead.features.streams.service import Streams
from thingstead.features.users.model import Caller
from thingstead.kernel.ids import ThingId
from thingstead.transports.http.answers import (
    Answer,
    PiecewiseAnswer,
    created,
    json_answer,
    success,
)
from thingstead.transports.http.bodies import read_json
from thingstead.transports.http.request import Request, Send
from thingstead.transports.http.router import Route
from thingstead.transports.http.v2.arrays import array_answer
from thingstead.transports.http.v2.callers import TICKET_PARAMETER, Callers, Listener
from thingstead.transports.http.v2.conditions import etag_header, if_match
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.http.v2.live_answers import (
    STREAM_PARAMETERS,
    SUBSCRIBE_PARAMETER,
    stream_events,
    stream_query,
)
from thingstead.transports.http.v2.pushing import Following
from thingstead.transports.http.v2.windows import WINDOW_PARAMETERS, window_of
from thingstead.transports.wire.values_out import (
    encode_reading,
    encode_users_documents,
    encode_users_entries,
    encode_users_rows,
    users_documents,
)

_RESOURCES = "/v2/me/resources"
_ONE = f"{_RESOURCES}/{{resource}}"
_OF_THING = f"{_ONE}/{{thing_id}}"
_DESCRIPTIONS = f"{_RESOURCES}/{DESCRIPTION}"
_PUBLIC = "publicDescription"
_VALUE = {"datetime": "2026-01-31T12:00:00.000Z", "key": "temperature", "value": 21.5}
_DESCRIBED = [{"thingId": "43 characters", "key": DESCRIPTION, "value": {"name": "Kitchen"}}]
_READ = (200, 400, 401, 404, 429, 503)
_WRITTEN = (400, 401, 403, 404, 413, 429, 503, 507)


class ResourceHandlers:
    """Handles the calls below `/v2/me/resources`."""

    def __init__(
        self, callers: Callers, resources: UserResources, streams: Streams, limits: V2Limits
    ) -> None:
        self._callers = callers
        self._resources = resources
        self._streams = streams
        self._limits = limits

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [*self._value_routes(), *self._description_routes()]

    def _value_routes(self) -> list[Route]:
        route = self._callers.route
        return [
            route(
                "GET",
                _RESOURCES,
                "The user's resources and the things of each",
                self.list_resources,
                statuses=(200, 401, 413, 429, 503),
                answer_example=[{"name": "temperature", "things": ["43 characters"]}],
            ),
            route(
                "GET",
                _ONE,
                "Values of a resource over all the user's things, newest first; or its live stream",
                self.read_all,
                stream=self.stream,
                statuses=_READ,
                parameters=(
                    *WINDOW_PARAMETERS,
                    SUBSCRIBE_PARAMETER,
                    *STREAM_PARAMETERS,
                    TICKET_PARAMETER,
                ),
                answer_example=[{"thingId": "43 characters", **_VALUE}],
            ),
            route(
                "GET",
                _OF_THING,
                "Values of one thing's resource, newest first",
                self.read,
                statuses=_READ,
                parameters=WINDOW_PARAMETERS,
                answer_example=[_VALUE],
            ),
            route(
                "POST",
                _OF_THING,
                "Write values of one thing's resource",
                self.write,
                statuses=(201, *_WRITTEN),
                reads_body=self._limits.write_bytes,
                body_example={"values": [{"value": 25}]},
                answer_example={"status": "created", "message": "created"},
            ),
            route(
                "DELETE",
                _OF_THING,
                "Delete a range of values of one's own thing, from startDate until before endDate",
                self.delete,
                statuses=(*_READ, 507),
                parameters=WINDOW_PARAMETERS[1:],
                answer_example={"status": "success", "message": "deleted", "deleted": 10},
            ),
        ]

    def _description_routes(self) -> list[Route]:
        route = self._callers.route
        public = f"{_RESOURCES}/{_PUBLIC}"
        return [
            route(
                "GET",
                _DESCRIPTIONS,
                "Descriptions of the user's things",
                self.list_descriptions,
                statuses=(200, 401, 429, 503),
                answer_example=_DESCRIBED,
            ),
            route(
                "GET",
                f"{_DESCRIPTIONS}/{{thing_id}}",
                "Description of one thing, with an ETag",
                self.read_description,
                statuses=_READ,
                answer_example=_DESCRIBED,
            ),
            route(
                "PUT",
                f"{_DESCRIPTIONS}/{{thing_id}}",
                "Replace the description of one thing",
                self.write_description,
                statuses=(200, 412, *_WRITTEN),
                reads_body=self._limits.document_bytes + self._limits.slack_bytes,
                body_schema={"type": "object", "additionalProperties": True},
                body_example={"name": "Kitchen"},
                answer_example={"status": "success", "message": "updated"},
            ),
            route(
                "GET",
                public,
                "Descriptions of all things of which the user has any right",
                self.list_public_descriptions,
                statuses=(200, 401, 429, 503),
                answer_example=_DESCRIBED,
            ),
            route(
                "GET",
                f"{public}/{{thing_id}}",
                "Description of one thing, for whoever has any right on it",
                self.read_public_description,
                statuses=_READ,
                answer_example=_DESCRIBED,
            ),
        ]

    async def list_resources(self, _request: Request, caller: Caller) -> Answer:
        """Answer `[{"name":…,"things":[…]}]`, names in alphabetical order."""
        found = await self._resources.resources(caller)
        return json_answer([{"name": name, "things": things} for name, things in found])

    async def read_all(self, request: Request, caller: Caller) -> Answer:
        """Answer values of all things; `limit` counts over all of them together."""
        resource = request.arguments["resource"]
        window = window_of(request.query)
        rows = await self._resources.read_all(caller, resource, window)
        return Answer(200, encode_users_rows(resource, rows))

    async def read(self, request: Request, caller: Caller) -> Answer:
        """Answer values of one thing, as the thing itself would be answered."""
        reading = await self._resources.read(caller, *_place(request), window_of(request.query))
        return Answer(200, encode_reading(reading))

    async def write(self, request: Request, caller: Caller) -> Answer:
        """Store values; the answer is sent after the durable commit."""
        body = await read_json(request, self._limits.write_bytes)
        await self._resources.write(caller, *_place(request), body)
        return created("created")

    async def delete(self, request: Request, caller: Caller) -> Answer:
        """Delete a range of values for good."""
        window = window_of(request.query)
        deleted = await self._resources.delete_values(
            caller, *_place(request), from_ms=window.from_ms, until_ms=window.until_ms
        )
        return json_answer({"status": "success", "message": "deleted", "deleted": deleted})

    async def list_descriptions(
        self, _request: Request, caller: Caller
    ) -> Answer | PiecewiseAnswer:
        """Answer an array with a member for each thing that has a description."""
        return await array_answer(
            _documents(DESCRIPTION, self._resources.description_pages(caller))
        )

    async def read_description(self, request: Request, caller: Caller) -> Answer:
        """Answer an array of one, or an empty one when there is no description."""
        described = await self._resources.description(caller, request.arguments["thing_id"])
        documents = [] if described.document is None else [(described.thing_id, described.document)]
        body = encode_users_documents(DESCRIPTION, documents)
        return Answer(200, body, (etag_header(described.etag),))

    async def write_description(self, request: Request, caller: Caller) -> Answer:
        """Replace the whole description, if it is still the one that If-Match names."""
        limit = self._limits.document_bytes + self._limits.slack_bytes
        document = await read_json(request, limit)
        etag = await self._resources.replace_description(
            caller, request.arguments["thing_id"], document, etag=if_match(request)
        )
        answer = success("updated")
        return Answer(answer.status, answer.body, (etag_header(etag),))

    async def list_public_descriptions(
        self, _request: Request, caller: Caller
    ) -> Answer | PiecewiseAnswer:
        """Answer descriptions of everything that the user reaches."""
        return await array_answer(
            _documents(_PUBLIC, self._resources.public_description_pages(caller))
        )

    async def read_public_description(self, request: Request, caller: Caller) -> Answer:
        """Answer an array of one, or an empty one when there is no description."""
        described = await self._resources.public_description(caller, request.arguments["thing_id"])
        documents = [] if described.document is None else [(described.thing_id, described.document)]
        return Answer(200, encode_users_documents(_PUBLIC, documents))

    async def stream(self, request: Request, send: Send, listener: Listener) -> None:
        """Stream a resource of all the user's things; links and grants are followed."""
        query = stream_query(request, CursorKind.VALUES)
        resource = request.arguments["resource"]

        def document(event: Event) -> bytes:
            entries = entries_of(event, resource) if isinstance(event, LiveEvent) else ()
            return encode_users_entries(event.topic, entries) if entries else b""

        with closing(await self._streams.of_resource(*listener, resource)) as stream:
            # What one user hears of a resource in an event, others hear too.
            following = Following(stream, f"resource/{resource}", document)
            await stream_events(send, following, query)


def _place(request: Request) -> tuple[str, str]:
    return request.arguments["resource"], request.arguments["thing_id"]


async def _documents(
    key: str, pages: AsyncGenerator[Sequence[tuple[ThingId, object]], None]
) -> AsyncGenerator[list[object], None]:
    async with aclosing(pages):
        async for page in pages:
            yield users_documents(key, page)
