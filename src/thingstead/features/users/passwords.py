"""What a password may be, and what hashing one needs from the rim.

Passwords are compared in composed form (NFC), because keyboards differ in how they write the
same letter. No text of an error ever quotes one.
"""

import unicodedata
from typing import Protocol

from thingstead.features.users.errors import InvalidPasswordError
from thingstead.kernel.names import has_control_characters

SHORTEST = 8
LONGEST = 128
LARGEST_BYTES = 1024


class PasswordHasher(Protocol):
    """Hashes slowly on purpose, in threads of its own and never on the event loop.

    Raises OverloadedError when too many calls wait. `payer` is for whom the work is done,
    such as a client's address: those who pay take turns, and who has most waiting is refused
    first.
    """

    async def hash(self, password: str, *, payer: str = "") -> str:
        """Return the encoded hash, with its parameters and its salt."""
        ...

    async def verify(self, encoded: str | None, password: str, *, payer: str = "") -> bool:
        """Return whether the password is the one that was hashed.

        None, for an account that does not exist, costs as much time and is never right.
        """
        ...

    def needs_rehash(self, encoded: str) -> bool:
        """Return whether the hash was made with other parameters than today's."""
        ...


class CommonPasswords(Protocol):
    """Knows passwords that are tried first."""

    def __contains__(self, password: str) -> bool: ...


def checked_password(text: str, common: CommonPasswords) -> str:
    """Return a new password in the form in which it is hashed.

    It has 8 to 128 characters; as it was sent it takes at most 1,024 bytes.

    Raises:
        InvalidPasswordError: it cannot be used; the text says why.
    """
    password = None if _is_too_large(text) else unicodedata.normalize("NFC", text)
    if password is None or len(password) > LONGEST:
        raise InvalidPasswordError(f"longer than {LONGEST} characters")
    if len(password) < SHORTEST:
        raise InvalidPasswordError(f"shorter than {SHORTEST} characters")
    if has_control_characters(password):
        raise InvalidPasswordError("it has control characters")
    if password in common:
        raise InvalidPasswordError("it is one of the most common ones")
    return password


def normalised_password(text: str) -> str | None:
    """Return what to compare with a hash, or None when nobody can have such a password.

    Only its length is looked at: rules for new passwords may become stricter, and old ones
    must go on working.
    """
    if _is_too_large(text):
        return None
    password = unicodedata.normalize("NFC", text)
    return password if len(password) <= LONGEST else None


def check_confirmation(password: object, confirmation: object) -> None:
    """Check that a password typed twice was typed the same way.

    Raises:
        InvalidPasswordError: the two differ.
    """
    if password != confirmation:
        raise InvalidPasswordError("confirmationPassword: it is not the same as password")


def _is_too_large(text: str) -> bool:
    # Composing may shorten a text, so what was sent is bounded before that work is done.
    return len(text) > LARGEST_BYTES or len(text.encode("utf-8", "surrogatepass")) > LARGEST_BYTES
