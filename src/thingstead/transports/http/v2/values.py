"""Writing values and reading them back (`thethings-v2.md` 3.2 to 3.6 and 4)."""

from thingstead.features.magic.service import DESCRIPTION, Magic
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.features.values.model import Reading, Window
from thingstead.features.values.service import Values, window_limit
from thingstead.kernel.errors import InvalidDateError
from thingstead.kernel.instants import parse_instant
from thingstead.transports.http.answers import Answer, created, json_answer, success
from thingstead.transports.http.bodies import read_json, read_write
from thingstead.transports.http.refusals import ResponseTooLargeError
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Parameter, Route
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.wire.values_out import (
    encode,
    encode_reading,
    encode_static,
    reading_items,
)

_CREATED = created("created")
_LIMIT = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "default": 1},
    "How many values, newest first; more than 100 are treated as 100.",
)
_START = Parameter(
    "startDate",
    {"type": "string"},
    "Only values at or after this time: YYYYMMDDHHmmss or ISO 8601, UTC.",
)
_END = Parameter("endDate", {"type": "string"}, "Only values before this time; same forms.")
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

    def __init__(self, things: Things, values: Values, magic: Magic, limits: V2Limits) -> None:
        self._things = things
        self._values = values
        self._magic = magic
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
                statuses=(201, 400, 404, 413, 429, 503, 507),
                parameters=(_BROADCAST,),
                body_example=_WRITE_EXAMPLE,
                answer_example={"status": "created", "message": "created"},
            ),
            Route(
                "GET",
                f"{thing}/resources",
                "Names of the resources that the thing has written",
                self.list_resources,
                statuses=(200, 404),
                answer_example={"status": "success", "resources": ["humidity", "temperature"]},
            ),
            Route(
                "GET",
                f"{thing}/resources/{{key}}",
                "Values of one resource, newest first, or a magic resource",
                self.read,
                statuses=(200, 400, 404),
                parameters=(_LIMIT, _START, _END),
                answer_example=_READ_EXAMPLE,
            ),
            Route(
                "GET",
                f"{thing}/all_resources",
                "Newest values of every resource",
                self.read_all,
                statuses=(200, 400, 404, 413),
                parameters=(_LIMIT,),
                answer_example=[{"key": "temperature", "values": _READ_EXAMPLE}],
            ),
            Route(
                "GET",
                f"{thing}/resources/description",
                "The thing's description",
                self.read_description,
                statuses=(200, 404),
                answer_example=[{"key": "description", "value": {"name": "Greenhouse"}}],
            ),
            Route(
                "PUT",
                f"{thing}/resources/description",
                "Replace the thing's description",
                self.write_description,
                statuses=(200, 400, 404, 413),
                body_example={"name": "Greenhouse"},
                answer_example={"status": "success", "message": "updated"},
            ),
        ]

    async def _thing(self, request: Request) -> Thing:
        return await self._things.resolve(request.arguments["thing_token"], address=request.address)

    async def write(self, request: Request) -> Answer:
        """Store values; the answer is sent after the durable commit."""
        await self._thing(request)
        is_broadcast = request.query.get("broadcast", "true").lower() not in {"false", "0"}
        decode = await read_write(request, self._limits.write_bytes)
        # A body may take half an hour to arrive, and the thing may be gone by then.
        thing = await self._thing(request)
        await self._values.submit_encoded(thing, decode, is_broadcast=is_broadcast)
        return _CREATED

    async def read(self, request: Request) -> Answer:
        """Answer a bare array, newest first; one static member for a magic resource."""
        thing = await self._thing(request)
        key = request.arguments["key"]
        if key.startswith("$"):
            return Answer(200, encode_static(key, await self._magic.read(thing.id, key)))
        reading = await self._values.read(thing.id, key, _window(request.query))
        return Answer(200, encode_reading(reading))

    async def list_resources(self, request: Request) -> Answer:
        """Answer the names in alphabetical order."""
        thing = await self._thing(request)
        keys = await self._values.keys(thing.id)
        return json_answer({"status": "success", "resources": keys})

    async def read_all(self, request: Request) -> Answer:
        """Answer `[{"key":…,"values":[…]}]`, bounded as a whole."""
        thing = await self._thing(request)
        window = Window(limit=window_limit(request.query.get("limit")))
        parts: list[bytes] = []
        size = 1
        for key in await self._values.keys(thing.id):
            reading = await self._values.read(thing.id, key, window)
            if reading.rows:
                parts.append(_resource(reading))
                size += len(parts[-1]) + 1
            if size > self._limits.answer_bytes:
                raise ResponseTooLargeError(f"more than {self._limits.answer_bytes} bytes")
        return Answer(200, b"[" + b",".join(parts) + b"]")

    async def read_description(self, request: Request) -> Answer:
        """Answer an array of one, or an empty one when there is no description."""
        thing = await self._thing(request)
        description = await self._magic.description(thing.id)
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


def _window(query: dict[str, str]) -> Window:
    if not query:
        return Window()
    return Window(
        limit=window_limit(query.get("limit")),
        from_ms=_instant(query, "startDate"),
        until_ms=_instant(query, "endDate"),
    )


def _instant(query: dict[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        # An unencoded plus sign of a zone offset arrives as a blank.
        return parse_instant(text.replace(" ", "+"))
    except InvalidDateError as exc:
        raise InvalidDateError(f"{name}: {exc.detail}") from exc
