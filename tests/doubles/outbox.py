"""An outbox in memory."""

from dataclasses import replace

from thingstead.features.mail.model import LetterState, SealedLetter, WaitingLetter


class MemoryOutbox:
    """Keeps letters; `write` stands for the stores that write them."""

    def __init__(self) -> None:
        self.waiting: dict[str, WaitingLetter] = {}

    def write(self, letter: SealedLetter, at_ms: int) -> None:
        self.waiting[letter.id] = WaitingLetter(
            letter, at_ms, at_ms, 0, problem=None, state=LetterState.WAITING
        )

    async def due(self, *, at_ms: int, limit: int) -> list[WaitingLetter]:
        due = [
            letter
            for letter in self.waiting.values()
            if letter.state is LetterState.WAITING and letter.due_at_ms <= at_ms
        ]
        return sorted(due, key=lambda letter: letter.due_at_ms)[:limit]

    async def delivered(self, letter_id: str) -> None:
        self.waiting.pop(letter_id, None)

    async def put_off(
        self, letter_id: str, *, state: LetterState, due_at_ms: int, problem: str | None
    ) -> None:
        letter = self.waiting.get(letter_id)
        if letter is not None:
            self.waiting[letter_id] = replace(
                letter,
                state=state,
                due_at_ms=due_at_ms,
                problem=problem,
                attempts=letter.attempts + 1,
            )

    async def letters(self, *, limit: int) -> list[WaitingLetter]:
        newest_first = sorted(
            self.waiting.values(), key=lambda letter: letter.written_at_ms, reverse=True
        )
        return newest_first[:limit]

    async def forget_before(self, at_ms: int) -> int:
        old = [
            letter_id
            for letter_id, letter in self.waiting.items()
            if letter.state is not LetterState.WAITING and letter.written_at_ms < at_ms
        ]
        for letter_id in old:
            del self.waiting[letter_id]
        return len(old)
