"""Registering and logging in.

What these two tell about whose accounts exist is decided here: a log-in with an unknown
address takes as long and says the same as one with a wrong password (`security.md`, rows 9
and 25). Guessing is slowed down by `login_guard.py`.
"""

from dataclasses import dataclass

from thingstead.features.apps.model import App
from thingstead.features.apps.service import Apps
from thingstead.features.mail.model import Occasion
from thingstead.features.users.addresses import email_address
from thingstead.features.users.errands import Errands
from thingstead.features.users.errors import (
    InvalidEmailError,
    UserExistsError,
    WrongPasswordError,
)
from thingstead.features.users.even_time import even_time
from thingstead.features.users.letters import Letters
from thingstead.features.users.limits import UserLimits, refuse
from thingstead.features.users.login_guard import LoginGuard, Sleep, account_key
from thingstead.features.users.model import (
    Account,
    Caller,
    LinkPurpose,
    LoggedIn,
    NewSession,
    User,
)
from thingstead.features.users.passwords import (
    CommonPasswords,
    PasswordHasher,
    checked_password,
    normalised_password,
)
from thingstead.features.users.ports import AccountStore, SessionStore
from thingstead.features.users.sessions import new_session
from thingstead.kernel.budget import Budgets
from thingstead.kernel.changes import Changes
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import OverloadedError, ThingsteadError
from thingstead.kernel.ids import IdSource, UserId


