"""`GET|HEAD …/firmwares/download/ID`: the bytes of an image, whole or in ranges."""

from functools import partial

from thingstead.features.firmware.model import Firmware
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.versions import is_same
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.kernel.ids import FirmwareId
from thingstead.transports.http.answers import Answer
from thingstead.transports.http.images import image_answer, not_modified
from thingstead.transports.http.long_answers import LongAnswer
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route
from thingstead.transports.http.v2.firmware import ARDUINO_PREFIXES, FIRMWARES, text_of


class Downloads:
    """Gives images to things."""

    def __init__(self, things: Things, offers: Offers) -> None:
        self._things = things
        self._offers = offers

    def routes(self) -> list[Route]:
        """Return the route."""
        return [
            Route(
                "GET",
                f"{FIRMWARES}/download/{{firmware_id}}",
                "The bytes of an image that is offered to the thing, whole or in ranges",
                self.download,
                statuses=(200, 206, 304, 404, 412, 416, 429, 503, 507),
                media_type="application/octet-stream",
                answer_example="the image",
                access=Access.THING_TOKEN,
            )
        ]

    async def download(self, request: Request) -> Answer | LongAnswer:
        """Answer the image, or as much of it as the request asks for."""
        thing = await self._thing(request)
        firmware = await self._offers.find(thing, FirmwareId(request.arguments["firmware_id"]))
        if _runs_already(request, firmware):
            return not_modified(firmware)
        return self.answer(request, thing, firmware)

    def answer(self, request: Request, thing: Thing, firmware: Firmware) -> Answer | LongAnswer:
        """Return the answer with an image that the thing may have."""

        async def check() -> None:
            # Meanwhile the image may be revoked, the thing deleted, its token replaced.
            await self._offers.find(await self._thing(request), firmware.id)

        return image_answer(
            request, firmware, partial(self._offers.download, thing, firmware), check=check
        )

    async def _thing(self, request: Request) -> Thing:
        return await self._things.resolve(request.arguments["thing_token"], address=request.address)


def _runs_already(request: Request, firmware: Firmware) -> bool:
    """Return whether an updater of the Arduino world says that it runs just this image."""
    md5 = firmware.digests.md5.hex()
    for prefix in ARDUINO_PREFIXES:
        if (text_of(request, prefix + b"sketch-md5") or "").lower() == md5:
            return True
        version = text_of(request, prefix + b"version")
        if version and is_same(version, firmware.version):
            return True
    return False
