import asyncio
import logging
from datetime import timedelta

import pytest

from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from doubles.outbox import MemoryOutbox
from doubles.sealing import PlainSeal
from thingstead.features.mail.model import Letter, LetterState, Occasion, SealedLetter
from thingstead.features.mail.ports import RefusedForGoodError
from thingstead.features.mail.sealing import seal_letter
from thingstead.features.mail.service import AT_ONCE, BATCH, Mail
from thingstead.kernel.errors import StorageFullError

DAY_S = 86_400
LINK = "/confirm#" + "s3cretS3cret" * 4
MINUTES_OF_THE_PAUSES = [1, 5, 30, 120, 360, 720, 720]


class Postman:
    """Answers each letter as it was told for its reader, and remembers what it took."""

    def __init__(self) -> None:
        self.taken: list[Letter] = []
        self.ids: list[str] = []
        self.answers: dict[str, list[Exception | LetterState | None]] = {}
        self.gate: asyncio.Event | None = None
        self.at_once = 0
        self.most_at_once = 0
        self.called = asyncio.Event()

    async def deliver(self, letter, *, letter_id, written_at_ms):
        self.taken.append(letter)
        self.ids.append(letter_id)
        self.called.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.at_once -= 1
        answers = self.answers.get(letter.to)
        answer = answers.pop(0) if answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.outbox = MemoryOutbox()
        self.postman = Postman()
        self.seal = PlainSeal()
        self.ids = SequentialIds()
        self.mail = Mail(self.outbox, self.postman, self.seal, self.clock)

    def write(self, to="ada@example.org", occasion=Occasion.GRANT):
        facts = {"app": "Lamps", "link": LINK}
        sealed = seal_letter(Letter(occasion, to, facts), self.seal, self.ids)
        self.outbox.write(sealed, self.clock.now_ms())
        return sealed.id

    def fails(self, *answers, to="ada@example.org"):
        self.postman.answers[to] = list(answers)

    def state(self, letter_id):
        return self.outbox.waiting[letter_id].state

    def problem(self, letter_id):
        return self.outbox.waiting[letter_id].problem


@pytest.fixture
def rig():
    return Rig()


async def test_a_letter_that_went_out_is_forgotten(rig):
    rig.write()

    assert await rig.mail.deliver_due() == 1

    assert [letter.to for letter in rig.postman.taken] == ["ada@example.org"]
    assert rig.postman.taken[0].facts == {"app": "Lamps", "link": LINK}
    assert rig.outbox.waiting == {}


async def test_a_letter_is_not_tried_before_it_is_due(rig):
    rig.fails(OSError("busy"))
    rig.write()
    await rig.mail.deliver_due()

    rig.clock.advance(59.999)
    early = await rig.mail.deliver_due()
    rig.clock.advance(0.001)

    assert early == 0
    assert await rig.mail.deliver_due() == 1
    assert len(set(rig.postman.ids)) == 1


async def test_a_letter_that_was_shown_is_kept_and_not_tried_again(rig):
    rig.fails(LetterState.SHOWN)
    letter_id = rig.write()

    await rig.mail.deliver_due()
    rig.clock.advance(DAY_S)

    assert await rig.mail.deliver_due() == 0
    assert rig.state(letter_id) is LetterState.SHOWN
    assert rig.problem(letter_id) is None


async def test_the_pauses_between_attempts_grow_to_twelve_hours(rig):
    rig.fails(*[OSError("busy")] * 20)
    letter_id = rig.write()
    pauses = []

    for _ in MINUTES_OF_THE_PAUSES:
        await rig.mail.deliver_due()
        due_at_ms = rig.outbox.waiting[letter_id].due_at_ms
        pauses.append((due_at_ms - rig.clock.now_ms()) / 60_000)
        rig.clock.advance((due_at_ms - rig.clock.now_ms()) / 1_000)

    assert pauses == MINUTES_OF_THE_PAUSES
    assert rig.outbox.waiting[letter_id].attempts == len(MINUTES_OF_THE_PAUSES)


async def test_a_letter_is_given_up_three_days_after_its_writing(rig):
    rig.fails(*[OSError("the server is away")] * 20)
    letter_id = rig.write()
    written_at_ms = rig.clock.now_ms()

    while rig.state(letter_id) is LetterState.WAITING:
        rig.clock.advance((rig.outbox.waiting[letter_id].due_at_ms - rig.clock.now_ms()) / 1_000)
        await rig.mail.deliver_due()

    hours = (rig.clock.now_ms() - written_at_ms) / 3_600_000
    assert 60 < hours <= 72
    assert rig.state(letter_id) is LetterState.FAILED
    assert rig.problem(letter_id) == "the server is away"


