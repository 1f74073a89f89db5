"""The firmware calls over CoAP: the same paths and JSON as over HTTP, images in blocks.

Each block of an image is a request of its own, which may have it or not as it is then.
"""

from aiocoap.numbers.codes import Code

from thingstead.features.firmware.model import Firmware
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.updates import Updates
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.kernel.ids import FirmwareId
from thingstead.transports.coap.bodies import read_any
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.messages import Answer, CoAPRequest, LongAnswer, said
from thingstead.transports.coap.routes import Route
from thingstead.transports.wire.firmware_in import report_of, status_in
from thingstead.transports.wire.firmware_out import encode_offer

OCTETS_FORMAT = 42
_ETAG_BYTES = 8
_NOTED = said(Code.CHANGED, "success", "status noted")


class FirmwareHandlers:
    """Handles the calls."""

    def __init__(self, things: Things, offers: Offers, updates: Updates) -> None:
        self._things = things
        self._offers = offers
        self._updates = updates

    async def _thing(self, request: CoAPRequest) -> Thing:
        return await self._things.resolve(request.arguments["thing_token"], address=request.address)

    async def latest(self, request: CoAPRequest) -> Answer:
        """Answer what is offered; nobody in between may keep it."""
        query = request.query
        report = report_of(query.get("version"), query.get("mcu"))
        offer = await self._offers.latest(await self._thing(request), report)
        return Answer(Code.CONTENT, encode_offer(offer), max_age_s=0)

    async def status(self, request: CoAPRequest) -> Answer:
        """Store what the thing says; answered after that is durable."""
        thing = await self._thing(request)
        firmware_id, status = status_in(read_any(request))
        await self._updates.said(thing, firmware_id, status)
        return _NOTED

    async def download(self, request: CoAPRequest) -> LongAnswer:
        """Answer the block of the image that is asked for."""
        thing = await self._thing(request)
        firmware = await self._offers.find(thing, FirmwareId(request.arguments["firmware_id"]))

        async def read(start: int, size: int) -> bytes:
            return await self._read(thing, firmware, start, size)

        etag = firmware.digests.sha256[:_ETAG_BYTES]
        return LongAnswer(firmware.size, etag, read, OCTETS_FORMAT)

    async def _read(self, thing: Thing, firmware: Firmware, start: int, size: int) -> bytes:
        size = min(size, firmware.size - start)
        async with self._offers.download(thing, firmware) as download:
            piece = download.blob.read_now(start, size)
            if piece is None or len(piece) != size:
                piece = await download.blob.read(start, size)
            if len(piece) != size:
                raise StoreUnavailableError("an image is shorter than its row says")
            await download.begun()
            if start + size == firmware.size:
                await download.finished()
        return piece


def firmware_routes(
    things: Things, offers: Offers, updates: Updates, limits: CoAPLimits
) -> list[Route]:
    """Return the routes, to be added to those of `device.py`."""
    do = FirmwareHandlers(things, offers, updates)
    firmwares = "/v2/things/{thing_token}/firmwares"
    return [
        Route(Code.GET, f"{firmwares}/latest", do.latest),
        Route(Code.GET, f"{firmwares}/download/{{firmware_id}}", do.download),
        Route(
            Code.POST, f"{firmwares}/status", do.status, limits.document_bytes + limits.slack_bytes
        ),
    ]
