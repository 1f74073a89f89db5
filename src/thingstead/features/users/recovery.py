"""Forgotten passwords and addresses to confirm: what the links in letters do.

Whoever has the link is the owner of the mailbox. A link works once; only its digest is kept,
and the page that it opens changes nothing before its button is pressed, because mail scanners
follow links (`rulings.md`, Things, links, shares). Links that do not work cost their sender
budget, in `guesses`, which the links of grants share.
"""

from thingstead.features.apps.model import App
from thingstead.features.apps.service import Apps
from thingstead.features.mail.model import Occasion
from thingstead.features.users.accounts import PasswordRules
from thingstead.features.users.addresses import email_address
from thingstead.features.users.errands import Errands
from thingstead.features.users.errors import InvalidEmailError, MailLinkNotFoundError
from thingstead.features.users.letters import Letters
from thingstead.features.users.limits import UserLimits, refuse
from thingstead.features.users.login_guard import LoginGuard, Sleep, account_key
from thingstead.features.users.model import Caller, LinkPurpose, User
from thingstead.features.users.passwords import checked_password
from thingstead.features.users.ports import AccountStore, MailLinkStore
from thingstead.kernel.budget import Budgets
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock
from thingstead.kernel.guesses import Guesses
from thingstead.kernel.ids import AppId, digest, is_token_shaped


class Recovery:
    """Sends links to users' addresses and does what the links are for."""

    def __init__(
        self,
        accounts: AccountStore,
        links: MailLinkStore,
        apps: Apps,
        passwords: PasswordRules,
        letters: Letters,
        *,
        clock: Clock,
        changes: Changes,
        limits: UserLimits,
        sleep: Sleep,
        guard: LoginGuard,
        errands: Errands,
        guesses: Guesses,
    ) -> None:
        self._accounts = accounts
        self._links = links
        self._apps = apps
        self._hasher = passwords.hasher
        self._common = passwords.common
        self._letters = letters
        self._clock = clock
        self._changes = changes
        self._limits = limits
        self._sleep = sleep
        self._guard = guard
        self._errands = errands
        self._guesses = guesses
        self._resets: Budgets[str] = Budgets(limits.resets_of_address)

    async def request_reset(self, app_id: str, email: str, *, address: str) -> None:
        """Send a link that resets the password, if the address has an account in the app.

        Nothing tells whether it has, or how many letters it got: not the answer, and not the
        time that it takes. Earlier links are void.

        Raises:
            AppNotFoundError: there is no such app.
            TooManyRequestsError: too many requests came from this address.
        """
        wait_s = self._resets.take(address, self._clock.monotonic())
        if wait_s > 0:
            per_hour = round(self._resets.rate.per_second * 3_600)
            refuse(f"at most {per_hour} password resets in an hour from one address", wait_s)
        app = await self._apps.get(app_id)
        # The letter is written after the answer, which therefore never waits for the store.
        self._errands.later(lambda: self._send_reset(app, email, address))
        await self._sleep(self._limits.hiding_s)

    async def unconfirmed_account(self, app_id: AppId, email: str) -> User | None:
        """Return who registered the address without ever showing that it is theirs.

        For those only who have shown that they read its mails.
        """
        account = await self._accounts.account(app_id, email)
        if account is None or account.user.confirmed_at_ms is not None:
            return None
        return account.user

    async def reset_user(self, token: str, *, address: str) -> User:
        """Return whose password the link resets, changing nothing.

        Raises:
            MailLinkNotFoundError: the link is unknown, used, or has expired.
            TooManyRequestsError: too many such links were tried from this address.
        """
        return await self._user_of(token, LinkPurpose.RESET, address)

    async def reset(self, token: str, password: str, *, address: str) -> User:
        """Use the link up: set the password, end every session, and send a letter.

        Raises:
            InvalidPasswordError: it cannot be used; the link goes on working.
            MailLinkNotFoundError: the link is unknown, used, or has expired.
            TooManyRequestsError: too many such links were tried from this address.
        """
        checked = checked_password(password, self._common)
        # A link that does not work is not worth a hash.
        user = await self.reset_user(token, address=address)
        app = await self._apps.get(user.app_id)
        password_hash = await self._hasher.hash(checked, payer=address)
        letter = self._letters.write(Occasion.PASSWORD_CHANGED, app, user.email)
        changed = await self._links.reset_password(
            digest(token), password_hash, letter=letter, at_ms=self._clock.now_ms()
        )
        if changed is None:
            raise MailLinkNotFoundError
        self._changes.tell(Kind.USER, changed.id)
        return changed

    async def request_confirmation(self, caller: Caller) -> None:
        """Send another link that confirms the user's address; a confirmed one needs none.

        Raises:
            TooManyRequestsError: the address got too many today.
        """
        user, app = caller.user, caller.app
        if user.confirmed_at_ms is not None:
            return
        wait_s = self._letters.wait_s(Occasion.CONFIRM_ADDRESS, app, user.email)
        if wait_s > 0:
            per_day = round(self._limits.confirm_letters.per_second * 86_400)
            refuse(f"at most {per_day} letters to confirm an address in a day", wait_s)
        link, letter = self._letters.write_link(LinkPurpose.CONFIRM, app, user)
        await self._links.add_mail_link(link, letter, at_ms=self._clock.now_ms())

    async def confirm_user(self, token: str, *, address: str) -> User:
        """Return whose address the link confirms, changing nothing.

        Raises:
            MailLinkNotFoundError: the link is unknown, used, or has expired.
            TooManyRequestsError: too many such links were tried from this address.
        """
        return await self._user_of(token, LinkPurpose.CONFIRM, address)

    async def confirm(self, token: str, *, address: str) -> User:
        """Use the link up and note that the address is the user's.

        Raises:
            MailLinkNotFoundError: the link is unknown, used, or has expired.
            TooManyRequestsError: too many such links were tried from this address.
        """
        # Only a link that works is worth a turn among those who write.
        await self.confirm_user(token, address=address)
        user = await self._links.confirm_address(digest(token), at_ms=self._clock.now_ms())
        if user is None:
            raise MailLinkNotFoundError
        self._changes.tell(Kind.USER, user.id)
        return user

    async def _send_reset(self, app: App, email: str, address: str) -> None:
        try:
            known_as = email_address(email)
        except InvalidEmailError:
            return
        account = await self._accounts.account(app.id, known_as)
        if account is None:
            return
        # A stranger who uses the letters up leaves the owner's own to them.
        is_familiar = self._guard.is_familiar(account_key(app.id, known_as), address)
        wait_s = self._letters.wait_s(
            Occasion.RESET_PASSWORD, app, known_as, is_familiar=is_familiar
        )
        if wait_s <= 0:
            link, letter = self._letters.write_link(LinkPurpose.RESET, app, account.user)
            await self._links.add_mail_link(link, letter, at_ms=self._clock.now_ms())

    async def _user_of(self, token: str, purpose: LinkPurpose, address: str) -> User:
        async def look_up() -> User | None:
            return await self._links.user_of_link(
                digest(token), purpose, at_ms=self._clock.now_ms()
            )

        return await self._guesses.find(
            look_up if is_token_shaped(token) else None,
            address=address,
            refusal=MailLinkNotFoundError,
        )
