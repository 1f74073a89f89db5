"""Writes letters as mails: a template for each occasion, as text and as HTML.

The templates lie in `templates/`. Whatever a letter's facts hold is text to them: HTML is
escaped, lines are made one, and a fact that is missing is an error. Links begin with the
configured public URL and never with what a request claimed (`security.md` 5).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from thingstead.features.mail.model import LINK_LIFETIMES, Letter, Occasion
from thingstead.kernel.ids import digest
from thingstead.mail.addresses import (
    checked_address,
    greeting_name,
    header_text,
    one_line,
    parse_sender,
)

if TYPE_CHECKING:
    import jinja2

_SUBJECTS = {
    Occasion.CONFIRM_ADDRESS: "Confirm your address for {app}",
    Occasion.RESET_PASSWORD: "Choose a new password for {app}",
    Occasion.PASSWORD_CHANGED: "Your password for {app} was changed",
    Occasion.REGISTERED_AGAIN: "You already have an account for {app}",
    Occasion.GRANT: "{giver} wants to share something with you in {app}",
}
_LONGEST_FACT = 100
_LONGEST_ADDRESS_SHOWN = 254
_MOST_RIGHTS = 50
# What RFC 3986 lets stand in a path, a query and a fragment; not `//`, which names a host.
_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?#-]*")


class UnwritableLetterError(ValueError):
    """A letter cannot become a mail, now or later; the text says why."""


@dataclass(frozen=True, slots=True)
class WrittenLetter:
    """A letter in words; `link` is None for an occasion without one."""

    subject: str
    text: str
    html: str
    link: str | None


class LetterWriter:
    """Writes letters with the sender and the public URL of this installation.

    Raises:
        ValueError: the sender is no mailbox, or the URL has no scheme or host.
    """

    def __init__(self, *, public_url: str, sender: str) -> None:
        if not re.match(r"https?://[^/?#\s]+", public_url):
            raise ValueError("the public URL begins with http:// or https:// and a host")
        self._public_url = public_url.rstrip("/")
        self._sender = parse_sender(sender)
        self._templates: jinja2.Environment | None = None

    @property
    def sender_address(self) -> str:
        """The address that a mail server is told."""
        return self._sender.addr_spec

    @property
    def greeting_name(self) -> str:
        """The name under which to speak to a mail server."""
        return greeting_name(self._public_url)

    def words(self, letter: Letter) -> WrittenLetter:
        """Return the letter's words.

        Raises:
            UnwritableLetterError: a fact is missing, or the link is none.
        """
        import jinja2  # noqa: PLC0415  # A server that writes no letter does without.

        facts = {name: one_line(fact, _longest(name)) for name, fact in letter.facts.items()}
        link = self._link(letter)
        lifetime = _in_words(LINK_LIFETIMES.get(letter.occasion))
        given: dict[str, object] = {**facts, "link": link, "lifetime": lifetime}
        if "rights" in letter.facts:
            given["rights"] = _lines(letter.facts["rights"])
        templates = self._environment()
        name = letter.occasion.value
        try:
            subject = _SUBJECTS[letter.occasion].format_map(facts)
            text = templates.get_template(f"{name}.txt.jinja").render(given, subject=subject)
            html = templates.get_template(f"{name}.html.jinja").render(given, subject=subject)
        except KeyError as exc:
            raise UnwritableLetterError(f"the letter lacks a fact: {exc}") from None
        except jinja2.UndefinedError as exc:
            raise UnwritableLetterError(f"the letter lacks a fact: {exc.message}") from None
        return WrittenLetter(subject, text, html, link)

    def mail(self, letter: Letter, *, letter_id: str, written_at_ms: int) -> EmailMessage:
        """Return the letter as a mail; the same id gives the same Message-ID.

        Raises:
            UnwritableLetterError: a fact is missing, or the address or the link is none.
        """
        words = self.words(letter)
        try:
            reader = checked_address(letter.to)
        except ValueError as exc:
            raise UnwritableLetterError(f"the letter has no reader: {exc}") from None
        written_at = datetime.fromtimestamp(written_at_ms / 1_000, UTC)
        mail = EmailMessage()
        mail["From"] = self._sender
        mail["To"] = reader
        mail["Subject"] = header_text(words.subject)
        mail["Date"] = format_datetime(written_at)
        mail["Message-ID"] = f"<{digest(letter_id).hex()[:32]}@{self._sender.domain}>"
        # So that no holiday answer comes back (RFC 3834).
        mail["Auto-Submitted"] = "auto-generated"
        # ASCII only, in short lines: every mail server passes that on unchanged.
        mail.set_content(words.text, cte="quoted-printable")
        mail.add_alternative(words.html, subtype="html", cte="quoted-printable")
        return mail

    def _link(self, letter: Letter) -> str | None:
        path = letter.facts.get("link")
        if path is None:
            if letter.occasion in LINK_LIFETIMES:
                raise UnwritableLetterError("the letter lacks a fact: 'link'")
            return None
        if not _PATH.fullmatch(path):
            raise UnwritableLetterError("the letter's link is no path of this server")
        return self._public_url + path

    def _environment(self) -> "jinja2.Environment":
        import jinja2  # noqa: PLC0415

        if self._templates is None:
            self._templates = jinja2.Environment(
                loader=jinja2.PackageLoader("thingstead.mail"),
                autoescape=jinja2.select_autoescape(
                    enabled_extensions=("html.jinja",), default=False
                ),
                undefined=jinja2.StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
            )
        return self._templates


def _longest(fact: str) -> int:
    return _LONGEST_ADDRESS_SHOWN if fact == "giver" else _LONGEST_FACT


def _lines(text: str) -> list[str]:
    lines = [one_line(line, _LONGEST_ADDRESS_SHOWN) for line in text.split("\n")]
    lines = [line for line in lines if line]
    if len(lines) > _MOST_RIGHTS:
        lines[_MOST_RIGHTS:] = [f"and {len(lines) - _MOST_RIGHTS} more"]
    return lines


def _in_words(lifetime: timedelta | None) -> str:
    if lifetime is None:
        return ""
    hours, seconds = divmod(int(lifetime.total_seconds()), 3_600)
    return f"{hours} hours" if not seconds else f"{seconds // 60} minutes"
