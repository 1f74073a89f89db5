"""Writing values and reading them back (`thethings-v2.md` 3.2 to 3.6 and 4)."""

from thingstead.features.links.service import Links
from thingstead.features.magic.service import DESCRIPTION, Magic
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.features.values.model import Reading, Window
from thingstead.features.values.service import Values, window_limit
from thingstead.transports.http.answers import Answer, created, json_answer, success
from thingstead.transports.http.bodies import read_json, read_write
from thingstead.transports.http.refusals import ResponseTooLargeError
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Parameter, Route
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.http.v2.link_ids import answer_offer, offered_link_id
from thingstead.transports.http.v2.windows import LIMIT_PARAMETER, WINDOW_PARAMETERS, window_of
from thingstead.transports.wire.values_out import (
    encode,
    encode_reading,
    encode_static,
    reading_items,
)

_CREATED = created("created")
_BROADCAST = Parameter(
    "broadcast",
    {"type": "boolean", "default": True},
    "false stores the values without telling live subscribers.",
)
_WRITE_EXAMPLE = {
    "values": [
        {
            "key": "temperature",
            "value": 21.5,
            "datetime": "2026-01-31T12:00:00.000Z",
            "geo": {"lat": 41.41, "long": 2.21},
        }
    ]
}
_READ_EXAMPLE = [{"datetime": "2026-01-31T12:00:00.000Z", "key": "temperature", "value": 21.5}]


class ValueHandlers:
    """Handles the calls below `/v2/things/THING_TOKEN` that concern values."""

    def __init__(
        self, things: Things, values: Values, magic: Magic, links: Links, limits: V2Limits
    ) -> None:
        self._things = things
        self._values = values
        self._magic = magic
        self._links = links
        self._limits = limits

    def routes(self) -> list[Route]:
        """Return the routes."""
        thing = "/v2/things/{thing_token}"
        return [
            Route(
                "POST",
                thing,
                "Write values, magic resources among them; all are stored or none",
                self.write,
                statuses=(200, 201, 400, 403, 404, 413, 429, 503, 507),
                parameters=(_BROADCAST,),
                body_example=_WRITE_EXAMPLE,
                answer_example={"status": "created", "message": "created"},
                access=Access.THING_TOKEN,
            ),
            Route(
                "GET",
                f"{thing}/resources",
                "Names of the resources that the thing has written",
                self.list_resources,
                statuses=(200, 404),
                answer_example={"status": "success", "resources": ["humidity", "temperature"]},
                access=Access.THING_TOKEN,
            ),
            Route(
                "GET",
                f"{thing}/resources/{{key}}",
                "Values of one resource, newest first, or a magic resource",
                self.read,
                statuses=(200, 400, 404),
                parameters=WINDOW_PARAMETERS,
                answer_example=_READ_EXAMPLE,
                access=Access.THING_TOKEN,
            ),
            Route(
                "GET",
                f"{thing}/all_resources",
                "Newest values of every resource",
                self.read_all,
                statuses=(200, 400, 404, 413),
                parameters=(LIMIT_PARAMETER,),
                answer_example=[{"key": "temperature", "values": _READ_EXAMPLE}],
                access=Access.THING_TOKEN,
            ),
            Route(
                "GET",
                f"{thing}/resources/description",
                "The thing's description",
                self.read_description,
                statuses=(200, 404),
                answer_example=[{"key": "description", "value": {"name": "Greenhouse"}}],
                access=Access.THING_TOKEN,
            ),
            Route(
                "PUT",
                f"{thing}/resources/description",
                "Replace the thing's description",
                self.write_description,
                statuses=(200, 400, 404, 413, 429, 503, 507),
                body_example={"name": "Greenhouse"},
                answer_example={"status": "success", "message": "updated"},
                access=Access.THING_TOKEN,
            ),
        ]

    async def _thing(self, request: Request) -> Thing:
        return await self._things.resolve(request.arguments["thing_token"], address=request.address)

    async def write(self, request: Request) -> Answer:
        """Store values; the answer is sent after the durable commit.

        A body that holds a link id and no values presents the thing to an app's user.
        """
        await self._thing(request)
        is_broadcast = request.query.get("broadcast", "true").lower() not in {"false", "0"}
        decode = await read_write(request, self._limits.write_bytes)
        link_id = await offered_link_id(request, self._limits.write_bytes)
        # A body may take half an hour to arrive, and the thing may be gone by then.
        thing = await self._thing(request)
        if link_id is not None:
            return answer_offer(await self._links.offer(thing, link_id))
        await self._values.submit_encoded(thing, decode, is_broadcast=is_broadcast)
        return _CREATED

    async def read(self, request: Request) -> Answer:
        """Answer a bare array, newest first; one static member for a magic resource."""
        thing = await self._thing(request)
        key = request.arguments["key"]
        if key.startswith("$"):
            return Answer(200, encode_static(key, await self._magic.read(thing, key)))
        reading = await self._values.read(thing, key, window_of(request.query))
        return Answer(200, encode_reading(reading))

    async def list_resources(self, request: Request) -> Answer:
        """Answer the names in alphabetical order."""
        thing = await self._thing(request)
        keys = await self._values.keys(thing)
        return json_answer({"status": "success", "resources": keys})

    async def read_all(self, request: Request) -> Answer:
        """Answer `[{"key":…,"values":[…]}]`, bounded as a whole."""
        thing = await self._thing(request)
        window = Window(limit=window_limit(request.query.get("limit")))
        parts: list[bytes] = []
        size = 1
        for key in await self._values.keys(thing):
            reading = await self._values.read(thing, key, window)
            if reading.rows:
                parts.append(_resource(reading))
                size += len(parts[-1]) + 1
            if size > self._limits.answer_bytes:
                raise ResponseTooLargeError(f"more than {self._limits.answer_bytes} bytes")
        return Answer(200, b"[" + b",".join(parts) + b"]")

    async def read_description(self, request: Request) -> Answer:
        """Answer an array of one, or an empty one when there is no description."""
        thing = await self._thing(request)
        description = await self._magic.description(thing)
        if description is None:
            return Answer(200, b"[]")
        return Answer(200, encode_static(DESCRIPTION, description))

    async def write_description(self, request: Request) -> Answer:
        """Replace the whole description."""
        await self._thing(request)
        limit = self._limits.document_bytes + self._limits.slack_bytes
        change = self._magic.description_change(await read_json(request, limit))
        thing = await self._thing(request)
        await self._values.submit_change(thing, change)
        return success("updated")


def _resource(reading: Reading) -> bytes:
    return encode({"key": reading.key, "values": reading_items(reading)})
