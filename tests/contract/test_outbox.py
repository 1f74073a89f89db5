"""What every outbox promises."""

import pytest

from thingstead.features.mail.model import LetterState


@pytest.fixture
async def letters(core, make):
    """Three letters, written a second after each other from 1,000 on."""
    made = [make.letter() for _ in range(3)]
    for number, letter in enumerate(made, start=1):
        await core.accounts.note_letter(letter, at_ms=number * 1_000)
    return made


async def due(core, at_ms, limit=9):
    return [waiting.letter for waiting in await core.outbox.due(at_ms=at_ms, limit=limit)]


async def test_letters_whose_time_has_come_are_due_the_longest_due_first(core, letters):
    assert await due(core, 999) == []
    assert await due(core, 2_000) == letters[:2]
    assert await due(core, 9_000, limit=2) == letters[:2]


async def test_a_delivered_letter_is_forgotten(core, letters):
    await core.outbox.delivered(letters[0].id)
    await core.outbox.delivered(letters[0].id)

    assert await due(core, 9_000) == letters[1:]


async def test_a_letter_put_off_is_due_later_and_counts_its_attempts(core, letters):
    for problem in ("refused", "busy"):
        await core.outbox.put_off(
            letters[0].id, state=LetterState.WAITING, due_at_ms=5_000, problem=problem
        )

    assert await due(core, 4_999) == letters[1:]
    *_, last = await core.outbox.due(at_ms=5_000, limit=9)
    assert (last.letter, last.attempts, last.problem) == (letters[0], 2, "busy")
    assert (last.written_at_ms, last.due_at_ms) == (1_000, 5_000)


@pytest.mark.parametrize("state", [LetterState.FAILED, LetterState.SHOWN])
async def test_a_letter_given_up_or_shown_is_not_due_but_listed(core, letters, state):
    await core.outbox.put_off(letters[0].id, state=state, due_at_ms=0, problem=None)

    assert await due(core, 9_000) == letters[1:]
    listed = await core.outbox.letters(limit=9)
    assert [waiting.letter for waiting in listed] == letters[::-1]
    assert listed[-1].state is state


async def test_listed_letters_are_limited_to_the_newest(core, letters):
    listed = await core.outbox.letters(limit=2)

    assert [waiting.letter for waiting in listed] == letters[:0:-1]


async def test_old_letters_are_forgotten_unless_they_still_wait(core, letters):
    for letter, state in zip(letters, (LetterState.FAILED, LetterState.SHOWN), strict=False):
        await core.outbox.put_off(letter.id, state=state, due_at_ms=0, problem=None)

    forgotten = [await core.outbox.forget_before(at_ms) for at_ms in (1_000, 2_001, 9_000)]

    assert forgotten == [0, 2, 0]
    assert [waiting.letter for waiting in await core.outbox.letters(limit=9)] == letters[2:]
