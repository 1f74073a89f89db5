"""Addresses and texts as they may stand in the headers of a mail.

What does not belong there is refused (addresses) or turned into a blank (texts): a line feed
would begin a header of somebody else's choice.
"""

import ipaddress
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from urllib.parse import urlsplit

from thingstead.kernel.names import has_control_characters

LONGEST_ADDRESS = 254  # RFC 5321 4.5.3.1.3, less the angle brackets
_LONGEST_LOCAL_PART_BYTES = 64
_ENCODED = "=?"  # begins an encoded word (RFC 2047)
# They turn the text that follows around, so that a name could read as another one.
_TURNING = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def one_line(text: str, most: int) -> str:
    """Return the text on one line, without control characters, cut to `most` characters."""
    plain = "".join(
        " " if has_control_characters(character) else character
        for character in text.translate(_TURNING)
    )
    line = " ".join(plain.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def header_text(text: str) -> str:
    """Return a line that the library takes as it stands.

    It decodes `=?utf-8?q?=0D=0A…?=` in what it is given, and writes the line feed out when
    the mail may hold UTF-8 (found by the tests' corpus, with Python 3.11.7).
    """
    return text.replace(_ENCODED, "= ?")


def checked_address(address: str, *, name: str = "") -> Address:
    """Return a mailbox for a header, its domain in ASCII (IDNA).

    Raises:
        ValueError: it is no mailbox, or could be read as more than one; it is not quoted.
    """
    local, at, domain = address.rpartition("@")
    if (
        not (at and domain)
        or len(address) > LONGEST_ADDRESS
        or not 0 < len(local.encode("utf-8", "replace")) <= _LONGEST_LOCAL_PART_BYTES
        or _ENCODED in local
        or any(c.isspace() or not c.isprintable() or c in '"(),:;<>[\\]@' for c in local + domain)
    ):
        raise ValueError("it is no mail address")
    try:
        # Given in two parts, because the library parses whole addresses in ASCII only.
        return Address(display_name=header_text(name), username=local, domain=ascii_host(domain))
    except (HeaderParseError, ValueError):
        raise ValueError("it is no mail address") from None


def parse_sender(text: str) -> Address:
    """Return the mailbox in `address` or `Name <address>`.

    Raises:
        ValueError: it is neither.
    """
    if has_control_characters(text):
        raise ValueError("a sender must not hold control characters")
    name, address = parseaddr(text)
    if not address:
        raise ValueError("expected `address` or `Name <address>`")
    return checked_address(address, name=name)


def ascii_host(host: str) -> str:
    """Return the host's name in ASCII.

    Raises:
        ValueError: no host can have this name.
    """
    return host if host.isascii() else host.encode("idna").decode("ascii")


def greeting_name(public_url: str) -> str:
    """Return how a server of that URL names itself to a mail server (RFC 5321 4.1.3)."""
    host = urlsplit(public_url).hostname or "localhost"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ascii_host(host)
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
