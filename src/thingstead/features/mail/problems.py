"""What may be kept and logged of a failed delivery.

Mail servers quote what they refuse, and anybody can run one: their words are cut, put on one
line, and rid of the reader's address and of whatever looks like a secret.
"""

import re

from thingstead.features.mail.model import Letter
from thingstead.kernel.names import has_control_characters

LONGEST_PROBLEM = 200
_LONGEST_DOMAIN = 80
# A link's secret has 43 characters; shorter runs are words, host names and queue ids.
_SECRET = re.compile(r"[A-Za-z0-9_~+/=-]{32,}")
_QUOTED_AT_MOST = 4_000  # characters that are looked at, whatever a server sends


def shortened(address: str) -> str:
    """Return the address for a log: its first character and its domain."""
    name, _, domain = address.rpartition("@")
    return f"{_one_line(name[:1])}…@{_one_line(domain[:_LONGEST_DOMAIN])}"


def problem_text(error: BaseException, letter: Letter) -> str:
    """Return what went wrong: one line, at most 200 characters, no secret, no address."""
    text = str(error)[:_QUOTED_AT_MOST]
    link = letter.facts.get("link")
    if link:
        text = text.replace(link, "…")
    if letter.to:
        text = re.sub(re.escape(letter.to), lambda _: shortened(letter.to), text, flags=re.I)
    text = _one_line(_SECRET.sub("…", text)) or type(error).__name__
    return text if len(text) <= LONGEST_PROBLEM else text[: LONGEST_PROBLEM - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(
        "".join(
            " " if has_control_characters(character) else character for character in text
        ).split()
    )
