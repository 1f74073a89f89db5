"""Tickets: what stands for a session where no header can be sent.

Browsers cannot send headers with `EventSource` and `WebSocket`, and no other credential may
stand in an address, which others log (`rulings.md`, Wire). So a ticket works once and for 30
seconds, is good for listening only, and dies with its session: that is asked again when it is
redeemed. Kept in memory by its digest; after a restart one asks for another. Guessing one of
256 random bits is hopeless and costs the server a look into a dictionary, so it is not counted.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from thingstead.features.users.errors import InvalidSessionError, InvalidTicketError
from thingstead.features.users.limits import refuse
from thingstead.features.users.model import Caller
from thingstead.features.users.sessions import Sessions
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import OverloadedError
from thingstead.kernel.ids import IdSource, UserId, digest

PREFIX = "tk_"


@dataclass(frozen=True, slots=True)
class TicketLimits:
    """How long a ticket lasts, and how many may wait to be redeemed."""

    life_s: int = 30
    of_user: int = 10
    in_all: int = 10_000


class Redeemed(NamedTuple):
    """Whose ticket it was; `session_token` tells later whether the session still lasts."""

    caller: Caller
    session_token: str


class _Waiting(NamedTuple):
    user_id: UserId
    session_token: str
    expires_at_s: float


class Tickets:
    """Issues and redeems tickets."""

    def __init__(
        self, sessions: Sessions, ids: IdSource, clock: Clock, limits: TicketLimits
    ) -> None:
        self._sessions = sessions
        self._ids = ids
        self._clock = clock
        self._limits = limits
        # All last equally long, so the first is the first to expire.
        self._waiting: dict[bytes, _Waiting] = {}
        self._of_user: Counter[UserId] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def life_s(self) -> int:
        """How many seconds a new ticket lasts."""
        return self._limits.life_s

    def issue(self, caller: Caller, session_token: str) -> str:
        """Return a new ticket that stands for the caller's session, whose token is given.

        Raises:
            TooManyRequestsError: too many of the user's tickets wait to be redeemed.
            OverloadedError: too many of all users' do.
        """
        now_s = self._clock.monotonic()
        self._forget_expired(now_s)
        limits, user_id = self._limits, caller.user.id
        if self._of_user[user_id] >= limits.of_user:
            refuse(f"at most {limits.of_user} unused tickets of one user", limits.life_s - 1)
        if len(self._waiting) >= limits.in_all:
            raise OverloadedError("too many unused tickets", retry_after_s=limits.life_s)
        ticket = PREFIX + self._ids.token()
        expires_at_s = now_s + limits.life_s
        self._waiting[digest(ticket)] = _Waiting(user_id, session_token, expires_at_s)
        self._of_user[user_id] += 1
        return ticket

    async def redeem(self, ticket: str) -> Redeemed:
        """Return whose ticket it is; it does not work a second time.

        Raises:
            InvalidTicketError: it is unknown, used or has expired, or its session has ended.
            StoreUnavailableError: the session cannot be looked up now; the ticket is used.
        """
        waiting = self._waiting.get(digest(ticket))
        if waiting is None:
            raise InvalidTicketError
        self._take_out(digest(ticket))
        if waiting.expires_at_s <= self._clock.monotonic():
            raise InvalidTicketError
        try:
            caller = await self._sessions.authenticate(waiting.session_token, address=None)
        except InvalidSessionError as exc:
            raise InvalidTicketError from exc
        return Redeemed(caller, waiting.session_token)

    def _forget_expired(self, now_s: float) -> None:
        while self._waiting:
            first = next(iter(self._waiting))
            if self._waiting[first].expires_at_s > now_s:
                return
            self._take_out(first)

    def _take_out(self, key: bytes) -> None:
        user_id = self._waiting.pop(key).user_id
        self._of_user[user_id] -= 1
        if not self._of_user[user_id]:
            del self._of_user[user_id]
