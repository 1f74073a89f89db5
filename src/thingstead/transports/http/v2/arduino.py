"""`GET …/firmwares/update`: what the updaters of the Arduino world speak.

`ESP8266httpUpdate` (esp8266/Arduino) and `HTTPUpdate` (espressif/arduino-esp32) ask one address
and take 200 with the whole image, 304 for nothing new, 403 and 404 as failures. They send
`x-ESP8266-` or `x-ESP32-` followed by `version`, `sketch-md5`, `free-space`, `mode` and others,
compare the image with `x-MD5`, in lower case, and need a Content-Length.
"""

from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.errors import FirmwareNotFoundError
from thingstead.features.firmware.model import Firmware, Report
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.status import Execution, Result, Status
from thingstead.features.firmware.updates import Updates
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.kernel.ids import ProductId
from thingstead.transports.http.answers import Answer
from thingstead.transports.http.images import PRIVATE
from thingstead.transports.http.long_answers import LongAnswer
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Parameter, Route
from thingstead.transports.http.v2.downloads import Downloads
from thingstead.transports.http.v2.firmware import (
    ARDUINO_PREFIXES,
    FIRMWARES,
    reported_in,
    text_of,
)

_MCU = Parameter(
    "mcu",
    {"type": "string"},
    "The MCU that is meant. Without it: the product's only one, else esp8266 or esp32, by the"
    " names of the headers.",
)
_SKETCH = "sketch"
# An image of a file system must never be flashed as a program, nor the other way round.
_FILE_SYSTEM_SUFFIX = "-spiffs"
_MOST_DIGITS = 15


class ArduinoUpdates:
    """Handles the call."""

    def __init__(
        self,
        things: Things,
        offers: Offers,
        updates: Updates,
        catalogues: Catalogues,
        downloads: Downloads,
    ) -> None:
        self._things = things
        self._offers = offers
        self._updates = updates
        self._catalogues = catalogues
        self._downloads = downloads

    def routes(self) -> list[Route]:
        """Return the route."""
        return [
            Route(
                "GET",
                f"{FIRMWARES}/update",
                "The newest image, for the updaters of the Arduino world; 304 without a newer one",
                self.update,
                statuses=(200, 206, 304, 404, 412, 416, 429, 503, 507),
                parameters=(_MCU,),
                media_type="application/octet-stream",
                answer_example="the image",
                access=Access.THING_TOKEN,
            )
        ]

    async def update(self, request: Request) -> Answer | LongAnswer:
        """Answer the image that the thing shall flash now, if there is one."""
        thing = await self._things.resolve(
            request.arguments["thing_token"], address=request.address
        )
        mcu = await self._mcu(request, thing.product_id)
        reported = reported_in(request)
        is_sketch = _said(request, b"mode") in {None, _SKETCH}
        # In the other mode the digest is still that of the program.
        md5 = reported.md5 if is_sketch else None
        offer = await self._offers.latest(thing, Report(mcu, reported.version, md5))
        firmware = next((each for each in offer.firmwares if each.mcu == mcu), None)
        if firmware is None or not await self._fits(request, thing, firmware):
            pace = (b"Retry-After", b"%d" % offer.poll_after_s)
            return Answer(304, b"", (pace,), common=PRIVATE)
        return self._downloads.answer(request, thing, firmware)

    async def _mcu(self, request: Request, product_id: ProductId) -> str:
        """Return the MCU that the request means.

        Raises:
            FirmwareNotFoundError: nobody can tell which.
        """
        named = request.query.get("mcu")
        if named:
            return named
        catalogue = self._catalogues.known(product_id) or await self._catalogues.of(product_id)
        is_sketch = _said(request, b"mode") in {None, _SKETCH}
        known = {each.mcu for each in catalogue.firmwares}
        programs = {mcu for mcu in known if not mcu.endswith(_FILE_SYSTEM_SUFFIX)}
        mcu = _family(request)
        if len(programs) == 1:
            mcu = next(iter(programs))
        elif programs and mcu not in programs:
            raise FirmwareNotFoundError
        return mcu if is_sketch else mcu + _FILE_SYSTEM_SUFFIX

    async def _fits(self, request: Request, thing: Thing, firmware: Firmware) -> bool:
        """Return whether there is room for the image; if not, the thing's timeline tells."""
        free = _said(request, b"free-space")
        if free is None or not free.isdecimal() or len(free) > _MOST_DIGITS:
            return True
        if firmware.size <= int(free):
            return True
        why = f"the image has {firmware.size} bytes, free are {int(free)}"
        await self._updates.said(thing, firmware.id, _failed(why))
        return False


def _failed(why: str) -> Status:
    return Status(Execution.CLOSED, Result.FAILURE, details=why)


def _family(request: Request) -> str:
    for prefix in ARDUINO_PREFIXES:
        if _said_with(request, prefix, b"mode") or _said_with(request, prefix, b"free-space"):
            return prefix[2:-1].decode("ascii")
    return ""


def _said(request: Request, name: bytes) -> str | None:
    """Return what the updater says under that name, whichever family it is of."""
    for prefix in ARDUINO_PREFIXES:
        value = _said_with(request, prefix, name)
        if value:
            return value
    return None


def _said_with(request: Request, prefix: bytes, name: bytes) -> str | None:
    return text_of(request, prefix + name)