@pytest.mark.parametrize(
    ("occasion", "lifetime"),
    [
        (Occasion.RESET_PASSWORD, timedelta(minutes=30)),
        (Occasion.CONFIRM_ADDRESS, timedelta(hours=24)),
        (Occasion.GRANT, timedelta(hours=72)),
        (Occasion.PASSWORD_CHANGED, timedelta(hours=72)),
    ],
)
async def test_a_letter_is_tried_as_long_as_its_link_works_and_no_longer(rig, occasion, lifetime):
    in_time = rig.write("in-time@example.org", occasion)
    rig.clock.advance(lifetime.total_seconds())
    await rig.mail.deliver_due()
    late = rig.write("late@example.org", occasion)
    rig.clock.advance(lifetime.total_seconds() + 0.001)
    await rig.mail.deliver_due()

    assert in_time not in rig.outbox.waiting
    assert rig.state(late) is LetterState.FAILED
    assert [letter.to for letter in rig.postman.taken] == ["in-time@example.org"]


async def test_a_pause_that_outlasts_the_link_gives_the_letter_up(rig):
    rig.fails(*[OSError("busy")] * 3)
    letter_id = rig.write(occasion=Occasion.RESET_PASSWORD)

    for seconds in (0, 60, 300):
        rig.clock.advance(seconds)
        await rig.mail.deliver_due()

    assert rig.state(letter_id) is LetterState.FAILED


@pytest.mark.parametrize(
    ("seconds", "state"), [(29 * 60, LetterState.WAITING), (29 * 60 + 0.001, LetterState.FAILED)]
)
async def test_the_last_attempt_may_be_made_when_the_link_ends(rig, seconds, state):
    rig.fails(OSError("busy"))
    letter_id = rig.write(occasion=Occasion.RESET_PASSWORD)
    rig.clock.advance(seconds)

    await rig.mail.deliver_due()

    assert rig.state(letter_id) is state


async def test_a_letter_that_is_refused_for_good_is_not_tried_again(rig):
    rig.fails(RefusedForGoodError("no such mailbox"))
    letter_id = rig.write()

    await rig.mail.deliver_due()
    rig.clock.advance(DAY_S)
    await rig.mail.deliver_due()

    assert len(rig.postman.taken) == 1
    assert rig.state(letter_id) is LetterState.FAILED
    assert rig.problem(letter_id) == "no such mailbox"


async def test_a_letter_that_cannot_be_opened_fails_at_once(rig):
    rig.outbox.write(SealedLetter("damaged", Occasion.GRANT, b"1:{"), rig.clock.now_ms())
    rig.write()

    await rig.mail.deliver_due()

    assert rig.state("damaged") is LetterState.FAILED
    assert rig.problem("damaged") == "the letter cannot be opened"
    assert len(rig.postman.taken) == 1


async def test_a_fault_in_the_program_puts_one_letter_off_and_tells_where_it_is(rig):
    rig.fails(ValueError(f"cannot write {LINK}"), to="bob@example.org")
    unlucky = rig.write("bob@example.org")
    rig.write()

    await rig.mail.deliver_due()

    assert list(rig.outbox.waiting) == [unlucky]
    assert rig.state(unlucky) is LetterState.WAITING
    assert rig.problem(unlucky).startswith("ValueError at test_service.py:")


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 1])
async def test_all_that_is_due_goes_out_however_many_they_are(rig, count):
    for number in range(count):
        rig.write(f"reader{number}@example.org")

    assert await rig.mail.deliver_due() == count

    assert len({letter.to for letter in rig.postman.taken}) == count
    assert rig.outbox.waiting == {}


async def test_few_letters_are_under_way_at_once(rig):
    rig.postman.gate = asyncio.Event()
    for number in range(AT_ONCE + 1):
        rig.write(f"reader{number}@example.org")

    delivering = asyncio.create_task(rig.mail.deliver_due())
    await settled()
    under_way = len(rig.postman.taken)
    rig.postman.gate.set()
    await delivering

    assert under_way == AT_ONCE
    assert rig.postman.most_at_once == AT_ONCE
    assert len(rig.postman.taken) == AT_ONCE + 1


async def test_a_delivery_that_is_cancelled_leaves_the_letter_waiting(rig):
    rig.postman.gate = asyncio.Event()
    letter_id = rig.write()
    delivering = asyncio.create_task(rig.mail.deliver_due())
    await settled()

    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)

    assert delivering.cancelled()
    assert rig.postman.at_once == 0
    assert rig.state(letter_id) is LetterState.WAITING
    assert rig.outbox.waiting[letter_id].attempts == 0


async def test_nobody_gets_a_second_mail_because_the_disk_is_full(rig, monkeypatch):
    for number in range(BATCH):
        rig.write(f"reader{number}@example.org")

    async def full(*_, **__):
        raise StorageFullError

    with monkeypatch.context() as patch:
        patch.setattr(rig.outbox, "delivered", full)
        for _ in range(3):
            with pytest.raises(StorageFullError):
                await rig.mail.deliver_due()
        went_out = len(rig.postman.taken)
    await rig.mail.deliver_due()

    assert 1 <= went_out <= AT_ONCE
    assert len(rig.postman.taken) == BATCH
    assert len({letter.to for letter in rig.postman.taken}) == BATCH
    assert rig.outbox.waiting == {}


