"""What a thing is offered, and what it says about its update (`thethings-v2.md` 3.9)."""

import hashlib

from thingstead.features.firmware.model import Report
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.updates import Updates
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.transports.http.answers import Answer, Header, success
from thingstead.transports.http.bodies import read_json
from thingstead.transports.http.images import PRIVATE
from thingstead.transports.http.preconditions import Outcome, Validators, outcome_of
from thingstead.transports.http.refusals import PreconditionFailedError
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Parameter, Route
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.wire.firmware_in import report_of, status_in
from thingstead.transports.wire.firmware_out import encode_offer

FIRMWARES = "/v2/things/{thing_token}/firmwares"
# The updaters of the Arduino world; see `arduino.py`.
ARDUINO_PREFIXES = (b"x-esp8266-", b"x-esp32-")
_NOTED = success("status noted")
_VERSION = Parameter(
    "version", {"type": "string"}, "The version that runs; or the header X-Firmware-Version."
)
_MCU = Parameter(
    "mcu",
    {"type": "string"},
    "The MCU that is meant, where the product has several; or the header X-Firmware-MCU.",
)
_OFFER_EXAMPLE = {
    "status": "success",
    "firmwares": [
        {
            "_id": "FIRMWARE_ID",
            "version": "1.2.4",
            "mcu": "main",
            "name": "station",
            "filename": "station.bin",
            "size": 1048576,
            "md5": "32 hexadecimal digits",
            "createdAt": "2026-01-31T12:00:00.000Z",
            "sha256": "64 hexadecimal digits",
            "sequence": 1769860800,
            "url": "download/FIRMWARE_ID",
            "mandatory": False,
        }
    ],
    "pollAfter": 900,
}


class FirmwareHandlers:
    """Handles `latest` and `status`."""

    def __init__(self, things: Things, offers: Offers, updates: Updates, limits: V2Limits) -> None:
        self._things = things
        self._offers = offers
        self._updates = updates
        self._limits = limits

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(
                "GET",
                f"{FIRMWARES}/latest",
                "The newest image of each MCU that the thing may have now",
                self.latest,
                statuses=(200, 304, 404, 412, 429, 503, 507),
                parameters=(_VERSION, _MCU),
                answer_example=_OFFER_EXAMPLE,
                access=Access.THING_TOKEN,
            ),
            Route(
                "POST",
                f"{FIRMWARES}/status",
                "Tell how an update goes",
                self.status,
                statuses=(200, 400, 404, 413, 429, 503, 507),
                body_example={"id": "FIRMWARE_ID", "state": "installing", "progress": 40},
                answer_example={"status": "success", "message": "status noted"},
                access=Access.THING_TOKEN,
            ),
        ]

    async def _thing(self, request: Request) -> Thing:
        return await self._things.resolve(request.arguments["thing_token"], address=request.address)

    async def latest(self, request: Request) -> Answer:
        """Answer what is offered; 304 when that is what the thing knows already."""
        offer = await self._offers.latest(await self._thing(request), reported_in(request))
        body = encode_offer(offer)
        etag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode("ascii")
        headers: tuple[Header, ...] = (
            (b"ETag", etag),
            (b"Retry-After", b"%d" % offer.poll_after_s),
        )
        outcome = outcome_of(request, Validators(etag))
        if outcome is Outcome.FAILED:
            raise PreconditionFailedError
        if outcome is Outcome.NOT_MODIFIED:
            return Answer(304, b"", headers, common=PRIVATE)
        return Answer(200, body, headers, common=PRIVATE)

    async def status(self, request: Request) -> Answer:
        """Store what the thing says; answered after that is durable."""
        await self._thing(request)
        limits = self._limits
        body = await read_json(request, limits.document_bytes + limits.slack_bytes)
        firmware_id, status = status_in(body)
        await self._updates.said(await self._thing(request), firmware_id, status)
        return _NOTED


def reported_in(request: Request) -> Report:
    """Return what the request says that runs: in the query, or in headers of any kind."""
    query = request.query
    md5 = None
    version = query.get("version") or text_of(request, b"x-firmware-version")
    for prefix in ARDUINO_PREFIXES:
        md5 = md5 or text_of(request, prefix + b"sketch-md5")
        version = version or text_of(request, prefix + b"version")
    return report_of(version, query.get("mcu") or text_of(request, b"x-firmware-mcu"), md5)


def text_of(request: Request, name: bytes) -> str | None:
    """Return a header as text, None when it is absent; `name` in lower case."""
    value = request.header(name)
    return None if value is None else value.decode("utf-8", "replace").strip()
