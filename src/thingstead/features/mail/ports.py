"""What the rules of mail need from the rim."""

from typing import Protocol

from thingstead.features.mail.model import Letter, LetterState, WaitingLetter


class Outbox(Protocol):
    """Keeps letters until they are delivered.

    Letters come in through the stores of users and sharing, in the transaction that makes
    them due, so that neither exists without the other.
    """

    async def due(self, *, at_ms: int, limit: int) -> list[WaitingLetter]:
        """Return waiting letters whose time has come, the longest due first."""
        ...

    async def delivered(self, letter_id: str) -> None:
        """Forget the letter; twice is the same as once."""
        ...

    async def put_off(
        self, letter_id: str, *, state: LetterState, due_at_ms: int, problem: str | None
    ) -> None:
        """Note one more attempt and what became of it; unknown letters are ignored."""
        ...

    async def letters(self, *, limit: int) -> list[WaitingLetter]:
        """Return the letters that were not delivered, the newest first."""
        ...

    async def forget_before(self, at_ms: int) -> int:
        """Forget failed and shown letters written before that time; return how many."""
        ...


class RefusedForGoodError(Exception):
    """The mail server refuses this letter, and will the next time; the text says why."""


class Postman(Protocol):
    """Carries letters out of the house."""

    async def deliver(
        self, letter: Letter, *, letter_id: str, written_at_ms: int
    ) -> LetterState | None:
        """Deliver the letter; return None when it went out, or the state it is kept in.

        The id is the same at every attempt, so that a reader who is sent one letter twice
        (the server's answer was lost) can be spared the second.

        Raises:
            RefusedForGoodError: trying again is useless.
            OSError, TimeoutError: it may work later; the text says what was wrong.
        """
        ...
