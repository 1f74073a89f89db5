"""A new password, and the end of an account.

Both are asked for with a session; what a stolen session must not do needs the password too.
"""

from dataclasses import dataclass

from thingstead.features.mail.model import Occasion
from thingstead.features.users.accounts import PasswordRules
from thingstead.features.users.errors import CurrentPasswordError, InvalidSessionError
from thingstead.features.users.letters import Letters
from thingstead.features.users.login_guard import LoginGuard, account_key
from thingstead.features.users.model import Caller, Proof
from thingstead.features.users.passwords import checked_password, normalised_password
from thingstead.features.users.ports import AccountStore
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class PreparedPassword:
    """The hash of a new password that its user may have.

    `is_proved` says that the current password was given with it.
    """

    encoded: str
    is_proved: bool


class AccountChanges:
    """Changes passwords and deletes accounts."""

    def __init__(
        self,
        store: AccountStore,
        passwords: PasswordRules,
        guard: LoginGuard,
        letters: Letters,
        *,
        clock: Clock,
        changes: Changes,
    ) -> None:
        self._store = store
        self._hasher = passwords.hasher
        self._common = passwords.common
        self._guard = guard
        self._letters = letters
        self._clock = clock
        self._changes = changes

    async def change_password(
        self,
        caller: Caller,
        password: str,
        *,
        current: str | None,
        must_have_current: bool,
        address: str,
    ) -> None:
        """Give the user another password, end their other sessions, and send them a letter.

        `current` is checked whenever it is given. `address` pays for wrong ones.

        Raises:
            InvalidPasswordError: the new one cannot be used.
            CurrentPasswordError: the current one is missing or another.
            TooManyRequestsError: too many wrong ones were tried.
            InvalidSessionError: the session has ended meanwhile; nothing is changed.
        """
        prepared = await self.prepare_password(
            caller,
            password,
            current=current,
            must_have_current=must_have_current,
            address=address,
        )
        await self.set_password(caller, prepared)

    async def prepare_password(
        self,
        caller: Caller,
        password: str,
        *,
        current: str | None,
        must_have_current: bool,
        address: str,
    ) -> PreparedPassword:
        """Do all of `change_password` that can be refused, storing nothing; raises the same."""
        checked = checked_password(password, self._common)
        is_proved = current is not None or must_have_current
        if is_proved:
            await self._check(caller, current, address)
        return PreparedPassword(await self._hasher.hash(checked, payer=address), is_proved)

    async def set_password(self, caller: Caller, prepared: PreparedPassword) -> None:
        """Store what was prepared, if the session that it was prepared with goes on.

        Links that reset the password go on working unless the current one was given: they
        are what the owner has against somebody with a stolen session.

        Raises:
            InvalidSessionError: the session has ended meanwhile; nothing is changed.
        """
        user = caller.user
        letter = None
        if self._letters.wait_s(Occasion.PASSWORD_CHANGED, caller.app, user.email) <= 0:
            letter = self._letters.write(Occasion.PASSWORD_CHANGED, caller.app, user.email)
        is_set = await self._store.set_password(
            user.id,
            prepared.encoded,
            keep=caller.session_id,
            voids_resets=prepared.is_proved,
            letter=letter,
            at_ms=self._clock.now_ms(),
        )
        if not is_set:
            raise InvalidSessionError
        self._changes.tell(Kind.USER, user.id)

    async def delete(self, caller: Caller, *, password: str, address: str) -> None:
        """Delete the user with all that is theirs.

        Raises:
            CurrentPasswordError: the password is another; nothing is deleted.
            TooManyRequestsError: too many wrong ones were tried.
            InvalidSessionError: the session has ended, or the password was changed, while it
                was checked; nothing is deleted.
        """
        password_hash = await self._check(caller, password, address)
        is_deleted = await self._store.delete_user(
            caller.user.id,
            at_ms=self._clock.now_ms(),
            proof=Proof(caller.session_id, password_hash),
        )
        if not is_deleted:
            raise InvalidSessionError
        self._changes.tell(Kind.USER, caller.user.id)
        # Things got another epoch, and grants on them ended: tokens, links and streams of others
        # must not go on with what was before.
        self._changes.look_now()

    async def _check(self, caller: Caller, current: str | None, address: str) -> str:
        """Return the hash against which the password was right."""
        if current is None:
            raise CurrentPasswordError("it is missing")
        key = account_key(caller.app.id, caller.user.email)
        async with self._guard.attempt(key, address):
            return await self._verify(caller, current, address)

    async def _verify(self, caller: Caller, current: str, address: str) -> str:
        candidate = normalised_password(current)
        if candidate is None:
            raise CurrentPasswordError
        account = await self._store.account_of(caller.user.id)
        encoded = None if account is None else account.password_hash
        is_right = await self._hasher.verify(encoded, candidate, payer=address)
        if encoded is None or not is_right:
            raise CurrentPasswordError
        return encoded
