"""Pushed streams: what leaves in which write, when nothing may, and how they end."""

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest

from doubles.pushes import MemoryPush
from doubles.replays import History
from thingstead.bus.memory import MemoryBus
from thingstead.features.live.cursors import CursorKind
from thingstead.features.live.model import End, LiveEvent
from thingstead.features.live.replay import replayed
from thingstead.features.live.service import Live
from thingstead.features.live.subscription import LiveLimits
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.values.model import StoredValue
from thingstead.kernel.errors import OverloadedError
from thingstead.kernel.ids import ThingId
from thingstead.transports.http.v2 import pushing
from thingstead.transports.http.v2.event_stream import EventStreamForm
from thingstead.transports.http.v2.live_answers import DocumentForm
from thingstead.transports.http.v2.pushing import Following, PushedStream

THING = ThingId("one")
LONG_S = 3_600.0
DOCUMENTS = DocumentForm()
EVENTS = EventStreamForm(CursorKind.VALUES)


def event(sequence, size=0):
    return LiveEvent(THING, sequence, (StoredValue("t", "x" * size, 0),))


class MemoryStream:
    """A stream of one thing, whose right the test takes away."""

    kind = CursorKind.VALUES
    revoked = ThingNotFoundError

    def __init__(self, live, history):
        self.subscription = live.open(THING)
        self.history = history
        self.accepted = lambda event: True
        self.rechecks = 0
        self.recheck_takes: asyncio.Event | None = None
        self.end_at_recheck: End | None = None
        self._live = live

    def accepts(self, event):
        return self.accepted(event)

    async def recheck(self):
        self.rechecks += 1
        if self.recheck_takes is not None:
            await self.recheck_takes.wait()
        self.subscription.accepts = self.accepted
        if self.end_at_recheck is not None:
            self.subscription.end(self.end_at_recheck)

    async def head(self):
        return self.history.newest

    def missed(self, after):
        return replayed(self.subscription, self.history.missed, after)

    def close(self):
        self._live.close(self.subscription)


class Clock:
    """The event loop, with a time of its own and the one timer that a stream has."""

    def __init__(self):
        self.now = 0.0
        self.timer = None
        self.create_future = asyncio.get_running_loop().create_future

    def time(self):
        return self.now

    def call_later(self, delay, callback):
        self.timer = (self.now + delay, callback)
        return self

    def cancel(self):
        self.timer = None

    def pass_until_timer(self):
        self.now, callback = self.timer
        callback()


class Rig:
    def __init__(self, limits=None):
        self.history = History(MemoryBus())
        self.live = Live(self.history.bus, limits or LiveLimits())
        self.stream = MemoryStream(self.live, self.history)
        self.push = MemoryPush()
        self.clock = Clock()
        self.encoded = []
        self.task = None

    def following(self, stream=None):
        def encode(event):
            self.encoded.append(event.sequence)
            return b"%d" % event.sequence if event.sequence else b""

        return Following(stream or self.stream, "thing", encode)

    def happen(self, *sequences, size=0):
        for sequence in sequences:
            self.history.happen(event(sequence, size))

    @property
    def documents(self):
        """What was written after the opening: the documents of each write, without framing."""
        return [unframed(piece) for piece in self.push.written]

    @asynccontextmanager
    async def streaming(self, form=DOCUMENTS, since=None, keep_alive_s=LONG_S):
        pushed = PushedStream(self.following(), form, keep_alive_s)
        pushed._loop = self.clock
        pages = None if since is None else self.stream.missed(since)

        async def run():
            if pages is None:
                await pushed.run(self.push.send)
                return
            async with aclosing(pages):
                await pushed.run(self.push.send, "v0", pages)

        self.task = asyncio.create_task(run())
        await turns(5)
        try:
            yield self
        finally:
            self.stream.subscription.end(End.CLOSED)
            async with asyncio.timeout(10):
                await self.task
            self.stream.close()


def unframed(written):
    """The pieces of a write."""
    pieces = []
    while written:
        size, _, written = written.partition(b"\r\n")
        length = int(size, 16)
        pieces.append(written[:length])
        assert written[length : length + 2] == b"\r\n"
        written = written[length + 2 :]
    return pieces


async def turns(count=3):
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # Nothing tells of it.
            await asyncio.sleep(0)


