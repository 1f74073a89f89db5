"""The addresses that providers call: `/http`, `/sgfx` and `/lora` (`thethings-v2.md` 5.5, 5.6).

The path names a product and holds its hash, which is a secret and never logged. The answer is
sent after the durable commit. Whoever sends the same message with the same time again has it
stored once, so that a provider may try as often as it likes.
"""

from collections.abc import Callable

from thingstead.features.devices.decoding import Decoder
from thingstead.features.devices.model import DeviceProduct
from thingstead.features.devices.service import Devices
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.features.values.model import IncomingWrite
from thingstead.features.values.service import Values
from thingstead.kernel.errors import InvalidBodyError
from thingstead.transports.http.answers import Answer, json_answer
from thingstead.transports.http.bodies import read_json_or_form
from thingstead.transports.http.callbacks.http import http_message
from thingstead.transports.http.callbacks.lora import lora_message
from thingstead.transports.http.callbacks.mapping import (
    THING_TOKEN,
    Callback,
    Members,
    Message,
)
from thingstead.transports.http.callbacks.sigfox import sigfox_geo_message, sigfox_message
from thingstead.transports.http.refusals import MethodNotAllowedError
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Handler, Parameter, Route

_CREATED = json_answer({"status": "created"}, 201)
_SUCCESS = json_answer({"status": "success"})
_STATUSES = (200, 201, 400, 403, 404, 413, 429, 503, 507)
_RESERVED = ("idname", "fname", THING_TOKEN)
_TEXT: dict[str, object] = {"type": "string"}
_PARAMETERS = (
    Parameter("idname", _TEXT, "Dotted path of the member that holds the device's id."),
    Parameter(THING_TOKEN, _TEXT, "The thing's token, where no device id is used."),
    Parameter("fname", _TEXT, "Accepted and ignored."),
)
_HTTP = {"thingToken": "43 characters", "temperature": 21.5}
_SIGFOX = {"id": "4D9F7C", "data": "171318", "time": 1769860800, "rssi": -121.0, "seqNumber": 7}
_LORA = {
    "end_device_ids": {"device_id": "roof-1"},
    "received_at": "2026-01-31T12:00:00.123456789Z",
    "uplink_message": {"f_port": 1, "frm_payload": "FxMY"},
}

Read = Callable[[Callback, Decoder | None], Message | None]


class CallbackHandlers:
    """Handles what providers call."""

    def __init__(
        self, devices: Devices, things: Things, values: Values, *, max_body_bytes: int
    ) -> None:
        self._devices = devices
        self._things = things
        self._values = values
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        """Return the routes: each address takes GET, with a query, and POST, with a body too."""
        return [
            *self._pair("/http", "A message as a JSON object or a form", http_message, _HTTP),
            *self._pair("/sgfx", "A Sigfox data callback", sigfox_message, _SIGFOX),
            *self._pair(
                "/sgfx/geo",
                "A Sigfox geolocation callback",
                sigfox_geo_message,
                {"id": "4D9F7C", "lat": 41.39, "lng": 2.15, "radius": 1500},
            ),
            *self._pair("/lora", "A webhook of a LoRaWAN network", lora_message, _LORA),
        ]

    def _pair(self, prefix: str, summary: str, read: Read, example: object) -> list[Route]:
        return [
            Route(
                method,
                f"{prefix}/{{product_id}}/{{product_hash}}",
                summary,
                self._handler(read),
                statuses=_STATUSES,
                parameters=_PARAMETERS,
                body_example=example if method == "POST" else None,
                answer_example={"status": "created"},
                access=Access.PRODUCT_HASH,
            )
            for method in ("GET", "POST")
        ]

    def _handler(self, read: Read) -> Handler:
        async def handle(request: Request) -> Answer:
            return await self._handle(request, read)

        return handle

    async def _handle(self, request: Request, read: Read) -> Answer:
        if request.method == "HEAD":
            # Nothing may be stored by what only looks (RFC 9110 section 9.3.2).
            raise MethodNotAllowedError("GET, POST, OPTIONS")
        await self._product(request)
        callback = await _callback(request, self._max_body_bytes)
        # A body may take long to arrive, and the hash may be another one by then.
        product = await self._product(request)
        message = read(callback, product.decoder)
        if message is None:
            return _SUCCESS
        thing = await self._thing(message, product, request.address)
        if not message.values:
            return _SUCCESS
        await self._values.submit(thing, IncomingWrite(message.values))
        return _CREATED

    async def _product(self, request: Request) -> DeviceProduct:
        arguments = request.arguments
        return await self._devices.product(
            arguments["product_id"], arguments["product_hash"], address=request.address
        )

    async def _thing(self, message: Message, product: DeviceProduct, address: str) -> Thing:
        if message.thing_token is None:
            return await self._devices.thing(product, message.device_id or "")
        thing = await self._things.resolve(message.thing_token, address=address)
        if thing.product_id != product.product.id:
            # The hash of one product is no right to write to the things of another.
            raise ThingNotFoundError
        return thing


async def _callback(request: Request, max_bytes: int) -> Callback:
    body = await read_json_or_form(request, max_bytes)
    if not isinstance(body, dict):
        raise InvalidBodyError("expected an object")
    query = request.query
    members: Members = {name: query[name] for name in query if name not in _RESERVED}
    members |= body
    token = query.get(THING_TOKEN) or members.get(THING_TOKEN)
    members.pop(THING_TOKEN, None)
    return Callback(members, query.get("idname"), token if isinstance(token, str) else None)
