"""hawkBit's API for devices, v1: `/{tenant}/controller/v1/{controllerId}` and what is below it.

Agents poll the first, follow the links that it has, and report to the actions that they found.
Bodies and answers are in `documents.py` and `attributes.py`, what an action is in `actions.py`.
Every handler is given the thing that calls (`auth.py`) and has no other way to one.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.errors import FirmwareNotFoundError, UpdateNotFoundError
from thingstead.features.firmware.model import Firmware
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.status import Status, parse_status
from thingstead.features.firmware.updates import Updates
from thingstead.features.things.service import Things
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import InvalidBodyError
from thingstead.transports.http.answers import Answer
from thingstead.transports.http.bodies import read_json
from thingstead.transports.http.ddi.actions import Actions, Turn
from thingstead.transports.http.ddi.attributes import Attributes, report_of
from thingstead.transports.http.ddi.auth import Controller, Controllers
from thingstead.transports.http.ddi.documents import (
    artifact_document,
    cancel_document,
    confirmation_document,
    deployment_document,
    poll_document,
)
from thingstead.transports.http.ddi.links import MD5_ENDING, Links, artifact_name, base_url
from thingstead.transports.http.images import PRIVATE, content_disposition, image_answer
from thingstead.transports.http.long_answers import LongAnswer
from thingstead.transports.http.preconditions import Outcome, Validators, outcome_of
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Handler, Route
from thingstead.transports.wire.values_out import encode

MAX_FEEDBACK_BYTES = 64 * 1024
MAX_ATTRIBUTES_BYTES = 16 * 1024
_ROOT: Final = "/{tenant}/controller/v1/{controller_id}"
_NUMBER = re.compile(r"[0-9]{1,18}")
_EMPTY = Answer(200, b"", common=PRIVATE)
_POLL_EXAMPLE = poll_document(
    900,
    {"deploymentBase": "https://HOST/DEFAULT/controller/v1/THING_ID/deploymentBase/ACTION"},
)

ControllerHandler = Callable[[Request, Controller], Awaitable[Answer | LongAnswer]]


class DDIHandlers:
    """Serves agents of hawkBit. `public_url` is what links begin with, if it is set."""

    def __init__(
        self,
        things: Things,
        offers: Offers,
        updates: Updates,
        catalogues: Catalogues,
        *,
        clock: Clock,
        public_url: str | None = None,
    ) -> None:
        self._controllers = Controllers(things)
        self._offers = offers
        self._catalogues = catalogues
        self._actions = Actions(offers, updates, Attributes(clock))
        self._public_url = public_url

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [*self._routes_of_agents(), *self._routes_of_actions(), *self._routes_of_files()]

    def _routes_of_agents(self) -> list[Route]:
        return [
            self._route(
                "GET", _ROOT, "hawkBit: what is to be done", self._poll, 304, answer=_POLL_EXAMPLE
            ),
            self._route(
                "PUT",
                f"{_ROOT}/configData",
                "hawkBit: attributes",
                self._configure,
                400,
                413,
                body={"mode": "merge", "data": {"version": "1.2.0"}},
            ),
            self._route(
                "GET",
                f"{_ROOT}/confirmationBase",
                "hawkBit: nothing waits for a confirmation",
                self._confirmation,
                answer=confirmation_document(),
            ),
        ]

    def _routes_of_actions(self) -> list[Route]:
        action = f"{_ROOT}/deploymentBase/{{action_id}}"
        cancel = f"{_ROOT}/cancelAction/{{action_id}}"
        installed = f"{_ROOT}/installedBase/{{action_id}}"
        return [
            self._route("GET", action, "hawkBit: what is to be installed", self._deployment, 404),
            self._feedback(f"{action}/feedback", "how it goes on", self._say),
            self._route("GET", installed, "hawkBit: what was installed", self._installed, 404),
            self._route(
                "GET",
                cancel,
                "hawkBit: what is to be stopped",
                self._cancel,
                404,
                answer=cancel_document(7),
            ),
            self._feedback(f"{cancel}/feedback", "whether it was stopped", self._say_of_stopping),
        ]

    def _routes_of_files(self) -> list[Route]:
        modules = f"{_ROOT}/softwaremodules/{{module_id}}/artifacts"
        return [
            self._route("GET", modules, "hawkBit: the files of a module", self._artifacts, 404),
            replace(
                self._route("GET", f"{modules}/{{name}}", "hawkBit: a file", self._download),
                statuses=(200, 206, 304, 401, 404, 412, 416, 429, 503, 507),
                media_type="application/octet-stream",
                answer_example="the image, or its MD5 as a line of text",
            ),
        ]

    def _feedback(self, pattern: str, what: str, handler: ControllerHandler) -> Route:
        summary = f"hawkBit: {what}"
        example = {"status": {"execution": "closed", "result": {"finished": "success"}}}
        return self._route("POST", pattern, summary, handler, 400, 404, 410, 413, body=example)

    def _route(
        self,
        method: str,
        pattern: str,
        summary: str,
        handler: ControllerHandler,
        *statuses: int,
        body: object = None,
        answer: object = None,
    ) -> Route:
        return Route(
            method,
            pattern,
            summary,
            self._of_controller(handler),
            # Every call may be a report or an offer, which are stored.
            statuses=(200, 401, *statuses, 429, 503, 507),
            body_example=body,
            answer_example=answer,
            access=Access.TARGET_TOKEN,
        )

    def _of_controller(self, handler: ControllerHandler) -> Handler:
        async def handle(request: Request) -> Answer | LongAnswer:
            return await handler(request, await self._controllers.controller(request))

        return handle

    async def _poll(self, request: Request, controller: Controller) -> Answer:
        links = self._links(request, controller)
        turn = await self._actions.turn(controller.thing)
        body = encode(poll_document(turn.poll_after_s, _relations(turn, links)))
        etag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode("ascii")
        headers = ((b"ETag", etag),)
        if outcome_of(request, Validators(etag)) is Outcome.NOT_MODIFIED:
            return Answer(304, b"", headers, common=PRIVATE)
        return Answer(200, body, headers, common=PRIVATE)

    async def _configure(self, request: Request, controller: Controller) -> Answer:
        report = report_of(await read_json(request, MAX_ATTRIBUTES_BYTES))
        await self._actions.heard(controller.thing, report)
        return _EMPTY

    async def _deployment(self, request: Request, controller: Controller) -> Answer:
        links, action = self._links(request, controller), _action(request)
        firmware = await self._actions.to_install(controller.thing, action)
        return _json(deployment_document(action, firmware, links))

    async def _installed(self, request: Request, controller: Controller) -> Answer:
        links, action = self._links(request, controller), _action(request)
        firmware = await self._actions.installed(controller.thing, action)
        return _json(deployment_document(action, firmware, links))

    async def _cancel(self, request: Request, controller: Controller) -> Answer:
        action = _action(request)
        await self._actions.to_stop(controller.thing, action)
        return _json(cancel_document(action))

    async def _confirmation(self, _request: Request, _controller: Controller) -> Answer:
        return _json(confirmation_document())

    async def _say(self, request: Request, controller: Controller) -> Answer:
        status = _status(await read_json(request, MAX_FEEDBACK_BYTES))
        await self._actions.said(controller.thing, _action(request), status)
        return _EMPTY

    async def _say_of_stopping(self, request: Request, controller: Controller) -> Answer:
        status = _status(await read_json(request, MAX_FEEDBACK_BYTES))
        await self._actions.said_of_stopping(controller.thing, _action(request), status)
        return _EMPTY

    async def _artifacts(self, request: Request, controller: Controller) -> Answer:
        links = self._links(request, controller)
        firmware = await self._module(request, controller)
        return _json([artifact_document(firmware, links)])

    async def _download(self, request: Request, controller: Controller) -> Answer | LongAnswer:
        thing = controller.thing
        firmware = await self._module(request, controller)
        name = artifact_name(firmware)

        async def check() -> None:
            # Meanwhile the image may be revoked, the thing deleted, its token replaced.
            again = await self._controllers.controller(request)
            await self._offers.find(again.thing, firmware.id)

        if request.arguments["name"] == name:
            return image_answer(
                request,
                firmware,
                lambda: self._offers.download(thing, firmware),
                check=check,
            )
        if request.arguments["name"] == name + MD5_ENDING:
            return _md5_answer(firmware)
        raise FirmwareNotFoundError

    async def _module(self, request: Request, controller: Controller) -> Firmware:
        """Return the image whose number is in the path, if the thing may have it now.

        Raises:
            FirmwareNotFoundError: it may not, or there is none.
        """
        number = request.arguments["module_id"]
        if not _NUMBER.fullmatch(number):
            raise FirmwareNotFoundError
        catalogue = await self._catalogues.of(controller.thing.product_id)
        for firmware in catalogue.firmwares:
            if firmware.number == int(number):
                return await self._offers.find(controller.thing, firmware.id)
        raise FirmwareNotFoundError

    def _links(self, request: Request, controller: Controller) -> Links:
        return Links(base_url(request, self._public_url), controller)


def _relations(turn: Turn, links: Links) -> dict[str, str]:
    relations = {}
    if turn.deploy is not None:
        relations["deploymentBase"] = links.deployment(turn.deploy[0].action)
    if turn.cancel is not None:
        relations["cancelAction"] = links.cancellation(turn.cancel[0].action)
    if turn.installed is not None:
        relations["installedBase"] = links.installed(turn.installed.action)
    if turn.wants_attributes:
        relations["configData"] = links.config_data
    return relations


def _action(request: Request) -> int:
    """Return the number of the action in the path.

    Raises:
        UpdateNotFoundError: no action has it.
    """
    text = request.arguments["action_id"]
    if not _NUMBER.fullmatch(text):
        raise UpdateNotFoundError
    return int(text)


def _status(body: object) -> Status:
    if not isinstance(body, dict) or not isinstance(status := body.get("status"), dict):
        raise InvalidBodyError("status: expected an object")
    return parse_status(
        status.get("execution"), status.get("result"), details=status.get("details")
    )


def _md5_answer(firmware: Firmware) -> Answer:
    """Return the digest as `md5sum` writes it, which checks it with `md5sum -c`."""
    name = artifact_name(firmware)
    line = f"{firmware.digests.md5.hex()}  {name}\n"
    return Answer(
        200,
        line.encode("ascii"),
        ((b"Content-Disposition", content_disposition(name + MD5_ENDING)),),
        (b"Content-Type", b"text/plain"),
        PRIVATE,
    )


def _json(document: object) -> Answer:
    return Answer(200, encode(document), common=PRIVATE)
