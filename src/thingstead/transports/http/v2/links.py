"""Linking things to users: `/v2/me/things` (`thethings-v2.md` 6.3 to 6.5)."""

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from thingstead.features.links.errors import InvalidLinkError
from thingstead.features.links.model import ByLinkId, LinkedThing
from thingstead.features.links.service import Links
from thingstead.features.sharing.resources import UserResources
from thingstead.features.users.model import Caller
from thingstead.kernel.instants import format_instant
from thingstead.transports.http.answers import Answer, PiecewiseAnswer, json_answer, success
from thingstead.transports.http.bodies import read_object
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Parameter, Route
from thingstead.transports.http.v2.arrays import array_answer
from thingstead.transports.http.v2.callers import Callers
from thingstead.transports.http.v2.limits import V2Limits

_THINGS = "/v2/me/things"
_PAGE = 500
_UNLINKED = {"status": "success", "message": "unlinked"}
_NAMED_THING: dict[str, object] = {
    "type": "object",
    "properties": {
        "thingToken": {"type": "string"},
        "thingId": {"type": "string"},
        "linkId": {"type": "string", "minLength": 8, "maxLength": 128},
    },
}
_THING_ID = Parameter("thingId", {"type": "string"}, "The thing's id, when no body names it.")


@dataclass(frozen=True, slots=True)
class _Named:
    """A thing as a body names it: one member is enough."""

    thingToken: str | None = None  # noqa: N815  # The names on the wire.
    thingId: str | None = None  # noqa: N815
    linkId: str | None = None  # noqa: N815


class LinkHandlers:
    """Handles linking, listing and unlinking."""

    def __init__(
        self, callers: Callers, links: Links, resources: UserResources, limits: V2Limits
    ) -> None:
        self._callers = callers
        self._links = links
        self._resources = resources
        self._limits = limits

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self._callers.route
        return [
            route(
                "POST",
                _THINGS,
                "Link a thing by its token, by its id (its last owner only), or by a link id",
                self.link,
                statuses=(200, 400, 401, 403, 404, 413, 429, 503, 507),
                reads_body=self._limits.document_bytes,
                body_schema=_NAMED_THING,
                body_example={"thingToken": "43 characters"},
                answer_example={
                    "status": "success",
                    "message": "linked",
                    "thingId": "43 characters",
                },
            ),
            route(
                "GET",
                _THINGS,
                "The user's things",
                self.list_things,
                statuses=(200, 401, 429, 503),
                answer_example=[
                    {
                        "_id": "43 characters",
                        "productId": 10001,
                        "description": {"name": "Kitchen"},
                        "linkedAt": "2026-01-31T12:00:00.000Z",
                        "createdAt": "2026-01-31T12:00:00.000Z",
                    }
                ],
            ),
            route(
                "DELETE",
                _THINGS,
                "Unlink a thing, named by query or body",
                self.unlink_named,
                statuses=(200, 400, 401, 404, 413, 429, 503, 507),
                reads_body=self._limits.document_bytes,
                parameters=(_THING_ID,),
                answer_example=_UNLINKED,
            ),
            route(
                "DELETE",
                f"{_THINGS}/{{thing_id}}",
                "Unlink a thing; its values are kept for the user, should they link it again",
                self.unlink,
                statuses=(200, 401, 404, 429, 503, 507),
                answer_example=_UNLINKED,
            ),
            route(
                "DELETE",
                f"{_THINGS}/{{thing_id}}/everything",
                "Delete a thing for good, with its token and all its values",
                self.delete,
                statuses=(200, 401, 404, 429, 503, 507),
                answer_example={"status": "success", "message": "deleted"},
            ),
        ]

    async def link(self, request: Request, caller: Caller) -> Answer:
        """Link a thing; linking one's own again changes nothing."""
        named = await read_object(request, _Named, self._limits.document_bytes)
        if named.linkId is not None:
            result = await self._links.claim(caller, named.linkId)
            if result.outcome is ByLinkId.WAITING or result.thing_id is None:
                return success("waiting for the thing")
            return _linked(result.thing_id)
        if named.thingToken is not None:
            return _linked(
                await self._links.link_by_text(caller, named.thingToken, address=request.address)
            )
        if named.thingId is not None:
            return _linked(await self._links.link_by_id(caller, named.thingId))
        raise InvalidLinkError("thingToken: missing")

    async def list_things(self, _request: Request, caller: Caller) -> Answer | PiecewiseAnswer:
        """Answer a bare array; tokens are never part of it (`rulings.md`, Wire)."""
        return await array_answer(self._things(caller))

    async def _things(self, caller: Caller) -> AsyncGenerator[Sequence[object], None]:
        """Give the user's things in pages, as their descriptions come: both ascending by id."""
        left = deque(await self._links.linked(caller))
        own = {linked.thing.id for linked in left}
        async with aclosing(self._resources.description_pages(caller)) as pages:
            async for page in pages:
                described = {thing_id: text for thing_id, text in page if thing_id in own}
                if not described:
                    # From here on they are things that others share.
                    break
                last = max(described)
                found = []
                while left and left[0].thing.id <= last:
                    linked = left.popleft()
                    found.append(_thing(linked, described.get(linked.thing.id)))
                if found:
                    yield found
        while left:
            yield [_thing(left.popleft(), None) for _ in range(min(len(left), _PAGE))]

    async def unlink(self, request: Request, caller: Caller) -> Answer:
        """Unlink the thing that the path names."""
        await self._links.unlink(caller, request.arguments["thing_id"])
        return success("unlinked")

    async def unlink_named(self, request: Request, caller: Caller) -> Answer:
        """Unlink the thing that query or body names; proxies may have dropped the body."""
        text = request.query.get("thingId")
        if not text:
            body = await request.body(self._limits.document_bytes)
            if not body.strip():
                raise InvalidLinkError("thingId: missing")
            named = await read_object(request, _Named, self._limits.document_bytes)
            text = named.thingId or named.thingToken
        if not text:
            raise InvalidLinkError("thingId: missing")
        await self._links.unlink(caller, text)
        return success("unlinked")

    async def delete(self, request: Request, caller: Caller) -> Answer:
        """Delete the thing with all that it ever wrote."""
        await self._links.delete_thing(caller, request.arguments["thing_id"])
        return success("deleted")


def _linked(thing_id: str) -> Answer:
    # Exactly as documented, in this order (`thethings-v2.md` 6.3).
    return json_answer({"status": "success", "message": "linked", "thingId": thing_id})


def _thing(linked: LinkedThing, description: object | None) -> dict[str, object]:
    return {
        "_id": linked.thing.id,
        "productId": linked.thing.product_id,
        "description": description,
        "linkedAt": format_instant(linked.linked_at_ms),
        "createdAt": format_instant(linked.thing.created_at_ms),
    }
