"""Writes letters to the log, for an installation that has no mail server (yet).

The link in them is a secret, and the log is where it ends up on purpose: whoever runs the
server can pass it on. Says so in the log each time.
"""

import asyncio
import logging

from thingstead.features.mail.model import Letter, LetterState
from thingstead.features.mail.ports import RefusedForGoodError
from thingstead.mail.addresses import one_line
from thingstead.mail.letters import LetterWriter, UnwritableLetterError

_log = logging.getLogger("thingstead.mail")

_LONGEST_ADDRESS_SHOWN = 254


class ConsolePostman:
    """The `Postman` of `features/mail/ports.py` that shows letters instead of sending them."""

    def __init__(self, writer: LetterWriter) -> None:
        self._writer = writer

    async def deliver(
        self,
        letter: Letter,
        *,
        letter_id: str,  # noqa: ARG002  # Nothing here can arrive twice.
        written_at_ms: int,  # noqa: ARG002  # The log has its own times.
    ) -> LetterState | None:
        """Log the letter with its link; it stays listed as shown.

        Raises:
            RefusedForGoodError: it cannot be written.
        """
        try:
            words = await asyncio.to_thread(self._writer.words, letter)
        except UnwritableLetterError as exc:
            raise RefusedForGoodError(str(exc)) from exc
        _log.info(
            "No mail server is configured; this letter to %s was not sent:\nSubject: %s\n\n%s",
            one_line(letter.to, _LONGEST_ADDRESS_SHOWN),
            words.subject,
            words.text,
        )
        return LetterState.SHOWN
