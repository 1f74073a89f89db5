"""Answers of known length: what is read when, what is held, and who learns how far they came."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from doubles.pushes import MemoryPush
from thingstead.kernel.errors import StoreUnavailableError, TooManyRequestsError
from thingstead.transports.http.long_answers import LongAnswer, LongLimits, LongSender
from thingstead.transports.http.ranges import Span

CONTENT = bytes(range(256)) * 16
SIZE = len(CONTENT)
LIMITS = LongLimits(piece_bytes=100, large_piece_bytes=400, large_pieces=1, turn_bytes=1_000)


class Image:
    """A source that can be slow or broken; `reads` holds what was read in which order."""

    def __init__(self, content=CONTENT, *, waits=False, breaks_at=None):
        self.content = content
        self.waits = waits
        self.breaks_at = breaks_at
        self.reads = []
        self.told = []
        self.is_open = False
        self.refusal = None
        self.end_refusal = None

    @property
    def blob(self):
        return self

    @asynccontextmanager
    async def open(self):
        if self.refusal is not None:
            raise self.refusal
        self.is_open = True
        try:
            yield self
        finally:
            self.is_open = False

    def read_now(self, start, size):
        return None if self.waits else self._read(start, size)

    async def read(self, start, size):
        await asyncio.sleep(0)
        if self.breaks_at is not None and start + size > self.breaks_at:
            raise StoreUnavailableError
        return self._read(start, size)

    def _read(self, start, size):
        self.reads.append((start, size))
        return self.content[start : start + size]

    async def begun(self):
        self.told.append("begun")

    async def finished(self):
        if self.end_refusal is not None:
            raise self.end_refusal
        self.told.append("finished")


class Client(MemoryPush):
    """Takes short answers and long ones; does not read on after the piece of that number."""

    def __init__(self, stops_after=0):
        super().__init__(is_chunked=False)
        self.sent = []
        self._stops_after = stops_after

    def write(self, piece):
        super().write(piece)
        if len(self.written) == self._stops_after:
            self.stop_reading()

    async def send(self, message):
        if message["type"].startswith("http.response"):
            self.sent.append(message)
        else:
            await super().send(message)

    @property
    def body(self):
        first = b"".join(message.get("body", b"") for message in self.sent)
        return first + (self.start.first if self.start else b"") + b"".join(self.written)

    @property
    def headers(self):
        return dict(self.start.headers if self.start else self.sent[0]["headers"])


def answer(image, *parts, check=None, status=200):
    parts = parts or (Span(0, SIZE),)
    size = sum(len(part) if isinstance(part, bytes) else part.end - part.start for part in parts)
    return LongAnswer(status, size, ((b"X", b"y"),), parts, SIZE - 1, image.open, check)


async def send(image, *parts, sender=None, **more):
    client = Client()
    await (sender or LongSender(LIMITS)).send(client.send, answer(image, *parts, **more))
    return client


async def until(condition):
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


@pytest.mark.parametrize("waits", [False, True])
async def test_whole_is_sent_with_its_exact_length(waits):
    image = Image(waits=waits)

    client = await send(image)

    assert client.body == CONTENT
    assert client.headers[b"Content-Length"] == b"%d" % SIZE
    assert (client.end, image.told, image.is_open) == ("finished", ["begun", "finished"], False)


async def test_short_answer_goes_out_in_one_piece():
    image = Image()

    client = await send(image, Span(10, 110), status=206)

    assert [message["type"] for message in client.sent] == [
        "http.response.start",
        "http.response.body",
    ]
    assert (client.sent[0]["status"], client.body) == (206, CONTENT[10:110])
    assert (image.told, image.is_open) == (["begun"], False)


async def test_texts_and_spans_are_sent_in_their_order():
    client = await send(Image(), b"<" * 150, Span(5, 900), b"|", Span(0, 3), b">")

    assert client.body == b"<" * 150 + CONTENT[5:900] + b"|" + CONTENT[:3] + b">"


async def test_many_small_parts_go_out_together():
    spans = [Span(at, at + 1) for at in range(0, 200, 2)]

    client = await send(Image(), *spans)

    assert client.body == CONTENT[0:200:2]
    assert len(client.sent) == 2


async def test_nothing_is_opened_for_the_head_alone():
    image = Image()
    client = Client()
    head = LongAnswer(200, SIZE, (), (), SIZE - 1, image.open)

    await LongSender(LIMITS).send(client.send, head)

    assert (client.headers[b"Content-Length"], client.body) == (b"%d" % SIZE, b"")
    assert (image.told, image.reads) == ([], [])


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (Span(0, SIZE), ["begun", "finished"]),
        (Span(SIZE - 1, SIZE), ["begun", "finished"]),
        (Span(0, SIZE - 1), ["begun"]),
    ],
)
async def test_it_is_finished_with_the_last_byte_of_the_source(span, told):
    image = Image()

    await send(image, span)

    assert image.told == told


@pytest.mark.parametrize("start", [0, SIZE - 10])
async def test_client_loses_nothing_when_the_end_cannot_be_noted(start, caplog):
    image = Image()
    image.end_refusal = StoreUnavailableError()

    client = await send(image, Span(start, SIZE))

    assert client.body == CONTENT[start:]
    assert "not noted: store-unavailable" in caplog.text
    assert client.end != "cut"


async def test_end_is_noted_before_the_next_request_is_looked_at():
    order = []
    client, image = Client(), Image()
    client.finish = lambda: order.append("next")
    image.told = order

    await LongSender(LIMITS).send(client.send, answer(image))

    assert order == ["begun", "finished", "next"]


async def test_refusal_at_opening_can_still_be_answered():
    image = Image()
    image.refusal = TooManyRequestsError()
    client = Client()

    with pytest.raises(TooManyRequestsError):
        await LongSender(LIMITS).send(client.send, answer(image))

    assert (client.sent, client.start) == ([], None)


async def test_source_that_cannot_be_read_at_all_can_still_be_answered():
    image = Image(waits=True, breaks_at=0)
    client = Client()

    with pytest.raises(StoreUnavailableError):
        await LongSender(LIMITS).send(client.send, answer(image))

    assert (client.sent, client.start, image.told) == ([], None, [])


async def test_source_that_breaks_in_the_middle_cuts_the_answer():
    image = Image(waits=True, breaks_at=SIZE // 2)

    client = await send(image)

    assert (client.end, image.told, image.is_open) == ("cut", ["begun"], False)
    assert 0 < len(client.body) <= SIZE // 2
    assert CONTENT.startswith(client.body)


async def test_source_that_is_too_short_is_never_padded():
    image = Image(CONTENT[:-1])

    client = await send(image)

    assert (client.end, image.told) == ("cut", ["begun"])
    assert len(client.body) < SIZE


async def test_no_more_is_read_than_a_slow_client_takes():
    image = Image()
    client = Client(stops_after=1)
    sending = asyncio.create_task(LongSender(LIMITS).send(client.send, answer(image)))
    await until(lambda: client.written)

    for _ in range(20):
        await asyncio.sleep(0)
    reads = list(image.reads)
    client.read_on()
    await sending

    assert reads == [(0, 100), (100, 400)]
    assert client.body == CONTENT


async def test_pieces_are_small_while_others_hold_the_large_ones():
    slow, image = Client(stops_after=1), Image()
    sender = LongSender(LIMITS)
    sending = asyncio.create_task(sender.send(slow.send, answer(Image())))
    await until(lambda: slow.written)

    await send(image, sender=sender)
    slow.read_on()
    await sending
    other = Image()
    await send(other, sender=sender)

    assert len(slow.written[0]) == LIMITS.large_piece_bytes
    assert max(size for _, size in image.reads) == LIMITS.piece_bytes
    assert max(size for _, size in other.reads) == LIMITS.large_piece_bytes


async def test_large_pieces_come_back_from_clients_that_leave():
    sender = LongSender(LIMITS)
    for _ in range(3):
        client, image = Client(stops_after=1), Image()
        sending = asyncio.create_task(sender.send(client.send, answer(image)))
        await until(lambda client=client: client.written)
        client.leave()
        await sending

        assert (image.told, image.is_open) == (["begun"], False)
        assert len(client.written[0]) == LIMITS.large_piece_bytes


async def test_client_that_left_before_the_start_is_sent_nothing():
    client, image = Client(), Image()
    client.is_there = False

    await LongSender(LIMITS).send(client.send, answer(image))

    assert (client.start, image.told, image.is_open) == (None, ["begun"], False)


async def test_last_piece_counts_once_the_connection_has_taken_it():
    client, image = Client(stops_after=1), Image()
    span = Span(SIZE - 300, SIZE)
    sending = asyncio.create_task(LongSender(LIMITS).send(client.send, answer(image, span)))
    await until(lambda: client.written)
    before = (client.end, list(image.told))
    client.read_on()
    await sending

    assert (before, len(client.body)) == (("", ["begun"]), 300)
    assert (client.end, image.told) == ("finished", ["begun", "finished"])


async def test_last_piece_that_the_client_left_behind_does_not_count():
    client, image = Client(stops_after=1), Image()
    span = Span(SIZE - 300, SIZE)
    sending = asyncio.create_task(LongSender(LIMITS).send(client.send, answer(image, span)))
    await until(lambda: client.written)

    client.leave()
    await sending

    assert image.told == ["begun"]


async def test_right_is_asked_for_again_while_the_answer_goes_out():
    asked = []

    async def check():
        asked.append(None)
        if len(asked) == 3:
            raise TooManyRequestsError

    image = Image()
    sender = LongSender(LongLimits(piece_bytes=100, large_pieces=0, check_s=0.0))

    client = await send(image, sender=sender, check=check)

    assert (client.end, len(client.body), image.told) == ("cut", 300, ["begun"])


async def test_others_have_their_turn_during_a_long_answer_to_a_fast_client():
    turns = []

    async def other():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    before = len(turns)

    await send(Image())

    beside.cancel()
    assert len(turns) - before >= SIZE // (2 * LIMITS.turn_bytes)


async def test_cancelled_answer_closes_its_source_and_gives_the_large_piece_back():
    sender, client, image = LongSender(LIMITS), Client(stops_after=1), Image()
    sending = asyncio.create_task(sender.send(client.send, answer(image)))
    await until(lambda: client.written)

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    after = Image()
    await send(after, sender=sender)

    assert not image.is_open
    assert max(size for _, size in after.reads) == LIMITS.large_piece_bytes


QUICK = LongLimits(piece_bytes=100, confirm_s=(0.0, 0.0))


async def test_end_is_noted_once_the_clients_system_has_confirmed_everything():
    client, image = Client(), Image()
    client.is_confirmed = False
    sending = asyncio.create_task(LongSender(QUICK).send(client.send, answer(image)))
    await until(lambda: len(client.body) == SIZE)
    for _ in range(10):
        await asyncio.sleep(0)
    before = (client.end, list(image.told))
    client.is_confirmed = True
    await sending

    assert before == ("", ["begun"])
    assert (client.end, image.told) == ("finished", ["begun", "finished"])


async def test_client_that_left_before_it_confirmed_everything_has_not_got_it():
    client, image = Client(), Image()
    client.is_confirmed = False
    sending = asyncio.create_task(LongSender(QUICK).send(client.send, answer(image)))
    await until(lambda: len(client.body) == SIZE)

    client.leave()
    await sending

    assert (client.end, image.told, image.is_open) == ("", ["begun"], False)


async def test_range_without_the_last_byte_waits_for_no_confirmation():
    client, image = Client(), Image()
    client.is_confirmed = False

    await LongSender(QUICK).send(client.send, answer(image, Span(0, SIZE - 1)))

    assert (client.end, image.told) == ("finished", ["begun"])
