"""Identifiers and secrets: their shapes, how they are made, and how they are looked up.

Thing ids and thing tokens are 32 random bytes in URL-safe base64 without padding, 43
characters (`thethings-v2.md` 1.3: the Arduino library cuts exactly that many). Secrets are
looked up by their SHA-256 digest: a fast hash is right for 256 random bits, and no
comparison depends on the secret's prefix.
"""

import base64
import hashlib
import re
import secrets
from typing import NewType, Protocol

ThingId = NewType("ThingId", str)
ThingToken = NewType("ThingToken", str)
ActivationCode = NewType("ActivationCode", str)
ProductId = NewType("ProductId", int)
ResourceKey = NewType("ResourceKey", str)
AppId = NewType("AppId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
SessionToken = NewType("SessionToken", str)
GrantId = NewType("GrantId", str)
FirmwareId = NewType("FirmwareId", str)
CampaignId = NewType("CampaignId", str)

TOKEN_LENGTH = 43
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
# Crockford's base32: no I, L, O or U, so that a printed code can be read aloud.
_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_RANDOM_CHARACTERS = 19  # 95 random bits; security.md asks for 80 at least
_HASH_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HASH_LENGTH = 14
_SESSION_PREFIX = "us_"  # so that secret scanners find one that leaked (`security.md` 6)
_SORTABLE_TIME_CHARACTERS = 10  # 50 bits of milliseconds: until the year 37,000
_SORTABLE_RANDOM_CHARACTERS = 20  # 100 random bits


class IdSource(Protocol):
    """Makes new identifiers and secrets."""

    def token(self) -> str:
        """Return 43 URL-safe characters from 32 random bytes."""
        ...

    def activation_code(self) -> ActivationCode:
        """Return a new code of 20 characters, the last one a check character."""
        ...

    def product_hash(self) -> str:
        """Return 14 random base62 characters."""
        ...

    def short_id(self) -> str:
        """Return 14 random base62 characters, the form of an app's id (`thethings-v2.md` 6)."""
        ...

    def session_token(self) -> SessionToken:
        """Return `us_` and 43 URL-safe characters from 32 random bytes."""
        ...

    def sortable_id(self, at_ms: int) -> str:
        """Return 30 characters that sort by time; 20 of them are random."""
        ...


class SystemIdSource:
    """Identifiers from the operating system's secure random numbers."""

    def token(self) -> str:
        """Return 43 URL-safe characters from 32 random bytes."""
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode("ascii")

    def activation_code(self) -> ActivationCode:
        """Return a new code of 20 characters, the last one a check character."""
        body = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_RANDOM_CHARACTERS))
        return ActivationCode(body + _check_character(body))

    def product_hash(self) -> str:
        """Return 14 random base62 characters."""
        return "".join(secrets.choice(_HASH_ALPHABET) for _ in range(_HASH_LENGTH))

    def short_id(self) -> str:
        """Return 14 random base62 characters, the form of an app's id (`thethings-v2.md` 6)."""
        return self.product_hash()

    def session_token(self) -> SessionToken:
        """Return `us_` and 43 URL-safe characters from 32 random bytes."""
        return SessionToken(_SESSION_PREFIX + self.token())

    def sortable_id(self, at_ms: int) -> str:
        """Return 30 characters that sort by time; 20 of them are random."""
        random = secrets.randbits(5 * _SORTABLE_RANDOM_CHARACTERS)
        return _base32(at_ms, _SORTABLE_TIME_CHARACTERS) + _base32(
            random, _SORTABLE_RANDOM_CHARACTERS
        )


def is_token_shaped(text: str) -> bool:
    """Return whether the text has the form of a thing token or thing id."""
    return _TOKEN.fullmatch(text) is not None


def is_session_shaped(text: str) -> bool:
    """Return whether the text has the form of a session token."""
    return text.startswith(_SESSION_PREFIX) and is_token_shaped(text.removeprefix(_SESSION_PREFIX))


def digest(secret: str) -> bytes:
    """Return the 32 bytes by which a secret is looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def normalised_code(text: str) -> ActivationCode | None:
    """Return the code as it is stored, or None when the text cannot be one.

    Lower case, blanks and hyphens are forgiven, O reads as 0 and I or L as 1 (Crockford's
    base32). The check character (Luhn modulo 32) finds every single mistyped character, so
    that a typing error costs no attempt against the store.
    """
    if len(text) > 64:
        return None
    code = text.upper().replace("-", "").replace(" ", "").translate(_FORGIVEN)
    if len(code) != _CODE_RANDOM_CHARACTERS + 1 or any(c not in _CODE_ALPHABET for c in code):
        return None
    return ActivationCode(code) if _check_character(code[:-1]) == code[-1] else None


_FORGIVEN = str.maketrans({"O": "0", "I": "1", "L": "1"})


def _base32(number: int, characters: int) -> str:
    """Return the number's lowest 5 bits a character, most significant first."""
    return "".join(
        _CODE_ALPHABET[number >> shift & 31] for shift in range(5 * (characters - 1), -1, -5)
    )


def _check_character(body: str) -> str:
    """Return the Luhn check character modulo 32 of the body."""
    total = 0
    for position, character in enumerate(reversed(body)):
        doubled = _CODE_ALPHABET.index(character) * (2 if position % 2 == 0 else 1)
        total += doubled // 32 + doubled % 32
    return _CODE_ALPHABET[-total % 32]