@dataclass(frozen=True, slots=True)
class UserStores:
    """Where users and their sessions are kept."""

    accounts: AccountStore
    sessions: SessionStore


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What passwords are made into, and which ones are refused."""

    hasher: PasswordHasher
    common: CommonPasswords


class Accounts:
    """Registers users and logs them in."""

    def __init__(
        self,
        stores: UserStores,
        apps: Apps,
        passwords: PasswordRules,
        guard: LoginGuard,
        letters: Letters,
        *,
        ids: IdSource,
        clock: Clock,
        changes: Changes,
        limits: UserLimits,
        sleep: Sleep,
        errands: Errands,
    ) -> None:
        self._accounts = stores.accounts
        self._sessions = stores.sessions
        self._apps = apps
        self._hasher = passwords.hasher
        self._common = passwords.common
        self._guard = guard
        self._letters = letters
        self._ids = ids
        self._clock = clock
        self._changes = changes
        self._limits = limits
        self._sleep = sleep
        self._errands = errands
        self._registrations: Budgets[str] = Budgets(limits.registrations)

    async def register(
        self, app_id: str, email: str, password: str, *, label: str, address: str
    ) -> LoggedIn:
        """Add a user to the app, log them in, and send a letter that confirms the address.

        `label` is what the client calls itself, `address` where the call came from. An app
        that hides its accounts opens no session here, for nobody: an address that has an
        account gets the same answer, and its owner a letter. Otherwise what the token opens
        would tell the two apart.

        Raises:
            InvalidEmailError, InvalidPasswordError: one of them is not possible.
            AppNotFoundError: there is no such app.
            UserExistsError: the app has a user with this address.
            TooManyRequestsError: too many registrations came from this address.
            OverloadedError: too many passwords wait to be hashed.
        """
        known_as = email_address(email)
        checked = checked_password(password, self._common)
        wait_s = self._registrations.take(address, self._clock.monotonic())
        if wait_s > 0:
            per_hour = round(self._registrations.rate.per_second * 3_600)
            refuse(f"at most {per_hour} registrations in an hour from one address", wait_s)
        app = await self._apps.get(app_id)
        # Before anybody asks whether the address has an account: both answers take this long.
        password_hash = await self._hasher.hash(checked, payer=address)
        if app.settings.hides_accounts:
            return await self._register_hidden(app, known_as, password_hash, address)
        logged_in = await self._add(app, known_as, password_hash, label)
        if logged_in is None:
            raise UserExistsError
        self._guard.make_familiar(account_key(app.id, known_as), address)
        return logged_in

    async def login(
        self, app_id: str, email: str, password: str, *, label: str, address: str
    ) -> LoggedIn:
        """Open a new session; beyond the most a user may have, the longest unused one ends.

        Raises:
            WrongPasswordError: the address has no account in this app, or another password,
                or is not confirmed yet in an app that hides its accounts.
            AppNotFoundError: there is no such app.
            TooManyRequestsError: too many wrong passwords were tried.
            OverloadedError: too many passwords wait to be checked.
        """
        try:
            known_as = email_address(email)
        except InvalidEmailError:
            known_as = None
        key = account_key(app_id, email if known_as is None else known_as)
        async with self._guard.attempt(key, address):
            app = await self._apps.get(app_id)
            candidate = normalised_password(password)
            if candidate is None:
                raise WrongPasswordError
            account = None if known_as is None else await self._accounts.account(app.id, known_as)
            account = await self._checked(account, candidate, address)
            if app.settings.hides_accounts and account.user.confirmed_at_ms is None:
                raise WrongPasswordError
            return await self._open(app, account, candidate, label=label, address=address)

    async def _register_hidden(
        self, app: App, email: str, password_hash: str, address: str
    ) -> LoggedIn:
        async with even_time(self._limits.hiding_s, self._clock, self._sleep):
            if await self._add_user(app, self._new_user(app, email), password_hash, None):
                self._guard.make_familiar(account_key(app.id, email), address)
            else:
                # Another turn at the store, which who is new does not take.
                self._errands.later(lambda: self._tell_owner(app, email))
        return LoggedIn(self._ids.session_token(), None)

    async def _add(self, app: App, email: str, password_hash: str, label: str) -> LoggedIn | None:
        user = self._new_user(app, email)
        token, session = new_session(
            user.id, label, ids=self._ids, now_ms=user.created_at_ms, limits=self._limits
        )
        if not await self._add_user(app, user, password_hash, session):
            return None
        return LoggedIn(token, Caller(user, app, session.session.id))

    def _new_user(self, app: App, email: str) -> User:
        now_ms = self._clock.now_ms()
        return User(UserId(self._ids.sortable_id(now_ms)), app.id, email, now_ms)

    async def _add_user(
        self, app: App, user: User, password_hash: str, session: NewSession | None
    ) -> bool:
        """Add the user with a letter; return False if the address has an account."""
        link, letter = None, None
        # Without the letter the user is added all the same: they can ask for it another day.
        if self._letters.wait_s(Occasion.CONFIRM_ADDRESS, app, user.email) <= 0:
            link, letter = self._letters.write_link(LinkPurpose.CONFIRM, app, user)
        is_added = await self._accounts.add_user(
            Account(user, password_hash), session, mail_link=link, letter=letter
        )
        if not is_added and letter is not None:
            self._letters.unwritten(Occasion.CONFIRM_ADDRESS, app, user.email)
        return is_added

    async def _tell_owner(self, app: App, email: str) -> None:
        if self._letters.wait_s(Occasion.REGISTERED_AGAIN, app, email) <= 0:
            letter = self._letters.write(Occasion.REGISTERED_AGAIN, app, email)
            await self._accounts.note_letter(letter, at_ms=self._clock.now_ms())

    async def _checked(self, account: Account | None, password: str, address: str) -> Account:
        """Return the account if the password is its own; for None, refuse after the same work."""
        encoded = None if account is None else account.password_hash
        is_right = await self._hasher.verify(encoded, password, payer=address)
        if account is None or not is_right:
            raise WrongPasswordError
        return account

    async def _open(
        self, app: App, account: Account, password: str, *, label: str, address: str
    ) -> LoggedIn:
        password_hash = await self._renewed(account, password, address)
        user = account.user
        token, session = new_session(
            user.id, label, ids=self._ids, now_ms=self._clock.now_ms(), limits=self._limits
        )
        await self._sessions.add_session(session, max_sessions=self._limits.max_sessions)
        # Sessions that were ended for this one were announced; a new one alone concerns nobody.
        self._changes.look_now()
        # A change of the password ends the sessions that it finds. One that came between the
        # check and this session would leave it open to who knows the old password.
        now = await self._accounts.account_of(user.id)
        if now is None or now.password_hash != password_hash:
            try:
                now = await self._checked(now, password, address)
            except ThingsteadError:
                await self._sessions.end_session(user.id, session.session.id)
                raise
        return LoggedIn(token, Caller(now.user, app, session.session.id))

    async def _renewed(self, account: Account, password: str, address: str) -> str:
        """Return the account's hash, made anew if that is due."""
        old = account.password_hash
        if not self._hasher.needs_rehash(old):
            return old
        try:
            new = await self._hasher.hash(password, payer=address)
        except OverloadedError:
            return old  # It can wait for another log-in.
        await self._accounts.rehash(account.user.id, old=old, new=new)
        return new