@pytest.fixture
async def rig():
    return Rig()


async def test_it_begins_with_the_opening(rig):
    async with rig.streaming(EVENTS):
        assert rig.push.start.first.startswith(b"retry: 3000\n\nevent: subscribed\n")
        assert rig.push.written == []


async def test_documents_that_come_within_one_turn_leave_one_a_turn(rig):
    async with rig.streaming():
        rig.happen(1, 2, 3)
        counts = []
        for _ in range(4):
            await turns(1)
            counts.append(len(rig.push.written))

        assert counts == [1, 2, 3, 3]
        assert rig.documents == [[b"1"], [b"2"], [b"3"]]


async def test_a_long_queue_leaves_in_more_writes_a_turn(rig):
    async with rig.streaming():
        rig.happen(*range(1, 201))

        counts = []
        while len(rig.push.written) < 200:
            await turns(1)
            counts.append(len(rig.push.written))

        # No more than so many, and one a turn again once the queue is short.
        assert counts[:2] == [16, 32]
        assert counts[-16:] == list(range(185, 201))
        assert rig.documents == [[b"%d" % number] for number in range(1, 201)]


async def test_events_that_come_within_one_turn_leave_in_one_write(rig):
    async with rig.streaming(EVENTS):
        rig.happen(*range(1, 201))

        await turns(1)

        assert [len(pieces) for pieces in rig.documents] == [200]
        assert rig.documents[0][0] == b"id: v1\nevent: values\ndata: 1\n\n"


async def test_an_event_is_encoded_once_for_all_streams_of_a_form(rig):
    other = MemoryStream(rig.live, rig.history)
    push = MemoryPush()
    async with rig.streaming():
        second = asyncio.create_task(
            PushedStream(rig.following(other), DOCUMENTS, LONG_S).run(push.send)
        )
        await turns(5)
        rig.happen(1)
        await turns()

        assert rig.push.written == push.written == [b"1\r\n1\r\n"]
        assert rig.encoded == [1]
        push.leave()
        await second
    other.close()


async def test_an_old_client_gets_bare_pieces_beside_others_in_chunks(rig):
    other = MemoryStream(rig.live, rig.history)
    push = MemoryPush(is_chunked=False)
    async with rig.streaming():
        second = asyncio.create_task(
            PushedStream(rig.following(other), DOCUMENTS, LONG_S).run(push.send)
        )
        await turns(5)
        rig.happen(1)
        await turns()

        assert (rig.push.written, push.written) == ([b"1\r\n1\r\n"], [b"1"])
        push.leave()
        await second
    other.close()


@pytest.mark.parametrize("form", [DOCUMENTS, EVENTS], ids=["documents", "events"])
async def test_an_event_with_nothing_for_the_subscriber_writes_nothing(rig, form):
    async with rig.streaming(form):
        rig.happen(0)
        rig.happen(1)
        await turns()

        assert len(rig.push.written) == 1


async def test_while_the_client_does_not_read_nothing_is_taken(rig):
    async with rig.streaming():
        rig.push.stop_reading()
        rig.happen(1, 2)
        await turns()
        assert rig.push.written == []
        assert rig.stream.subscription.waiting == 2

        rig.push.read_on()
        await turns()

        assert rig.documents == [[b"1"], [b"2"]]


async def test_writing_stops_in_the_middle_when_the_client_stops_reading(rig):
    async with rig.streaming():
        write = rig.push.write

        def write_and_stop(piece):
            write(piece)
            rig.push.stop_reading()

        rig.push.write = write_and_stop
        rig.happen(*range(1, 51))
        await turns(5)

        assert rig.documents == [[b"1"]]


async def test_silence_is_broken_again_and_again(rig):
    async with rig.streaming(keep_alive_s=60):
        for _ in range(2):
            rig.clock.pass_until_timer()

        assert rig.documents == [[b"{}"], [b"{}"]]
        assert rig.clock.now == 120


async def test_what_is_said_puts_the_next_sign_of_life_off(rig):
    async with rig.streaming(keep_alive_s=60):
        rig.clock.now = 50
        rig.happen(1)
        await turns()

        rig.clock.pass_until_timer()
        assert rig.documents == [[b"1"]]
        rig.clock.pass_until_timer()

        assert rig.documents == [[b"1"], [b"{}"]]
        assert rig.clock.now == 110


