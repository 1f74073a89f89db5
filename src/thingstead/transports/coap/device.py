"""The calls of the device API: the same paths and JSON as over HTTP (`thethings-v2.md` 5.2).

To serve further paths, such as those of firmware, add their routes to `device_routes`.
"""

from dataclasses import dataclass

from aiocoap.numbers.codes import Code

from thingstead.features.links.model import ByLinkId
from thingstead.features.links.service import Links
from thingstead.features.magic.service import DESCRIPTION, Magic
from thingstead.features.streams.service import Streams
from thingstead.features.tags.service import Tags
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.features.values.model import Window
from thingstead.features.values.service import Values, window_limit
from thingstead.kernel.clock import Clock
from thingstead.kernel.instants import format_instant
from thingstead.transports.coap.bodies import (
    offered_link_id,
    read_any,
    read_object,
    write_decoder,
)
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.messages import (
    LINK_FORMAT,
    Answer,
    CoAPRequest,
    content,
    said,
)
from thingstead.transports.coap.refusals import AnswerTooLargeError, InvalidTargetError
from thingstead.transports.coap.routes import Route
from thingstead.transports.wire.activation_bodies import Activation
from thingstead.transports.wire.tag_bodies import tag_names
from thingstead.transports.wire.values_out import (
    encode,
    encode_reading,
    encode_static,
    reading_items,
)
from thingstead.transports.wire.windows import window_of

_CREATED = said(Code.CREATED, "created", "created")
_UPDATED = said(Code.CHANGED, "success", "updated")
_LEAVE = 1
_UNSUBSCRIBED = said(Code.CONTENT, "success", "unsubscribed")
_UNTAGGED = said(Code.DELETED, "success", "tag deleted")
# What a server offers to who looks for it (RFC 6690); no tokens, of course.
_LINKS = Answer(Code.CONTENT, b"</v2/things>;ct=50,</v2/utils/date>;ct=50", LINK_FORMAT)


@dataclass(frozen=True, slots=True)
class CoAPServices:
    """What the handlers call."""

    things: Things
    values: Values
    magic: Magic
    tags: Tags
    links: Links
    streams: Streams
    clock: Clock


