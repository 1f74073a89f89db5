"""The rules of sessions: whose token it is, how long it lasts, how it ends.

Stands on every call of an app, so tokens seen lately are remembered (`kernel/known_tokens.py`).
A session lasts 30 days after its last use and 180 days at most. That it was used is noted at
most once an hour, and written later by `flush_seen`: reading must not cost a write.
"""

import re
from dataclasses import dataclass

from thingstead.features.apps.service import Apps
from thingstead.features.users.errors import InvalidSessionError, SessionNotFoundError
from thingstead.features.users.limits import UserLimits, refuse
from thingstead.features.users.model import Caller, NewSession, Session, SessionUse
from thingstead.features.users.ports import SessionStore
from thingstead.kernel.budget import Budgets
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import (
    IdSource,
    SessionId,
    SessionToken,
    UserId,
    digest,
    is_session_shaped,
)
from thingstead.kernel.known_tokens import Found, KnownTokens

CURRENT = "current"
MAX_LABEL_CHARACTERS = 120
_SESSION_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_NOTE_EVERY_MS = 3_600_000
_MOST_TO_NOTE = 10_000
_NOTED_AT_ONCE = 500


@dataclass(slots=True)
class _Open:
    """A session that is remembered."""

    caller: Caller
    created_at_ms: int
    noted_at_ms: int


class Sessions:
    """Finds, lists and ends sessions."""

    def __init__(
        self,
        store: SessionStore,
        apps: Apps,
        clock: Clock,
        changes: Changes,
        *,
        limits: UserLimits,
    ) -> None:
        self._store = store
        self._apps = apps
        self._clock = clock
        self._changes = changes
        self._limits = limits
        self._open: KnownTokens[_Open] = KnownTokens("unknown session tokens", clock, limits.tokens)
        self._uses: dict[SessionId, SessionUse] = {}
        self._calls: Budgets[UserId] = Budgets(limits.calls)
        changes.listen(Kind.USER, self._open.forget)
        changes.listen(Kind.APP, self._forget_all)

    def known(self, token: str) -> Caller | None:
        """Return whose token it is, without waiting, or None to call `authenticate`."""
        self._changes.look()
        found = self._open.get(token)
        return None if found is None else self._used(found)

    async def authenticate(self, token: str, *, address: str | None) -> Caller:
        """Return whose token it is, and note that the session was used.

        `address` pays for unknown tokens; None, for tokens that were known, pays nothing.

        Raises:
            InvalidSessionError: no session that lasts has this token.
            TooManyRequestsError: too many unknown tokens came from this address.
        """
        caller = self.known(token)
        if caller is not None:
            return caller
        found = await self._open.find(
            token,
            (lambda: self._look_up(token)) if is_session_shaped(token) else None,
            address=address,
            refusal=InvalidSessionError,
        )
        return self._used(found)

    def admit(self, caller: Caller) -> None:
        """Count one call of the user.

        Raises:
            TooManyRequestsError: the user makes too many.
        """
        wait_s = self._calls.take(caller.user.id, self._clock.monotonic())
        if wait_s > 0:
            per_second = round(self._calls.rate.per_second)
            refuse(f"at most {per_second} calls of one user in a second", wait_s)

    async def list(self, caller: Caller) -> list[Session]:
        """Return the user's sessions, the newest first."""
        return await self._store.sessions(caller.user.id, at_ms=self._clock.now_ms())

    async def end(self, caller: Caller, session_id: str) -> None:
        """End one of the user's sessions; `current` is the one that calls.

        Raises:
            SessionNotFoundError: the user has no such session.
        """
        ended = caller.session_id if session_id == CURRENT else SessionId(session_id)
        if _SESSION_ID.fullmatch(ended) is None:
            raise SessionNotFoundError
        if not await self._store.end_session(caller.user.id, ended):
            raise SessionNotFoundError
        self._uses.pop(ended, None)
        self._changes.tell(Kind.USER, caller.user.id)

    async def end_others(self, caller: Caller) -> int:
        """End all of the user's sessions but the one that calls; return how many."""
        ended = await self._store.end_other_sessions(caller.user.id, caller.session_id)
        self._changes.tell(Kind.USER, caller.user.id)
        return ended

    async def flush_seen(self) -> None:
        """Write which sessions were used since the last time; to be called every minute.

        What could not be written stays noted for the next time.
        """
        uses = list(self._uses.values())
        for start in range(0, len(uses), _NOTED_AT_ONCE):
            page = uses[start : start + _NOTED_AT_ONCE]
            await self._store.note_seen(page)
            for use in page:
                if self._uses.get(use.session_id) is use:
                    del self._uses[use.session_id]

    async def _look_up(self, token: str) -> Found[_Open] | None:
        found = await self._store.session(digest(token), at_ms=self._clock.now_ms())
        if found is None:
            return None
        session, user = found
        app = await self._apps.get(user.app_id)
        entry = _Open(Caller(user, app, session.id), session.created_at_ms, session.seen_at_ms)
        return Found(entry, user.id, session.expires_at_ms)

    def _used(self, session: _Open) -> Caller:
        now_ms = self._clock.now_ms()
        # What is too much to note now is noted at the session's next call.
        if now_ms - session.noted_at_ms >= _NOTE_EVERY_MS and len(self._uses) < _MOST_TO_NOTE:
            session.noted_at_ms = now_ms
            expires_at_ms = _expiry(session.created_at_ms, now_ms, self._limits)
            session_id = session.caller.session_id
            self._uses[session_id] = SessionUse(session_id, now_ms, expires_at_ms)
        return session.caller

    def _forget_all(self, _app_id: str | None) -> None:
        self._open.forget(None)


def new_session(
    user_id: UserId, label: str, *, ids: IdSource, now_ms: int, limits: UserLimits
) -> tuple[SessionToken, NewSession]:
    """Make a session that is not stored yet, and its token; unprintable parts of the label go."""
    token = ids.session_token()
    session = Session(
        id=SessionId(ids.sortable_id(now_ms)),
        user_id=user_id,
        created_at_ms=now_ms,
        seen_at_ms=now_ms,
        expires_at_ms=_expiry(now_ms, now_ms, limits),
        label="".join(filter(str.isprintable, label[: 4 * MAX_LABEL_CHARACTERS]))[
            :MAX_LABEL_CHARACTERS
        ],
    )
    return token, NewSession(session, digest(token))


def _expiry(created_at_ms: int, seen_at_ms: int, limits: UserLimits) -> int:
    return min(seen_at_ms + limits.session_idle_ms, created_at_ms + limits.session_life_ms)
