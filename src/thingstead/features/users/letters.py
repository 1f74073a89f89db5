"""The letters that users get, sealed, and how many of them one address gets in a day.

Somebody who registers other people's addresses, or who loses a password again and again, must
not be able to fill a stranger's mailbox.
"""

from thingstead.features.apps.model import App
from thingstead.features.mail.model import Letter, Occasion, SealedLetter
from thingstead.features.mail.sealing import seal_letter
from thingstead.features.things.ports import Seal
from thingstead.features.users.limits import UserLimits
from thingstead.features.users.login_guard import account_key
from thingstead.features.users.model import LinkPurpose, MailLink, User
from thingstead.kernel.budget import Budgets
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import IdSource, digest

_PATHS = {LinkPurpose.CONFIRM: "/confirm/email/", LinkPurpose.RESET: "/confirm/password/"}
_OCCASIONS = {
    LinkPurpose.CONFIRM: Occasion.CONFIRM_ADDRESS,
    LinkPurpose.RESET: Occasion.RESET_PASSWORD,
}


class Letters:
    """Writes letters to users and counts them."""

    def __init__(self, seal: Seal, ids: IdSource, clock: Clock, limits: UserLimits) -> None:
        self._seal = seal
        self._ids = ids
        self._clock = clock
        self._lasting_ms = {
            LinkPurpose.CONFIRM: limits.confirm_link_ms,
            LinkPurpose.RESET: limits.reset_link_ms,
        }
        self._budgets: dict[Occasion, Budgets[bytes]] = {
            Occasion.CONFIRM_ADDRESS: Budgets(limits.confirm_letters),
            Occasion.RESET_PASSWORD: Budgets(limits.reset_letters),
            Occasion.PASSWORD_CHANGED: Budgets(limits.password_letters),
            Occasion.REGISTERED_AGAIN: Budgets(limits.registered_again_letters),
        }

    def wait_s(
        self, occasion: Occasion, app: App, email: str, *, is_familiar: bool = False
    ) -> float:
        """Take one letter from the address's budget; return 0, or the seconds to wait.

        Letters that somebody familiar asks for have a budget of their own.
        """
        key = account_key(app.id, email)
        if is_familiar:
            key = b"familiar " + key
        return self._budgets[occasion].take(key, self._clock.monotonic())

    def unwritten(self, occasion: Occasion, app: App, email: str) -> None:
        """Give back what `wait_s` took for a letter that was not sent."""
        self._budgets[occasion].give_back(account_key(app.id, email))

    def write(self, occasion: Occasion, app: App, email: str) -> SealedLetter:
        """Return a letter that holds no link."""
        return self._seal_letter(occasion, email, {"app": app.name})

    def write_link(
        self, purpose: LinkPurpose, app: App, user: User
    ) -> tuple[MailLink, SealedLetter]:
        """Return a new link and the letter that carries its secret, which nobody else knows."""
        token = self._ids.token()
        expires_at_ms = self._clock.now_ms() + self._lasting_ms[purpose]
        link = MailLink(digest(token), purpose, user.id, expires_at_ms)
        facts = {"app": app.name, "link": _PATHS[purpose] + token}
        return link, self._seal_letter(_OCCASIONS[purpose], user.email, facts)

    def _seal_letter(self, occasion: Occasion, to: str, facts: dict[str, str]) -> SealedLetter:
        return seal_letter(Letter(occasion, to, facts), self._seal, self._ids)
