"""Sharing: `PUT /v2/me/grant` and the grants given and received (`thethings-v2.md` 6.8)."""

from dataclasses import dataclass

from thingstead.features.sharing.model import RIGHT_NAMES, Grant
from thingstead.features.sharing.service import Sharing
from thingstead.features.users.model import Caller
from thingstead.kernel.instants import format_instant
from thingstead.transports.http.answers import Answer, json_answer, success
from thingstead.transports.http.bodies import read_object
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Route
from thingstead.transports.http.v2.callers import Callers
from thingstead.transports.http.v2.limits import V2Limits

_PERMISSIONS = {"temperature": {"THING_ID": {"get": True}}}
_GRANTS = "/v2/me/grants"
_BODY: dict[str, object] = {
    "type": "object",
    "required": ["email", "permissions"],
    "properties": {
        "email": {"type": "string"},
        "permissions": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": {"type": "boolean"},
                },
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class _Granted:
    email: str
    permissions: object


class SharingHandlers:
    """Handles grants."""

    def __init__(self, callers: Callers, sharing: Sharing, limits: V2Limits) -> None:
        self._callers = callers
        self._sharing = sharing
        self._limits = limits

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self._callers.route
        example = {
            "_id": "GRANT_ID",
            "from": "ada@example.org",
            "email": "friend@example.org",
            "accepted": False,
            "permissions": _PERMISSIONS,
            "createdAt": "2026-01-31T12:00:00.000Z",
        }
        return [
            route(
                "PUT",
                "/v2/me/grant",
                "Share resources with an address of the same app, which gets a mail to accept",
                self.grant,
                statuses=(200, 400, 401, 403, 404, 413, 429, 503, 507),
                reads_body=self._limits.object_bytes,
                body_schema=_BODY,
                body_example={"email": "friend@example.org", "permissions": _PERMISSIONS},
                answer_example={"status": "success", "message": "granted"},
            ),
            route(
                "GET",
                _GRANTS,
                "Grants given and received",
                self.list_grants,
                statuses=(200, 401, 429, 503),
                answer_example={"given": [example], "received": []},
            ),
            route(
                "POST",
                f"{_GRANTS}/{{grant_id}}/accept",
                "Accept a grant to the caller's confirmed address",
                self.accept,
                statuses=(200, 401, 403, 404, 429, 503, 507),
                answer_example={"status": "success", "message": "accepted"},
            ),
            route(
                "DELETE",
                f"{_GRANTS}/{{grant_id}}",
                "Revoke a grant, or give one back; what was passed on from it ends too",
                self.revoke,
                statuses=(200, 401, 404, 429, 503, 507),
                answer_example={"status": "success", "message": "revoked"},
            ),
        ]

    async def grant(self, request: Request, caller: Caller) -> Answer:
        """Share what is true, and take back what is false; the same whoever has the address."""
        sent = await read_object(request, _Granted, self._limits.object_bytes)
        await self._sharing.grant(caller, sent.email, sent.permissions)
        return success("granted")

    async def list_grants(self, _request: Request, caller: Caller) -> Answer:
        """Answer both lists, newest first."""
        given = await self._sharing.given(caller)
        received = await self._sharing.received(caller)
        return json_answer(
            {
                "given": [grant_document(grant) for grant in given],
                "received": [grant_document(grant) for grant in received],
            }
        )

    async def accept(self, request: Request, caller: Caller) -> Answer:
        """Accept a grant."""
        await self._sharing.accept(caller, request.arguments["grant_id"])
        return success("accepted")

    async def revoke(self, request: Request, caller: Caller) -> Answer:
        """End a grant from either side."""
        await self._sharing.revoke(caller, request.arguments["grant_id"])
        return success("revoked")


def grant_document(grant: Grant) -> dict[str, object]:
    """Return a grant as it goes out."""
    permissions: dict[str, dict[str, dict[str, bool]]] = {}
    for entry in grant.entries:
        rights = {name: True for name, right in RIGHT_NAMES.items() if entry.rights & right}
        permissions.setdefault(entry.resource, {})[entry.thing_id] = rights
    shown: dict[str, object] = {
        "_id": grant.id,
        "from": grant.giver_email,
        "email": grant.email,
        "accepted": grant.accepted_at_ms is not None,
        "permissions": permissions,
        "createdAt": format_instant(grant.created_at_ms),
    }
    if grant.accepted_at_ms is None:
        shown["expiresAt"] = format_instant(grant.expires_at_ms)
    return shown
