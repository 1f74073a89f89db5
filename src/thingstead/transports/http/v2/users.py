"""What app users do with their own account: password, settings, sessions (`thethings-v2.md` 6)."""

from dataclasses import dataclass

from thingstead.features.users.account_changes import AccountChanges
from thingstead.features.users.errors import InvalidUserSettingsError
from thingstead.features.users.model import Caller, Session, User
from thingstead.features.users.passwords import check_confirmation
from thingstead.features.users.recovery import Recovery
from thingstead.features.users.sessions import Sessions
from thingstead.features.users.user_settings import UserSettings
from thingstead.kernel.instants import format_instant
from thingstead.transports.http.answers import Answer, json_answer, success
from thingstead.transports.http.bodies import read_json, read_object
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Route
from thingstead.transports.http.v2.callers import Callers, demand_confidence
from thingstead.transports.http.v2.limits import V2Limits

_SETTINGS: dict[str, object] = {"type": "object", "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class _PasswordChange:
    """The body of `PUT /v2/me`; `appId` is sent by old clients and not needed."""

    currentPassword: str  # noqa: N815
    password: str
    confirmationPassword: str | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class _Deletion:
    currentPassword: str  # noqa: N815


class UserHandlers:
    """Handles what users do with their own account."""

    def __init__(
        self,
        callers: Callers,
        account: AccountChanges,
        settings: UserSettings,
        sessions: Sessions,
        recovery: Recovery,
        limits: V2Limits,
    ) -> None:
        self._callers = callers
        self._account = account
        self._settings = settings
        self._sessions = sessions
        self._recovery = recovery
        self._limits = limits

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self._callers.route
        done = {"status": "success", "message": "updated"}
        return [
            route(
                "GET",
                "/v2/me",
                "The caller",
                self.read,
                statuses=(200, 401, 429),
                answer_example={
                    "_id": "USER_ID",
                    "email": "ada@example.org",
                    "confirmed": True,
                    "app": "pkdMN02PIAO9gg",
                    "createdAt": "2026-01-31T12:00:00.000Z",
                },
            ),
            route(
                "PUT",
                "/v2/me",
                "Change the password; ends every other session",
                self.change_password,
                statuses=(200, 400, 401, 403, 413, 429, 503, 507),
                reads_body=self._limits.document_bytes,
                body_example={"currentPassword": "…", "password": "…"},
                answer_example=done,
            ),
            route(
                "DELETE",
                "/v2/me",
                "Delete the account and all that is its user's, values of their things included",
                self.delete,
                statuses=(200, 400, 401, 403, 413, 429, 503, 507),
                reads_body=self._limits.document_bytes,
                body_example={"currentPassword": "…"},
                answer_example={"status": "success", "message": "deleted"},
            ),
            route(
                "GET",
                "/v2/me/settings",
                "The user's settings",
                self.read_settings,
                statuses=(200, 401, 429),
                answer_example={"language": "en"},
            ),
            route(
                "PUT",
                "/v2/me/settings",
                "Set members of the settings; `password` changes the password",
                self.change_settings,
                statuses=(200, 400, 401, 403, 413, 429, 503, 507),
                reads_body=self._limits.settings_bytes + self._limits.slack_bytes,
                body_schema=_SETTINGS,
                body_example={"language": "en"},
                answer_example=done,
            ),
            route(
                "POST",
                "/v2/me/confirmation",
                "Have the mail that confirms the address sent again",
                self.request_confirmation,
                statuses=(200, 401, 429, 503, 507),
                answer_example={"status": "success", "message": "mail sent"},
            ),
            *self._session_routes(),
        ]

    def _session_routes(self) -> list[Route]:
        route = self._callers.route
        ended = {"status": "success", "message": "ended"}
        return [
            route(
                "GET",
                "/v2/me/sessions",
                "The user's sessions, newest first",
                self.list_sessions,
                statuses=(200, 401, 429),
                answer_example=[
                    {
                        "_id": "SESSION_ID",
                        "current": True,
                        "client": "curl/8.5.0",
                        "createdAt": "2026-01-31T12:00:00.000Z",
                        "lastUsedAt": "2026-01-31T12:00:00.000Z",
                        "expiresAt": "2026-03-02T12:00:00.000Z",
                    }
                ],
            ),
            route(
                "DELETE",
                "/v2/me/sessions",
                "End every session but this one",
                self.end_others,
                statuses=(200, 401, 429, 503, 507),
                answer_example={**ended, "ended": 2},
            ),
            route(
                "DELETE",
                "/v2/me/sessions/{session_id}",
                "End one session; `current` logs out",
                self.end_session,
                statuses=(200, 401, 404, 429, 503, 507),
                answer_example=ended,
            ),
        ]

    async def read(self, _request: Request, caller: Caller) -> Answer:
        """Answer who the caller is."""
        return json_answer(user_document(caller.user))

    async def change_password(self, request: Request, caller: Caller) -> Answer:
        """Change the password, given the current one."""
        demand_confidence(request)
        sent = await read_object(request, _PasswordChange, self._limits.document_bytes)
        if sent.confirmationPassword is not None:
            check_confirmation(sent.password, sent.confirmationPassword)
        await self._account.change_password(
            caller,
            sent.password,
            current=sent.currentPassword,
            must_have_current=True,
            address=request.address,
        )
        return success("updated")

    async def delete(self, request: Request, caller: Caller) -> Answer:
        """Delete the account, given its password."""
        demand_confidence(request)
        sent = await read_object(request, _Deletion, self._limits.document_bytes)
        await self._account.delete(caller, password=sent.currentPassword, address=request.address)
        return success("deleted")

    async def read_settings(self, _request: Request, caller: Caller) -> Answer:
        """Answer the settings, bare."""
        return json_answer(await self._settings.of(caller))

    async def change_settings(self, request: Request, caller: Caller) -> Answer:
        """Merge the members sent; a password among them is changed and never kept."""
        limit = self._limits.settings_bytes + self._limits.slack_bytes
        members = await read_json(request, limit)
        if not isinstance(members, dict):
            raise InvalidUserSettingsError("the body must be a JSON object")
        if "password" in members:
            demand_confidence(request)
        await self._settings.change(caller, members, address=request.address)
        return success("updated")

    async def request_confirmation(self, _request: Request, caller: Caller) -> Answer:
        """Send the mail that confirms the address again."""
        await self._recovery.request_confirmation(caller)
        return success("mail sent")

    async def list_sessions(self, _request: Request, caller: Caller) -> Answer:
        """Answer the sessions without their tokens, which nobody has but their clients."""
        sessions = await self._sessions.list(caller)
        return json_answer([_session(session, caller) for session in sessions])

    async def end_session(self, request: Request, caller: Caller) -> Answer:
        """End one of the user's sessions."""
        await self._sessions.end(caller, request.arguments["session_id"])
        return success("ended")

    async def end_others(self, _request: Request, caller: Caller) -> Answer:
        """End all of the user's sessions but this one."""
        number = await self._sessions.end_others(caller)
        return json_answer({"status": "success", "message": "ended", "ended": number})


def user_document(user: User) -> dict[str, object]:
    """Return a user as they see themselves."""
    return {
        "_id": user.id,
        "email": user.email,
        "confirmed": user.confirmed_at_ms is not None,
        "app": user.app_id,
        "createdAt": format_instant(user.created_at_ms),
    }


def _session(session: Session, caller: Caller) -> dict[str, object]:
    return {
        "_id": session.id,
        "current": session.id == caller.session_id,
        "client": session.label,
        "createdAt": format_instant(session.created_at_ms),
        "lastUsedAt": format_instant(session.seen_at_ms),
        "expiresAt": format_instant(session.expires_at_ms),
    }
