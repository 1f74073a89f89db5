"""Users, their sessions, mail links and settings in memory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from doubles.objects import KeptObjects
from doubles.organisation import Organisation
from thingstead.features.mail.model import SealedLetter
from thingstead.features.users.errors import SettingsTooLargeError
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


class MemoryAccountStore:
    """Keeps users and their password hashes."""

    def __init__(self, organisation: Organisation, objects: KeptObjects) -> None:
        self._organisation = organisation
        self._objects = objects

    async def add_user(
        self,
        account: Account,
        session: NewSession | None,
        *,
        mail_link: MailLink | None,
        letter: SealedLetter | None,
    ) -> bool:
        user = account.user
        if self._organisation.account(user.app_id, user.email) is not None:
            return False
        self._organisation.accounts[user.id] = account
        if session is not None:
            self._organisation.sessions[session.digest] = session.session
        if mail_link is not None:
            self._organisation.mail_links[mail_link.digest] = mail_link
        if letter is not None:
            self._organisation.put_letter(letter, user.created_at_ms)
        return True

    async def account(self, app_id: AppId, email: str) -> Account | None:
        return self._organisation.account(app_id, email)

    async def account_of(self, user_id: UserId) -> Account | None:
        return self._organisation.accounts.get(user_id)

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
        account = self._organisation.accounts.get(user_id)
        if account is None:
            return False
        if keep is not None and not _has_session(self._organisation, user_id, keep, at_ms):
            return False
        self._organisation.accounts[user_id] = replace(account, password_hash=password_hash)
        _end_sessions(self._organisation, user_id, keep)
        if voids_resets:
            _void_mail_links(self._organisation, user_id, LinkPurpose.RESET)
        if letter is not None:
            self._organisation.put_letter(letter, at_ms)
        self._organisation.announce(users=[user_id])
        return True

    async def rehash(self, user_id: UserId, *, old: str, new: str) -> None:
        account = self._organisation.accounts.get(user_id)
        if account is not None and account.password_hash == old:
            self._organisation.accounts[user_id] = replace(account, password_hash=new)

    async def note_letter(self, letter: SealedLetter, *, at_ms: int) -> None:
        self._organisation.put_letter(letter, at_ms)

    async def delete_user(self, user_id: UserId, *, at_ms: int, proof: Proof | None = None) -> bool:
        org = self._organisation
        if user_id not in org.accounts:
            return False
        if proof is not None and (
            org.accounts[user_id].password_hash != proof.password_hash
            or not _has_session(org, user_id, proof.session_id, at_ms)
        ):
            return False
        for thing_id in [thing_id for thing_id, (user, _) in org.links.items() if user == user_id]:
            org.disown(user_id, thing_id)
        for key in [key for key, user in org.epoch_owner.items() if user == user_id]:
            del org.epoch_owner[key]
            org.purge_epochs[key] = at_ms
        self._end_grants(org.accounts[user_id].user)
        org.settings.pop(user_id, None)
        _end_sessions(org, user_id, None)
        for purpose in LinkPurpose:
            _void_mail_links(org, user_id, purpose)
        for claim in [claim for claim in org.claims if claim[2] == user_id]:
            del org.claims[claim]
        org.purge_users[user_id] = at_ms
        self._objects.of_nobody.add(user_id)
        self._objects.deleted_users.add(user_id)
        del org.accounts[user_id]
        return True

    def _end_grants(self, user: User) -> None:
        org = self._organisation
        users = {user.id}
        for kept in list(org.grants.values()):
            is_received = user.confirmed_at_ms is not None and (
                kept.grant.app_id,
                kept.grant.email,
            ) == (user.app_id, user.email)
            if is_received or kept.grant.giver_id == user.id:
                users |= org.users_of(kept.grant)
                del org.grants[kept.grant.id]
        org.announce(users=users | org.settle())


class MemorySessionStore:
    """Keeps sessions."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def session(self, digest: bytes, *, at_ms: int) -> tuple[Session, User] | None:
        session = self._organisation.sessions.get(digest)
        if session is None or session.expires_at_ms <= at_ms:
            return None
        return session, self._organisation.accounts[session.user_id].user

    async def add_session(self, session: NewSession, *, max_sessions: int) -> None:
        org, new = self._organisation, session.session
        if new.user_id not in org.accounts:
            return
        theirs = {d: s for d, s in org.sessions.items() if s.user_id == new.user_id}
        valid = {d: s for d, s in theirs.items() if s.expires_at_ms > new.created_at_ms}
        newest_first = sorted(valid, key=lambda d: (valid[d].seen_at_ms, valid[d].id), reverse=True)
        kept = newest_first[: max_sessions - 1]
        for digest in theirs.keys() - set(kept):
            del org.sessions[digest]
        if len(kept) < len(valid):
            org.announce(users=[new.user_id])
        org.sessions[session.digest] = new

    async def sessions(self, user_id: UserId, *, at_ms: int) -> list[Session]:
        theirs = [
            session
            for session in self._organisation.sessions.values()
            if session.user_id == user_id and session.expires_at_ms > at_ms
        ]
        return sorted(theirs, key=lambda session: (session.created_at_ms, session.id), reverse=True)

    async def end_session(self, user_id: UserId, session_id: SessionId) -> bool:
        org = self._organisation
        for digest, session in org.sessions.items():
            if (session.user_id, session.id) == (user_id, session_id):
                del org.sessions[digest]
                org.announce(users=[user_id])
                return True
        return False

    async def end_other_sessions(self, user_id: UserId, keep: SessionId) -> int:
        ended = _end_sessions(self._organisation, user_id, keep)
        if ended:
            self._organisation.announce(users=[user_id])
        return ended

    async def note_seen(self, uses: Sequence[SessionUse]) -> None:
        used = {use.session_id: use for use in uses}
        for digest, session in self._organisation.sessions.items():
            use = used.get(session.id)
            if use is not None:
                self._organisation.sessions[digest] = replace(
                    session, seen_at_ms=use.seen_at_ms, expires_at_ms=use.expires_at_ms
                )

    async def delete_expired(self, *, at_ms: int, limit: int) -> int:
        deleted = 0
        for kept in (self._organisation.sessions, self._organisation.mail_links):
            expired = [d for d, one in kept.items() if one.expires_at_ms <= at_ms]
            for digest in expired[: limit - deleted]:
                del kept[digest]
                deleted += 1
        return deleted


