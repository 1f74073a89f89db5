"""What the rules of users need from storage."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from thingstead.features.mail.model import SealedLetter
from thingstead.features.users.model import (
    Account,
    LinkPurpose,
    MailLink,
    NewSession,
    Proof,
    Session,
    SessionUse,
    User,
)
from thingstead.kernel.ids import AppId, SessionId, UserId


class AccountStore(Protocol):
    """Keeps users and their password hashes. Letters go to the outbox in the same transaction."""

    async def add_user(
        self,
        account: Account,
        session: NewSession | None,
        *,
        mail_link: MailLink | None,
        letter: SealedLetter | None,
    ) -> bool:
        """Add the user, with a first session or with none.

        Returns False, adding nothing, when the app has a user with this address. Of any number
        of concurrent calls one succeeds.
        """
        ...

    async def account(self, app_id: AppId, email: str) -> Account | None:
        """Return the app's user with that address."""
        ...

    async def account_of(self, user_id: UserId) -> Account | None:
        """Return the user with that id."""
        ...

    async def set_password(
        self,
        user_id: UserId,
        password_hash: str,
        *,
        keep: SessionId | None,
        voids_resets: bool,
        letter: SealedLetter | None,
        at_ms: int,
    ) -> bool:
        """Replace the hash, end every session but `keep`, and void links that reset, if asked to.

        Returns False, changing nothing, when there is no such user, or when `keep` is no
        session of theirs any more. Announced to other processes.
        """
        ...

    async def rehash(self, user_id: UserId, *, old: str, new: str) -> None:
        """Replace the hash, if it still is `old`, by another of the same password."""
        ...

    async def note_letter(self, letter: SealedLetter, *, at_ms: int) -> None:
        """Put a letter into the outbox that no other change calls for."""
        ...

    async def delete_user(self, user_id: UserId, *, at_ms: int, proof: Proof | None = None) -> bool:
        """Delete the user with all that is theirs, in one transaction.

        Returns False, deleting nothing, when there is no such user, or when the session or
        the password of `proof` is not theirs any more.
        Sessions, settings, mail links and collections go; things are unlinked, and what they
        wrote in the user's epochs is noted for purging; grants given, those passed on from
        them, and grants received go. Announced to other processes.
        """
        ...


class SessionStore(Protocol):
    """Keeps sessions."""

    async def session(self, digest: bytes, *, at_ms: int) -> tuple[Session, User] | None:
        """Return the session and whose it is; None when unknown or expired."""
        ...

    async def add_session(self, session: NewSession, *, max_sessions: int) -> None:
        """Add a session; beyond `max_sessions` the user's longest unseen ones end.

        Ended ones are announced to other processes in the same transaction.
        """
        ...

    async def sessions(self, user_id: UserId, *, at_ms: int) -> list[Session]:
        """Return the user's sessions that have not expired, the newest first."""
        ...

    async def end_session(self, user_id: UserId, session_id: SessionId) -> bool:
        """End one of the user's sessions; return False when they have none with that id.

        Announced to other processes.
        """
        ...

    async def end_other_sessions(self, user_id: UserId, keep: SessionId) -> int:
        """End all of the user's sessions but one; return how many. Announced."""
        ...

    async def note_seen(self, uses: Sequence[SessionUse]) -> None:
        """Note that sessions were used, all in one transaction; some may have ended."""
        ...

    async def delete_expired(self, *, at_ms: int, limit: int) -> int:
        """Delete at most `limit` expired sessions and mail links; return how many."""
        ...


class MailLinkStore(Protocol):
    """Keeps the links that mails to users carry."""

    async def add_mail_link(self, link: MailLink, letter: SealedLetter, *, at_ms: int) -> None:
        """Add a link and its letter; earlier links of the same purpose and user are void."""
        ...

    async def user_of_link(self, digest: bytes, purpose: LinkPurpose, *, at_ms: int) -> User | None:
        """Return whose link it is, changing nothing; None when used, expired or unknown."""
        ...

    async def confirm_address(self, digest: bytes, *, at_ms: int) -> User | None:
        """Use the link up and note that the address is the user's. Announced."""
        ...

    async def reset_password(
        self, digest: bytes, password_hash: str, *, letter: SealedLetter, at_ms: int
    ) -> User | None:
        """Use the link up, replace the hash, end every session; the address is confirmed too.

        Announced to other processes.
        """
        ...


class SettingsStore(Protocol):
    """Keeps the users' settings."""

    async def settings(self, user_id: UserId) -> dict[str, object]:
        """Return the user's settings, in the order in which they were first set."""
        ...

    async def merge_settings(
        self,
        user_id: UserId,
        members: Mapping[str, object],
        *,
        max_bytes: int,
        max_members: int,
    ) -> None:
        """Set the members named, keep the others; of parallel merges none is lost.

        Raises:
            SettingsTooLargeError: they would become too large or too many; nothing is stored.
        """
        ...
