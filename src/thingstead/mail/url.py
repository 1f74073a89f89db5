"""Where mail goes, as one text of the configuration: `console`, `smtp://…` or `smtps://…`.

Knows the forms and what they mean; connects to nothing. Error texts never quote the
password, nor any other part of the text that could be one.
"""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

EXPECTED = "expected `console`, `smtp://[user:password@]host[:587]` or `smtps://[user:password@]host[:465]`"
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class ConsoleMail:
    """Mail is written to the log."""


@dataclass(frozen=True, slots=True)
class SMTPMail:
    """Mail goes to this server; `is_tls` means TLS from the first byte on."""

    host: str
    port: int
    is_tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_loopback(self) -> bool:
        """Whether the server runs on this machine."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def must_start_tls(self) -> bool:
        """Whether nothing may be said before STARTTLS: a password would be read on the way."""
        return self.user is not None and not self.is_tls and not self.is_loopback


def parse_mail_url(text: str) -> ConsoleMail | SMTPMail:
    """Return what the text names; user and password are percent-decoded.

    Raises:
        ValueError: says what is wrong, without quoting anything secret.
    """
    if text == "console":
        return ConsoleMail()
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("blanks and control characters must be percent-encoded")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The library's message may quote the part that holds the password.
        raise ValueError(f"the host or the port cannot be read; {EXPECTED}") from None
    _check(parts)
    if not host:
        raise ValueError(f"the host is missing; {EXPECTED}")
    if port == 0:
        raise ValueError("the port goes from 1 to 65535")
    user, password = _credentials(parts)
    return SMTPMail(host, port or _PORTS[parts.scheme], parts.scheme == "smtps", user, password)


def _check(parts: SplitResult) -> None:
    if parts.scheme not in _PORTS:
        raise ValueError(EXPECTED)
    # A password with an unencoded `/`, `?` or `#` ends up here, so none of it is quoted.
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            "nothing may follow the host and the port; `/`, `?`, `#` and `@` in a user's name or "
            "password must be percent-encoded"
        )
    if parts.netloc.count("@") > 1:
        raise ValueError("`@` in a user's name or password must be percent-encoded")


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is None:
        return None, None
    if not parts.username or not parts.password:
        raise ValueError("a user's name needs a password, and a password a user's name")
    try:
        user = unquote(parts.username, errors="strict")
        password = unquote(parts.password, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("the user's name and the password must be UTF-8") from None
    if any(ord(character) < 32 or ord(character) == 127 for character in user + password):
        raise ValueError("the user's name and the password must not hold control characters")
    return user, password
