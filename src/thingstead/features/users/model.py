"""What an app user is, and what stands for one: sessions, and links that mails carry."""

from dataclasses import dataclass
from enum import StrEnum

from thingstead.features.apps.model import App
from thingstead.kernel.ids import AppId, SessionId, SessionToken, UserId


@dataclass(frozen=True, slots=True)
class User:
    """A user of one app; `email` is as it is compared (`addresses.py`)."""

    id: UserId
    app_id: AppId
    email: str
    created_at_ms: int
    confirmed_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A user with what their password is checked against."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in that lasts; `label` is what the client calls itself, at most 120 characters."""

    id: SessionId
    user_id: UserId
    created_at_ms: int
    seen_at_ms: int
    expires_at_ms: int
    label: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just made, with the digest by which it is found again."""

    session: Session
    digest: bytes


@dataclass(frozen=True, slots=True)
class SessionUse:
    """When a session was used, and how long it lasts because of that."""

    session_id: SessionId
    seen_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What a call was allowed on: the session it came with, and the hash of its password."""

    session_id: SessionId
    password_hash: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call: a user with a valid session of their app."""

    user: User
    app: App
    session_id: SessionId


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A caller with the token that nobody has seen yet.

    `caller` is None after registering in an app that hides its accounts: the token then opens
    nothing.
    """

    token: SessionToken
    caller: Caller | None


class LinkPurpose(StrEnum):
    """What a link in a mail is good for."""

    CONFIRM = "confirm"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class MailLink:
    """A link that works once, until it expires; only the digest of its secret is kept."""

    digest: bytes
    purpose: LinkPurpose
    user_id: UserId
    expires_at_ms: int