class DeviceHandlers:
    """Handles all calls but observing."""

    def __init__(self, services: CoAPServices, limits: CoAPLimits) -> None:
        self._services = services
        self._limits = limits

    async def _thing(self, request: CoAPRequest) -> Thing:
        return await self._services.things.resolve(
            request.arguments["thing_token"], address=request.address
        )

    async def activate(self, request: CoAPRequest) -> Answer:
        """Make a thing of an activation code."""
        sent = read_object(request, Activation)
        new = await self._services.things.activate(
            sent.activationCode, sent.product_id(), address=request.address
        )
        document = {
            "status": "created",
            "message": "thing activated",
            "thingToken": new.token,
            "thingId": new.thing.id,
        }
        return Answer(Code.CREATED, encode(document))

    async def write(self, request: CoAPRequest) -> Answer:
        """Store values; answered after the durable commit. A link id presents the thing."""
        thing = await self._thing(request)
        link_id = offered_link_id(request)
        if link_id is not None:
            result = await self._services.links.offer(thing, link_id)
            is_linked = result.outcome is ByLinkId.LINKED
            message = "linked" if is_linked else "waiting for the app"
            return said(Code.CHANGED, "success", message)
        is_broadcast = request.query.get("broadcast", "true").lower() not in {"false", "0"}
        await self._services.values.submit_encoded(
            thing, write_decoder(request), is_broadcast=is_broadcast
        )
        return _CREATED

    async def read(self, request: CoAPRequest) -> Answer:
        """Answer a bare array, newest first; one static member for a magic resource."""
        thing = await self._thing(request)
        key = request.arguments["key"]
        if key.startswith("$"):
            document = encode_static(key, await self._services.magic.read(thing, key))
            return Answer(Code.CONTENT, document)
        reading = await self._services.values.read(thing, key, window_of(request.query))
        return Answer(Code.CONTENT, self._bounded(encode_reading(reading)))

    async def list_resources(self, request: CoAPRequest) -> Answer:
        """Answer the names in alphabetical order."""
        keys = await self._services.values.keys(await self._thing(request))
        return content({"status": "success", "resources": keys})

    async def read_all(self, request: CoAPRequest) -> Answer:
        """Answer `[{"key":…,"values":[…]}]`, bounded as a whole."""
        thing = await self._thing(request)
        window = Window(limit=window_limit(request.query.get("limit")))
        parts: list[bytes] = []
        size = 1
        for key in await self._services.values.keys(thing):
            reading = await self._services.values.read(thing, key, window)
            if reading.rows:
                parts.append(encode({"key": key, "values": reading_items(reading)}))
                size += len(parts[-1]) + 1
            self._check_answer(size)
        return Answer(Code.CONTENT, b"[" + b",".join(parts) + b"]")

    async def read_description(self, request: CoAPRequest) -> Answer:
        """Answer an array of one, or an empty one when there is no description."""
        description = await self._services.magic.description(await self._thing(request))
        if description is None:
            return Answer(Code.CONTENT, b"[]")
        return Answer(Code.CONTENT, encode_static(DESCRIPTION, description))

    async def write_description(self, request: CoAPRequest) -> Answer:
        """Replace the whole description."""
        thing = await self._thing(request)
        change = self._services.magic.description_change(read_any(request))
        await self._services.values.submit_change(thing, change)
        return _UPDATED

    async def list_tags(self, request: CoAPRequest) -> Answer:
        """Answer the thing's tags."""
        names = await self._services.tags.of((await self._thing(request)).id)
        return content([{"_id": name, "name": name} for name in names])

    async def add_tags(self, request: CoAPRequest) -> Answer:
        """Add one tag or several; adding one twice is the same as once."""
        thing = await self._thing(request)
        added = await self._services.tags.add(thing.id, tag_names(read_any(request)))
        document = {"status": "created", "message": "tag added", "_id": added[0]}
        return Answer(Code.CREATED, encode(document))

    async def delete_tag(self, request: CoAPRequest) -> Answer:
        """Delete a tag from the thing."""
        thing = await self._thing(request)
        await self._services.tags.delete(thing.id, request.arguments["tag_id"])
        return _UNTAGGED

    async def date(self, request: CoAPRequest) -> Answer:
        """Answer the server's time."""
        wanted = request.query.get("format", "UTC").lower()
        now_ms = self._services.clock.now_ms()
        value: str | int
        if wanted in {"utc", ""}:
            value = format_instant(now_ms)
        elif wanted == "unix_timestamp":
            value = now_ms // 1_000
        else:
            raise InvalidTargetError("format: expected UTC or unix_timestamp")
        return content([{"key": "date", "value": value}])

    async def list_links(self, request: CoAPRequest) -> Answer:  # noqa: ARG002  # A handler's shape.
        """Answer what the server offers."""
        return _LINKS

    async def not_observed(self, request: CoAPRequest) -> Answer:
        """Refuse a plain GET of a thing; an observer that leaves is told so (RFC 7641, 3.6)."""
        await self._thing(request)
        if request.observe == _LEAVE:
            return _UNSUBSCRIBED
        raise InvalidTargetError("a thing is observed: send Observe 0, or 1 to leave")

    def _bounded(self, document: bytes) -> bytes:
        self._check_answer(len(document))
        return document

    def _check_answer(self, size: int) -> None:
        if size > self._limits.answer_bytes:
            raise AnswerTooLargeError(f"more than {self._limits.answer_bytes} bytes")


def device_routes(services: CoAPServices, limits: CoAPLimits) -> list[Route]:
    """Return the whole route table."""
    do = DeviceHandlers(services, limits)
    thing = "/v2/things/{thing_token}"
    document_bytes = limits.document_bytes + limits.slack_bytes
    return [
        Route(Code.POST, "/v2/things", do.activate, limits.activation_bytes),
        # A sample in the field activates with PUT (`thethings-v2.md` 5.2).
        Route(Code.PUT, "/v2/things", do.activate, limits.activation_bytes),
        Route(Code.POST, thing, do.write, limits.upload_bytes),
        Route(Code.PUT, thing, do.write, limits.upload_bytes),
        Route(Code.GET, thing, do.not_observed, is_observable=True),
        Route(Code.GET, f"{thing}/resources", do.list_resources),
        Route(Code.GET, f"{thing}/resources/description", do.read_description),
        Route(Code.PUT, f"{thing}/resources/description", do.write_description, document_bytes),
        Route(Code.GET, f"{thing}/resources/{{key}}", do.read),
        Route(Code.GET, f"{thing}/all_resources", do.read_all),
        Route(Code.GET, f"{thing}/tags", do.list_tags),
        Route(Code.POST, f"{thing}/tags", do.add_tags, limits.document_bytes),
        Route(Code.DELETE, f"{thing}/tags/{{tag_id}}", do.delete_tag),
        Route(Code.GET, "/v2/utils/date", do.date),
        Route(Code.GET, "/.well-known/core", do.list_links),
    ]