class MemoryMailLinkStore:
    """Keeps links that mails carry."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def add_mail_link(self, link: MailLink, letter: SealedLetter, *, at_ms: int) -> None:
        if link.user_id not in self._organisation.accounts:
            return
        _void_mail_links(self._organisation, link.user_id, link.purpose)
        self._organisation.mail_links[link.digest] = link
        self._organisation.put_letter(letter, at_ms)

    async def user_of_link(self, digest: bytes, purpose: LinkPurpose, *, at_ms: int) -> User | None:
        link = self._organisation.mail_links.get(digest)
        if link is None or link.purpose is not purpose or link.expires_at_ms <= at_ms:
            return None
        return self._organisation.accounts[link.user_id].user

    async def confirm_address(self, digest: bytes, *, at_ms: int) -> User | None:
        user = await self.user_of_link(digest, LinkPurpose.CONFIRM, at_ms=at_ms)
        return None if user is None else self._use_up(digest, user, at_ms)

    async def reset_password(
        self, digest: bytes, password_hash: str, *, letter: SealedLetter, at_ms: int
    ) -> User | None:
        user = await self.user_of_link(digest, LinkPurpose.RESET, at_ms=at_ms)
        if user is None:
            return None
        org = self._organisation
        org.accounts[user.id] = replace(org.accounts[user.id], password_hash=password_hash)
        _end_sessions(org, user.id, None)
        org.put_letter(letter, at_ms)
        return self._use_up(digest, user, at_ms)

    def _use_up(self, digest: bytes, user: User, at_ms: int) -> User:
        del self._organisation.mail_links[digest]
        self._organisation.announce(users=[user.id])
        return self._organisation.confirm(self._organisation.accounts[user.id], at_ms).user


class MemorySettingsStore:
    """Keeps the users' settings."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def settings(self, user_id: UserId) -> dict[str, object]:
        return dict(self._organisation.settings.get(user_id, {}))

    async def merge_settings(
        self,
        user_id: UserId,
        members: Mapping[str, object],
        *,
        max_bytes: int,
        max_members: int,
    ) -> None:
        if user_id not in self._organisation.accounts:
            return
        merged = self._organisation.settings.get(user_id, {}) | dict(members)
        size = len(json.dumps(merged, ensure_ascii=False, separators=(",", ":")).encode())
        if len(merged) > max_members or size > max_bytes:
            raise SettingsTooLargeError
        self._organisation.settings[user_id] = merged


def _has_session(org: Organisation, user_id: UserId, session_id: SessionId, at_ms: int) -> bool:
    return any(
        (one.user_id, one.id) == (user_id, session_id) and one.expires_at_ms > at_ms
        for one in org.sessions.values()
    )


def _end_sessions(org: Organisation, user_id: UserId, keep: SessionId | None) -> int:
    ended = [d for d, s in org.sessions.items() if s.user_id == user_id and s.id != keep]
    for digest in ended:
        del org.sessions[digest]
    return len(ended)


def _void_mail_links(org: Organisation, user_id: UserId, purpose: LinkPurpose) -> None:
    org.mail_links = {
        digest: link
        for digest, link in org.mail_links.items()
        if (link.user_id, link.purpose) != (user_id, purpose)
    }
