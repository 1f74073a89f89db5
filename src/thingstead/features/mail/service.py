"""The rules of delivering mail: when a letter is tried, tried again, and given up.

Letters wait in the outbox, which survives the process. A letter leaves it after the mail
server has taken it; between the two a crash or a lost answer sends it a second time, never
not at all. Nobody waits for a delivery: `run` is a task of the server.
"""

import asyncio
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath

from thingstead.features.mail.model import (
    LINK_LIFETIMES,
    Letter,
    LetterState,
    Occasion,
    WaitingLetter,
)
from thingstead.features.mail.ports import Outbox, Postman, RefusedForGoodError
from thingstead.features.mail.problems import problem_text, shortened
from thingstead.features.mail.sealing import UnreadableLetterError, open_letter
from thingstead.features.things.ports import Seal
from thingstead.kernel.clock import Clock

_log = logging.getLogger(__name__)

BATCH = 20
AT_ONCE = 4
MAX_LISTED = 1_000
PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
)
"""How long to wait after each failed attempt; the last one is repeated."""
PATIENCE = timedelta(days=3)
KEPT = timedelta(days=30)
_LONGEST_REST_S = 30.0
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A letter that was not delivered, as the owner sees it.

    `letter` is None when it cannot be opened any more; its link is a secret of its reader.
    """

    id: str
    occasion: Occasion
    letter: Letter | None
    written_at_ms: int
    due_at_ms: int
    attempts: int
    problem: str | None
    state: LetterState


class Mail:
    """Delivers what waits in the outbox; one per outbox and event loop."""

    def __init__(self, outbox: Outbox, postman: Postman, seal: Seal, clock: Clock) -> None:
        self._outbox = outbox
        self._postman = postman
        self._seal = seal
        self._clock = clock
        self._woken = asyncio.Event()
        # Letters that went out while the outbox could not note it (its disk was full): their
        # readers must not get one more at every round.
        self._gone: dict[str, LetterState | None] = {}

    async def run(self) -> None:
        """Deliver what is due, for ever; ends when it is cancelled.

        Cancelling it in the middle of a delivery leaves the letter waiting.
        """
        while True:
            # Cleared first, so that a letter written during the deliveries is not slept over.
            self._woken.clear()
            try:
                await self.deliver_due()
                rest_s = await self._rest_s()
            except Exception:  # noqa: BLE001  # Supervises: a busy store must not end it.
                _log.exception("mail was interrupted")
                rest_s = _LONGEST_REST_S
            try:
                async with asyncio.timeout(rest_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def wake(self) -> None:
        """Tell `run` that a letter was written; costs nothing when it is at work."""
        self._woken.set()

    async def deliver_due(self) -> int:
        """Try each letter that is due once; return how many were tried.

        Raises:
            ThingsteadError: the outbox failed; what had been delivered before is noted.
        """
        tried = 0
        while True:
            batch = await self._outbox.due(at_ms=self._clock.now_ms(), limit=BATCH)
            letters = iter(batch)
            # All of them come to an end before an error is told: none is left without an owner.
            ends = await asyncio.gather(
                *(self._deliver_each(letters) for _ in range(AT_ONCE)), return_exceptions=True
            )
            for end in ends:
                if end is not None:
                    raise end
            tried += len(batch)
            if len(batch) < BATCH:
                return tried

    async def letters(self, *, limit: int = 100) -> list[ListedLetter]:
        """Return letters that were not delivered, the newest first, at most 1,000.

        They hold links that work: for the owner of the installation only.
        """
        waiting = await self._outbox.letters(limit=min(limit, MAX_LISTED))
        return [self._listed(letter) for letter in waiting]

    async def forget_old(self) -> int:
        """Forget what failed or was shown 30 days after its writing; return how many."""
        return await self._outbox.forget_before(self._clock.now_ms() - KEPT // _MILLISECOND)

    async def _rest_s(self) -> float:
        """Return the seconds until the next letter is due, at most 30."""
        now_ms = self._clock.now_ms()
        at_ms = now_ms + round(_LONGEST_REST_S * 1_000)
        due = await self._outbox.due(at_ms=at_ms, limit=1)
        return max(0.0, (due[0].due_at_ms - now_ms) / 1_000) if due else _LONGEST_REST_S

    async def _deliver_each(self, letters: Iterator[WaitingLetter]) -> None:
        """Take letters until there are none; several tasks share one iterator."""
        for letter in letters:
            await self._deliver(letter)

    async def _deliver(self, waiting: WaitingLetter) -> None:
        if waiting.letter.id in self._gone:
            await self._note_gone(waiting.letter.id)
            return
        try:
            letter = open_letter(waiting.letter, self._seal)
        except UnreadableLetterError as error:
            nobody = Letter(waiting.letter.occasion, "", {})
            await self._give_up(waiting, nobody, error)
            return
        if self._clock.now_ms() > _last_ms(waiting):
            await self._give_up(waiting, letter, TimeoutError("it could not be delivered in time"))
            return
        try:
            state = await self._postman.deliver(
                letter, letter_id=waiting.letter.id, written_at_ms=waiting.written_at_ms
            )
        except RefusedForGoodError as error:
            await self._give_up(waiting, letter, error)
        except OSError as error:
            await self._put_off(waiting, letter, error)
        except Exception as error:  # noqa: BLE001  # Supervises: the others must go out.
            await self._put_off(waiting, letter, RuntimeError(_place_of(error)))
        else:
            self._gone[waiting.letter.id] = state
            await self._note_gone(waiting.letter.id)

    async def _note_gone(self, letter_id: str) -> None:
        state = self._gone[letter_id]
        if state is None:
            await self._outbox.delivered(letter_id)
        else:
            await self._outbox.put_off(
                letter_id, state=state, due_at_ms=self._clock.now_ms(), problem=None
            )
        del self._gone[letter_id]

    async def _put_off(self, waiting: WaitingLetter, letter: Letter, error: Exception) -> None:
        pause = PAUSES[min(waiting.attempts, len(PAUSES) - 1)]
        due_at_ms = self._clock.now_ms() + pause // _MILLISECOND
        if due_at_ms > _last_ms(waiting):
            await self._give_up(waiting, letter, error)
            return
        problem = problem_text(error, letter)
        _log_failure(waiting, letter, problem)
        await self._outbox.put_off(
            waiting.letter.id, state=LetterState.WAITING, due_at_ms=due_at_ms, problem=problem
        )

    async def _give_up(self, waiting: WaitingLetter, letter: Letter, error: Exception) -> None:
        problem = problem_text(error, letter)
        _log_failure(waiting, letter, f"{problem}; given up")
        await self._outbox.put_off(
            waiting.letter.id,
            state=LetterState.FAILED,
            due_at_ms=self._clock.now_ms(),
            problem=problem,
        )

    def _listed(self, waiting: WaitingLetter) -> ListedLetter:
        try:
            letter = open_letter(waiting.letter, self._seal)
        except UnreadableLetterError:
            letter = None
        return ListedLetter(
            id=waiting.letter.id,
            occasion=waiting.letter.occasion,
            letter=letter,
            written_at_ms=waiting.written_at_ms,
            due_at_ms=waiting.due_at_ms,
            attempts=waiting.attempts,
            problem=waiting.problem,
            state=waiting.state,
        )


def worth_trying(occasion: Occasion) -> timedelta:
    """Return how long after its writing a letter is tried: 3 days, or as long as its link works."""
    return min(PATIENCE, LINK_LIFETIMES.get(occasion, PATIENCE))


def _last_ms(waiting: WaitingLetter) -> int:
    """Return when the last attempt may be made."""
    return waiting.written_at_ms + worth_trying(waiting.letter.occasion) // _MILLISECOND


def _place_of(error: Exception) -> str:
    """Return the error's type and where it was raised; its text may hold anything."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {PurePath(place.filename).name}:{place.lineno}"


def _log_failure(waiting: WaitingLetter, letter: Letter, problem: str) -> None:
    _log.warning(
        "mail %s to %s not delivered (attempt %d): %s",
        waiting.letter.occasion.value,
        shortened(letter.to),
        waiting.attempts + 1,
        problem,
    )