async def test_a_client_that_does_not_read_gets_no_signs_of_life(rig):
    async with rig.streaming(keep_alive_s=60):
        rig.push.stop_reading()
        rig.clock.pass_until_timer()
        assert rig.push.written == []
        rig.push.read_on()

        rig.clock.pass_until_timer()

        assert rig.documents == [[b"{}"]]


async def test_no_timer_is_left_behind(rig):
    async with rig.streaming():
        pass

    assert rig.clock.timer is None


async def test_nothing_goes_out_while_the_right_is_checked(rig):
    rig.stream.recheck_takes = asyncio.Event()
    async with rig.streaming():
        rig.stream.subscription.recheck()
        rig.happen(1, 2)
        await turns(10)
        assert rig.push.written == []

        rig.stream.accepted = lambda event: event.sequence == 2
        rig.stream.recheck_takes.set()
        await turns(10)

        assert rig.documents == [[b"2"]]
        assert rig.stream.rechecks == 1


async def test_a_check_that_comes_due_during_another_is_made_too(rig):
    rig.stream.recheck_takes = asyncio.Event()
    async with rig.streaming():
        rig.stream.subscription.recheck()
        await turns(5)
        rig.stream.subscription.recheck()
        rig.stream.recheck_takes.set()
        await turns(10)

        assert rig.stream.rechecks == 2


@pytest.mark.parametrize(
    ("reason", "code"), [(End.REVOKED, b"404"), (End.OVERFLOW, b"503"), (End.INTERRUPTED, b"503")]
)
async def test_the_reason_of_the_end_is_said_last(rig, reason, code):
    async with rig.streaming():
        rig.stream.subscription.end(reason)
        await rig.task

        assert rig.push.end == "finished"
        [[last]] = rig.documents
        assert b'"code":' + code in last
        assert reason.value.encode() in last


async def test_a_right_that_has_ended_ends_the_stream_before_anything_else_goes_out(rig):
    rig.stream.end_at_recheck = End.REVOKED
    async with rig.streaming():
        rig.stream.subscription.recheck()
        rig.happen(1)
        await rig.task

        assert [b'"code":404' in piece for [piece] in rig.documents] == [True]


async def test_nothing_is_said_to_a_client_that_left(rig):
    async with rig.streaming():
        rig.push.leave()
        await rig.task

        assert (rig.push.written, rig.push.end) == ([], "")
        assert rig.stream.subscription.ended is End.CLOSED


async def test_the_end_waits_for_a_client_that_reads_on(rig):
    async with rig.streaming():
        rig.push.stop_reading()
        rig.stream.subscription.end(End.OVERFLOW)
        await turns(5)
        assert rig.push.end == ""

        rig.push.read_on()
        await rig.task

        assert rig.push.end == "finished"
        assert len(rig.push.written) == 1


async def test_a_client_that_reads_no_end_is_cut_off(rig, monkeypatch):
    monkeypatch.setattr(pushing, "_GOODBYE_S", 0.001)
    async with rig.streaming():
        rig.push.stop_reading()
        rig.stream.subscription.end(End.OVERFLOW)
        await rig.task

        assert (rig.push.written, rig.push.end) == ([], "cut")


async def test_a_client_that_left_before_the_answer_ends_it_at_once(rig):
    rig.push.is_there = False
    async with rig.streaming():
        await rig.task

        assert rig.push.start is None


# What was missed.


async def test_pages_come_first_each_in_a_write_and_then_what_is_live(rig):
    for sequence in range(1, 6):
        rig.history.commit(event(sequence))
    async with rig.streaming(EVENTS, since=1):
        await until(lambda: len(rig.push.written) == 2)
        rig.happen(6)
        await turns()

        cursors = [[piece.split(b"\n")[0] for piece in pieces] for pieces in rig.documents]
        assert cursors == [[b"id: v2", b"id: v3", b"id: v4"], [b"id: v5"], [b"id: v6"]]


async def test_a_large_page_leaves_in_several_writes(rig, monkeypatch):
    monkeypatch.setattr(pushing, "_PIECE_BYTES", 60)
    for sequence in range(1, 4):
        rig.history.commit(event(sequence))
    async with rig.streaming(EVENTS, since=0):
        await until(lambda: len(rig.push.written) == 2)

        assert [len(pieces) for pieces in rig.documents] == [2, 1]


