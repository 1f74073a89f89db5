"""Closes letters before they wait, and opens them when it is their turn.

Who reads a letter and what it says lie sealed in the store: a link in it is as good as a
password. Features that write letters close them with `seal_letter`.
"""

import json

from thingstead.features.mail.model import Letter, SealedLetter
from thingstead.features.things.ports import Seal
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import IdSource


class UnreadableLetterError(Exception):
    """A letter cannot be opened: another key closed it, or it is damaged."""


def seal_letter(letter: Letter, seal: Seal, ids: IdSource) -> SealedLetter:
    """Return the letter as it may be stored, under a new id that tells nothing."""
    secret = json.dumps({"to": letter.to, "facts": dict(letter.facts)}, separators=(",", ":"))
    return SealedLetter(ids.short_id(), letter.occasion, seal.close(secret))


def open_letter(letter: SealedLetter, seal: Seal) -> Letter:
    """Return the letter as it was written.

    Raises:
        UnreadableLetterError: it was closed with another key, or is damaged.
    """
    try:
        content = json.loads(seal.open(letter.sealed))
        facts = {str(name): str(fact) for name, fact in content["facts"].items()}
        return Letter(letter.occasion, str(content["to"]), facts)
    except (ThingsteadError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnreadableLetterError("the letter cannot be opened") from exc
