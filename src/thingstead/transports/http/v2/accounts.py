"""Registering, logging in and forgetting a password: calls that need no session yet.

See `thethings-v2.md` 6.1 and 6.2. What users do with their account is in `users.py`.
"""

from dataclasses import dataclass

from thingstead.features.sharing.model import RIGHT_NAMES
from thingstead.features.sharing.resources import Roles, UserResources
from thingstead.features.users.accounts import Accounts
from thingstead.features.users.model import LoggedIn
from thingstead.features.users.recovery import Recovery
from thingstead.kernel.errors import InvalidBodyError
from thingstead.transports.http.answers import Answer, json_answer, success
from thingstead.transports.http.bodies import read_object
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route
from thingstead.transports.http.v2.callers import demand_confidence
from thingstead.transports.http.v2.limits import V2Limits

_CREDENTIALS: dict[str, object] = {
    "type": "object",
    "required": ["email", "password", "app"],
    "properties": {
        "email": {"type": "string"},
        "password": {"type": "string", "format": "password"},
        "app": {"type": "string"},
    },
}
_CREDENTIALS_EXAMPLE = {
    "email": "ada@example.org",
    "password": "a long sentence",
    "app": "pkdMN02PIAO9gg",
}
_LOGGED_IN_EXAMPLE = {
    "status": "success",
    "token": "us_ and 43 characters",
    "roles": {"temperature": {"THING_ID": {"get": True, "post": True, "put": True, "grant": True}}},
}
_LONGEST_LABEL = 120


@dataclass(frozen=True, slots=True)
class _Credentials:
    """The body of both calls; apps of the original send the app's id as `app`."""

    email: str
    password: str
    app: str | None = None
    appId: str | None = None  # noqa: N815  # The name on the wire.


@dataclass(frozen=True, slots=True)
class _ResetRequest:
    email: str
    app: str | None = None
    appId: str | None = None  # noqa: N815


class AccountHandlers:
    """Handles the calls that need no session: who makes them is what they find out."""

    def __init__(
        self,
        accounts: Accounts,
        recovery: Recovery,
        resources: UserResources,
        limits: V2Limits,
    ) -> None:
        self._accounts = accounts
        self._recovery = recovery
        self._resources = resources
        self._limits = limits

    def routes(self) -> list[Route]:
        """Return the routes."""
        registering = [
            Route(
                "POST",
                pattern,
                summary,
                self.register,
                statuses=(201, 400, 403, 404, 413, 429, 503, 507),
                body_schema=_CREDENTIALS,
                body_example=_CREDENTIALS_EXAMPLE,
                answer_example=_LOGGED_IN_EXAMPLE,
                access=Access.PUBLIC,
            )
            for pattern, summary in (
                ("/v2/register", "Register a user of an app, and log in"),
                ("/v2/apps/{app_id}/register", "The same, with the app in the path"),
            )
        ]
        return [
            *registering,
            Route(
                "POST",
                "/v2/login",
                "Log in",
                self.login,
                statuses=(200, 400, 401, 403, 404, 413, 429, 503, 507),
                body_schema=_CREDENTIALS,
                body_example=_CREDENTIALS_EXAMPLE,
                answer_example=_LOGGED_IN_EXAMPLE,
                access=Access.PUBLIC,
            ),
            Route(
                "POST",
                "/v2/password-reset",
                "Have a mail sent with a link that sets a new password, if there is an account",
                self.request_reset,
                statuses=(200, 400, 404, 413, 429, 503, 507),
                body_example={"email": "ada@example.org", "app": "pkdMN02PIAO9gg"},
                answer_example={"status": "success", "message": "mail sent"},
                access=Access.PUBLIC,
            ),
        ]

    async def register(self, request: Request) -> Answer:
        """Register and log in; 201 with the session's token."""
        demand_confidence(request)
        sent = await self._credentials(request)
        app_id = request.arguments.get("app_id") or sent.app or sent.appId
        logged_in = await self._accounts.register(
            _named(app_id),
            sent.email,
            sent.password,
            label=_label(request),
            address=request.address,
        )
        return await self._welcome(logged_in, 201)

    async def login(self, request: Request) -> Answer:
        """Log in; every log-in makes a session of its own."""
        demand_confidence(request)
        sent = await self._credentials(request)
        logged_in = await self._accounts.login(
            _named(sent.app or sent.appId),
            sent.email,
            sent.password,
            label=_label(request),
            address=request.address,
        )
        return await self._welcome(logged_in, 200)

    async def request_reset(self, request: Request) -> Answer:
        """Answer the same whether there is an account or not."""
        sent = await read_object(request, _ResetRequest, self._limits.document_bytes)
        app_id = _named(sent.app or sent.appId)
        await self._recovery.request_reset(app_id, sent.email, address=request.address)
        return success("mail sent")

    async def _credentials(self, request: Request) -> _Credentials:
        return await read_object(request, _Credentials, self._limits.document_bytes)

    async def _welcome(self, logged_in: LoggedIn, status: int) -> Answer:
        roles: Roles = {}
        if logged_in.caller is not None:
            roles = await self._resources.roles(logged_in.caller)
        return json_answer(
            {"status": "success", "token": logged_in.token, "roles": _spelt(roles)}, status
        )


def _named(app_id: str | None) -> str:
    if not app_id:
        raise InvalidBodyError("app: missing")
    return app_id


def _label(request: Request) -> str:
    text = (request.header(b"user-agent") or b"").decode("latin-1")
    return "".join(character for character in text if character.isprintable())[:_LONGEST_LABEL]


def _spelt(roles: Roles) -> dict[str, dict[str, dict[str, bool]]]:
    """Return the roles as they go out: the rights that are there, each `true`."""
    return {
        resource: {
            thing_id: {name: True for name, right in RIGHT_NAMES.items() if rights & right}
            for thing_id, rights in things.items()
        }
        for resource, things in roles.items()
    }