@pytest.mark.parametrize(("since", "cursor"), [(1, b"v6"), (100, b"v8")])
async def test_a_gap_is_told_with_a_cursor_behind_which_nothing_is_missing(rig, since, cursor):
    rig.history.first_known = 6
    for sequence in (7, 8):
        rig.history.commit(event(sequence))
    rig.history.committed = [one for one in rig.history.committed if since < 100]
    async with rig.streaming(EVENTS, since=since):
        await until(lambda: rig.push.written)

        first = rig.documents[0][0]
        assert first.startswith(b"id: %b\nevent: gap\ndata: {" % cursor)


async def test_only_what_may_be_seen_now_is_told_again(rig):
    for sequence in range(1, 4):
        rig.history.commit(event(sequence))
    rig.stream.accepted = lambda event: event.sequence != 2
    async with rig.streaming(EVENTS, since=0):
        await until(lambda: rig.push.written)

        assert [piece.split(b"\n")[0] for piece in rig.documents[0]] == [b"id: v1", b"id: v3"]


async def test_a_right_that_ends_during_the_replay_ends_it(rig):
    for sequence in range(1, 9):
        rig.history.commit(event(sequence))
    rig.history.during = [lambda: None, rig.stream.subscription.recheck]
    rig.stream.end_at_recheck = End.REVOKED
    async with rig.streaming(EVENTS, since=0):
        await rig.task

        assert len(rig.documents) == 2
        assert len(rig.documents[0]) == 3
        assert rig.documents[1][0].startswith(b"event: end\n")


async def test_the_replay_waits_for_a_client_that_does_not_read(rig):
    for sequence in range(1, 5):
        rig.history.commit(event(sequence))
    rig.history.during = [rig.push.stop_reading]
    async with rig.streaming(EVENTS, since=0):
        await turns(10)
        assert rig.push.written == []

        rig.push.read_on()
        await until(lambda: len(rig.push.written) == 2)


async def test_a_client_that_leaves_during_the_replay_ends_it(rig):
    for sequence in range(1, 5):
        rig.history.commit(event(sequence))
    rig.history.during = [rig.push.stop_reading]
    async with rig.streaming(EVENTS, since=0):
        await turns(10)

        rig.push.leave()
        await rig.task

        assert (rig.push.written, rig.push.end) == ([], "")


async def test_a_store_that_fails_during_the_replay_ends_the_stream_with_a_reason(rig):
    for sequence in range(1, 5):
        rig.history.commit(event(sequence))

    def fail():
        raise OverloadedError("too many reads wait")

    rig.history.during = [lambda: None, fail]
    async with rig.streaming(EVENTS, since=0):
        await rig.task

        assert rig.documents[-1][0].startswith(b"event: end\n")
        assert b"503" in rig.documents[-1][0]


async def test_a_server_that_stops_asks_to_come_back_later(rig):
    async with rig.streaming(EVENTS):
        rig.live.stop()
        await rig.task

        assert rig.documents[0][0].startswith(b"retry: 10000\nevent: end\n")


async def test_a_right_that_ends_while_a_page_waits_for_the_client_ends_it_at_once(rig):
    rig.history.commit(event(1))
    rig.history.during = [rig.push.stop_reading]
    rig.stream.end_at_recheck = End.REVOKED
    async with rig.streaming(EVENTS, since=0):
        await turns(10)

        rig.stream.subscription.recheck()
        await until(lambda: rig.stream.subscription.ended is End.REVOKED)
        rig.push.read_on()
        await rig.task

        assert [len(pieces) for pieces in rig.documents] == [1]
        assert rig.documents[0][0].startswith(b"event: end\n")


async def test_a_server_that_stops_cuts_a_replay_off_that_nobody_reads(rig, monkeypatch):
    monkeypatch.setattr(pushing, "_GOODBYE_S", 0)
    rig.history.commit(event(1))
    rig.history.during = [rig.push.stop_reading]
    async with rig.streaming(EVENTS, since=0):
        await turns(10)

        rig.live.stop()
        await rig.task

        assert (rig.push.written, rig.push.end) == ([], "cut")
