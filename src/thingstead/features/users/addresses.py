"""Mail addresses: which texts can be one, and the form in which they are compared.

Narrower than RFC 5321, which allows quoted local parts, blanks and comments: nobody has such
an address, and each of those characters means something in a mail's head. Wider in one place:
a domain may have no dot, for those who serve a house or a lab (`ada@localhost`).

Domains are kept in ASCII (IDNA, RFC 3490): a hundred spellings in Unicode are one domain, and
one mailbox must not have a hundred accounts and a hundred times its letters.
"""

import re
import unicodedata

from thingstead.features.users.errors import InvalidEmailError

MAX_CHARACTERS = 254
MAX_LOCAL_CHARACTERS = 64
MAX_LABEL_CHARACTERS = 63
# Letters that the two versions of IDNA read differently: the mail could go to a stranger.
_AMBIGUOUS = frozenset("\u00df\u03c2")
_ASCII_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LARGEST_TEXT = 4 * MAX_CHARACTERS
_REFUSED = frozenset('<>,;:"()[]\\')
# Control, format, surrogate and private characters, and every kind of blank.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"})


def email_address(text: str) -> str:
    """Return the address as it is kept and compared: no blanks, in lower case.

    What is before the @ is composed (NFC), and the domain in ASCII.

    Mail servers that tell capitals in the local part apart are a curiosity, and people who
    type their address with a capital on a phone are not: `Ada@example.org` is one account
    with `ada@example.org`.

    Raises:
        InvalidEmailError: it cannot be an address; the text says why and never quotes it.
    """
    if len(text) > _LARGEST_TEXT:
        raise InvalidEmailError(f"longer than {MAX_CHARACTERS} characters")
    composed = unicodedata.normalize("NFC", text.strip())
    address = unicodedata.normalize("NFC", composed.lower())
    if len(address) > MAX_CHARACTERS:
        raise InvalidEmailError(f"longer than {MAX_CHARACTERS} characters")
    if address.count("@") != 1:
        raise InvalidEmailError("exactly one @ is needed")
    if any(_is_refused(character) for character in address):
        raise InvalidEmailError("it has a character that addresses do not have")
    local, domain = address.split("@")
    if not 1 <= len(local) <= MAX_LOCAL_CHARACTERS:
        raise InvalidEmailError(f"1 to {MAX_LOCAL_CHARACTERS} characters are needed before the @")
    if not all(_is_label(label) for label in domain.split(".")):
        raise InvalidEmailError("what follows the @ is no domain")
    known_as = f"{local}@{'.'.join(map(_ascii, domain.split('.')))}"
    if len(known_as) > MAX_CHARACTERS:
        raise InvalidEmailError(f"longer than {MAX_CHARACTERS} characters")
    return known_as


def _is_refused(character: str) -> bool:
    return character in _REFUSED or unicodedata.category(character) in _REFUSED_CATEGORIES


def _is_label(label: str) -> bool:
    """Return whether it is a part of a domain; letters of all scripts are (RFC 5890)."""
    if not 1 <= len(label) <= MAX_LABEL_CHARACTERS or "-" in (label[0], label[-1]):
        return False
    kinds = [unicodedata.category(character) for character in label]
    return kinds[0][0] != "M" and all(
        kind[0] in "LM" or kind == "Nd" or character == "-"
        for kind, character in zip(kinds, label, strict=True)
    )


def _ascii(label: str) -> str:
    """Return the label in ASCII and lower case, as a mail server asks for it."""
    if not _AMBIGUOUS.isdisjoint(label):
        raise InvalidEmailError("write the domain in ASCII, as xn--…")
    try:
        encoded = label.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise InvalidEmailError("what follows the @ is no domain") from None
    if len(encoded) > MAX_LABEL_CHARACTERS or _ASCII_LABEL.fullmatch(encoded) is None:
        raise InvalidEmailError("what follows the @ is no domain")
    return encoded