async def test_a_failure_is_one_line_in_the_log_without_address_and_link(rig, caplog):
    rig.fails(None)
    rig.fails(OSError(f"450 <ada@example.org> busy\r\n{LINK} seen"))
    rig.write()

    with caplog.at_level(logging.DEBUG):
        await rig.mail.deliver_due()

    assert [record.getMessage() for record in caplog.records] == [
        "mail grant to a…@example.org not delivered (attempt 1): 450 <a…@example.org> busy … seen"
    ]


async def test_giving_up_is_said_in_the_log(rig, caplog):
    rig.fails(RefusedForGoodError("550 no such mailbox"))
    rig.write()

    await rig.mail.deliver_due()

    assert caplog.messages == [
        "mail grant to a…@example.org not delivered (attempt 1): 550 no such mailbox; given up"
    ]


async def test_the_owner_sees_letters_opened_the_newest_first(rig):
    rig.fails(LetterState.SHOWN)
    shown = rig.write()
    await rig.mail.deliver_due()
    rig.clock.advance(1)
    waiting = rig.write("bob@example.org", Occasion.CONFIRM_ADDRESS)
    rig.clock.advance(1)
    rig.outbox.write(SealedLetter("damaged", Occasion.GRANT, b"1:{"), rig.clock.now_ms())

    listed = await rig.mail.letters()

    assert [letter.id for letter in listed] == ["damaged", waiting, shown]
    assert listed[0].letter is None
    assert listed[1].letter is not None
    assert listed[1].letter.to == "bob@example.org"
    assert listed[2].state is LetterState.SHOWN
    assert listed[2].letter is not None
    assert listed[2].letter.facts["link"] == LINK


async def test_what_failed_or_was_shown_is_forgotten_after_thirty_days(rig):
    rig.fails(LetterState.SHOWN)
    rig.fails(RefusedForGoodError("no"), to="bob@example.org")
    rig.write()
    rig.write("bob@example.org")
    await rig.mail.deliver_due()
    rig.clock.advance(30 * DAY_S)
    rig.write("new@example.org")

    too_early = await rig.mail.forget_old()
    rig.clock.advance(0.001)
    forgotten = await rig.mail.forget_old()

    assert (too_early, forgotten) == (0, 2)
    assert len(rig.outbox.waiting) == 1


async def test_what_waits_is_delivered_when_the_task_starts(rig):
    rig.write()

    async with running(rig.mail):
        await settled()

    assert rig.outbox.waiting == {}


async def test_a_letter_goes_out_as_soon_as_the_task_is_woken(rig):
    async with running(rig.mail):
        await settled()
        rig.write()
        rig.mail.wake()
        await settled()

    assert rig.outbox.waiting == {}


async def test_a_letter_written_during_the_deliveries_is_not_slept_over(rig):
    rig.postman.gate = asyncio.Event()
    rig.write()
    async with running(rig.mail):
        await settled()
        rig.write("bob@example.org")
        rig.mail.wake()
        rig.postman.gate.set()
        await settled()

    assert rig.outbox.waiting == {}


async def test_a_task_that_was_woken_rests_again(rig, monkeypatch):
    looks = []
    due = rig.outbox.due

    async def counted(**what):
        looks.append(what)
        return await due(**what)

    monkeypatch.setattr(rig.outbox, "due", counted)
    async with running(rig.mail):
        await settled()
        rig.mail.wake()
        await settled()
        looks_after_waking = len(looks)
        await settled()

    assert len(looks) == looks_after_waking


async def test_the_task_rests_until_the_next_letter_is_due_and_at_most_thirty_seconds(rig):
    none_waits = await rig.mail._rest_s()
    rig.fails(OSError("busy"))
    rig.write()
    await rig.mail.deliver_due()

    due_in_a_minute = await rig.mail._rest_s()
    rig.clock.advance(30.001)
    due_soon = await rig.mail._rest_s()
    rig.clock.advance(DAY_S)
    overdue = await rig.mail._rest_s()

    assert (none_waits, due_in_a_minute, overdue) == (30.0, 30.0, 0.0)
    assert due_soon == pytest.approx(29.999)


async def test_the_task_outlives_a_store_that_fails(rig, monkeypatch, caplog):
    rig.write()

    async def full(*_, **__):
        raise StorageFullError

    with monkeypatch.context() as patch:
        patch.setattr(rig.outbox, "due", full)
        task = asyncio.create_task(rig.mail.run())
        await settled()
    rig.mail.wake()
    await settled()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert rig.outbox.waiting == {}
    assert "mail was interrupted" in caplog.text


async def test_the_task_tries_again_when_its_rest_is_over(rig, monkeypatch):
    monkeypatch.setattr("thingstead.features.mail.service._LONGEST_REST_S", 0.0)

    async with running(rig.mail):
        await settled()
        rig.write()
        async with asyncio.timeout(20):
            await rig.postman.called.wait()


class running:  # noqa: N801  # Reads as a word of the test.
    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._mail.run())

    async def __aexit__(self, *_: object) -> None:
        assert not self._task.done()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        assert self._task.cancelled()


async def settled() -> None:
    """Let every task run until it waits for something from outside."""
    for _ in range(50):
        await asyncio.sleep(0)
