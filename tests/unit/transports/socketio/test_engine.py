"""One connection: what it answers, keeps waiting, and when it ends; with a clock of the test's."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from thingstead.kernel.budget import Rate
from thingstead.transports.socketio.engine import EngineSession, PollRefusedError
from thingstead.transports.socketio.limits import SocketIOLimits
from thingstead.transports.socketio.packets import Generation, MalformedPacketError

THREE, FOUR = Generation.THREE, Generation.FOUR
LIMITS = SocketIOLimits(queued_packets=4, queued_bytes=100, messages=Rate(20, 5))


@dataclass
class Socket:
    """A WebSocket whose client the test is."""

    is_writable: bool = True
    got: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def send_text(self, text):
        if not self.closed:
            self.got.append(text.decode("ascii"))

    def close(self, _code, reason):
        self.closed.append(reason)


@dataclass
class Messages:
    """Keeps what the connection tells its rider."""

    got: list[str] = field(default_factory=list)
    writable: int = 0
    closed: int = 0

    def on_message(self, text):
        if text == "malformed":
            raise MalformedPacketError("as asked")
        self.got.append(text)

    def on_writable(self):
        self.writable += 1

    def on_closed(self):
        self.closed += 1


class Rig:
    """A connection and everything around it."""

    def __init__(self, generation, limits=LIMITS):
        self.now = 1_000.0
        self.strangers = 0
        self.ended = 0
        self.messages = Messages()
        self.session = EngineSession(
            "id", generation, limits, now=lambda: self.now, count_stranger=self._count,
            on_end=self._end,
        )  # fmt: skip
        self.session.rider = self.messages

    def _count(self, more):
        self.strangers += more

    def _end(self, _session):
        self.ended += 1

    def polling(self):
        self.session.open(None, has_upgrade=True)
        return self

    async def polled(self):
        await self.poll()
        return self

    async def poll(self):
        return [packet.decode("ascii") for packet in await self.session.poll()]

    def on(self, socket):
        self.session.open(socket, has_upgrade=False)
        socket.got.clear()
        return self

    def pass_time(self, seconds):
        self.now += seconds
        if self.session.deadline <= self.now and not self.session.has_ended:
            self.session.deadline_passed(self.now)


@pytest.fixture(params=[THREE, FOUR])
def rig(request):
    return Rig(request.param)


async def waiting_poll(rig):
    """A poll that has nothing to answer yet."""
    polling = asyncio.ensure_future(rig.poll())
    await asyncio.sleep(0)
    assert not polling.done()
    return polling


async def test_the_first_poll_says_how_to_go_on(rig):
    (packet,) = await rig.polling().poll()

    assert packet[0] == "0"
    assert json.loads(packet[1:])["sid"] == "id"
    assert json.loads(packet[1:])["upgrades"] == ["websocket"]


async def test_a_poll_waits_until_there_is_something(rig):
    await rig.polling().polled()
    polling = await waiting_poll(rig)

    rig.session.send(b"4one")
    rig.session.send(b"4two")

    assert await polling == ["4one", "4two"]


async def test_a_second_poll_ends_the_connection(rig):
    await rig.polling().polled()
    first = await waiting_poll(rig)

    with pytest.raises(PollRefusedError):
        await rig.poll()

    assert await first == ["1"]
    assert rig.session.has_ended


async def test_messages_of_a_body_reach_the_rider_in_order(rig):
    rig.polling().session.receive_polled(["4one", "4two"])

    assert rig.messages.got == ["one", "two"]


@pytest.mark.parametrize("text", ["", "x", "7", "4malformed", "0", "5"])
async def test_a_malformed_packet_ends_the_connection(rig, text):
    rig.polling()

    with pytest.raises(MalformedPacketError):
        rig.session.receive_polled([text, "4not heard"])

    assert rig.session.has_ended
    assert rig.messages.closed == 1
    assert rig.messages.got == []


async def test_only_clients_of_the_third_generation_ping():
    rig = await Rig(THREE).polling().polled()
    rig.session.receive_polled(["2"])
    assert await rig.poll() == ["3"]

    with pytest.raises(MalformedPacketError):
        Rig(FOUR).polling().session.receive_polled(["2"])


async def test_the_clients_close_ends_the_connection(rig):
    await rig.polling().polled()
    polling = await waiting_poll(rig)

    rig.session.receive_polled(["1", "4not heard"])

    assert await polling == ["1"]
    assert rig.messages.got == []
    assert rig.messages.closed == 1
    assert rig.ended == 1


async def test_as_many_messages_as_the_burst_are_taken_and_no_more(rig):
    rig.polling().session.receive_polled(["4"] * 5)
    assert not rig.session.has_ended

    rig.session.receive_polled(["4"])

    assert rig.session.has_ended
    assert rig.messages.got == [""] * 5


async def test_messages_are_taken_again_after_a_pause(rig):
    rig.polling().session.receive_polled(["4"] * 5)
    rig.now += 0.06

    rig.session.receive_polled(["4"])

    assert not rig.session.has_ended


async def test_as_many_packets_wait_as_may_and_no_more(rig):
    await rig.polling().polled()
    for _ in range(4):
        rig.session.send(b"4")
    assert not rig.session.has_ended

    rig.session.send(b"4")

    assert rig.session.has_ended


async def test_a_single_packet_may_be_larger_than_what_may_wait(rig):
    await rig.polling().polled()
    rig.session.send(b"4" + bytes(1_000))
    assert not rig.session.has_ended

    rig.session.send(b"4")

    assert rig.session.has_ended


async def test_a_polling_connection_is_writable_until_half_of_what_may_wait(rig):
    await rig.polling().polled()
    rig.session.send(b"4")
    assert rig.session.is_writable

    rig.session.send(b"4")

    assert not rig.session.is_writable
    await rig.poll()
    assert rig.session.is_writable
    assert rig.messages.writable > 0


async def test_a_websocket_is_writable_while_its_client_reads(rig):
    socket = Socket()
    rig.on(socket)
    assert rig.session.is_writable

    socket.is_writable = False

    assert not rig.session.is_writable


# --- Changing to a WebSocket ---


async def test_a_client_changes_to_a_websocket(rig):
    await rig.polling().polled()
    polling = await waiting_poll(rig)
    socket = Socket()

    assert rig.session.offer(socket)
    rig.session.receive_text(socket, "2probe")
    # The client changes over when its poll has been answered.
    assert await polling == ["6"]
    rig.session.send(b"4between")
    rig.session.receive_text(socket, "5")
    rig.session.send(b"4after")

    assert socket.got == ["3probe", "4between", "4after"]


async def test_a_poll_during_the_change_does_not_wait(rig):
    await rig.polling().polled()
    socket = Socket()
    rig.session.offer(socket)
    rig.session.receive_text(socket, "2probe")

    assert await rig.poll() == ["6"]
    rig.session.send(b"4one")
    assert await rig.poll() == ["4one"]


async def test_messages_of_the_websocket_count_after_the_change_only(rig):
    await rig.polling().polled()
    socket = Socket()
    rig.session.offer(socket)

    rig.session.receive_text(socket, "4too early")

    assert socket.closed == ["expected a probe"]
    assert rig.messages.got == []
    assert not rig.session.has_ended


async def test_the_change_needs_a_probe(rig):
    await rig.polling().polled()
    socket = Socket()
    rig.session.offer(socket)

    rig.session.receive_text(socket, "5")

    assert socket.closed
    assert not rig.session.has_ended


async def test_a_changed_connection_takes_no_polls(rig):
    rig.on(Socket())

    with pytest.raises(PollRefusedError):
        await rig.poll()
    with pytest.raises(PollRefusedError):
        rig.session.receive_polled(["4"])
    assert not rig.session.has_ended


async def test_a_second_websocket_is_not_taken(rig):
    rig.polling()
    assert rig.session.offer(Socket())

    assert not rig.session.offer(Socket())


async def test_a_websocket_that_leaves_before_the_change_leaves_the_connection(rig):
    await rig.polling().polled()
    socket = Socket()
    rig.session.offer(socket)
    rig.session.receive_text(socket, "2probe")
    await rig.poll()

    rig.session.lost(socket)

    assert not rig.session.has_ended
    polling = await waiting_poll(rig)
    rig.session.send(b"4")
    assert await polling == ["4"]


async def test_a_change_may_take_its_time_and_no_longer(rig):
    rig.polling()
    rig.session.welcome()
    socket = Socket()
    rig.session.offer(socket)

    rig.pass_time(LIMITS.upgrade_s - 0.1)
    assert not socket.closed
    rig.pass_time(0.1)

    assert socket.closed
    assert not rig.session.has_ended


async def test_a_lost_websocket_ends_the_connection(rig):
    socket = Socket()
    rig.on(socket)

    rig.session.lost(socket)

    assert rig.messages.closed == 1


async def test_the_end_is_said_on_the_websocket(rig):
    socket = Socket()
    rig.on(socket)

    rig.session.end("why", 1001)
    rig.session.end("again", 1001)

    assert socket.got == ["1"]
    assert socket.closed == ["why"]
    assert rig.ended == rig.messages.closed == 1


# --- Time ---


async def test_a_client_of_the_third_generation_that_is_silent_vanishes():
    rig = Rig(THREE).polling()
    rig.session.welcome()

    rig.pass_time(44.9)
    assert not rig.session.has_ended
    rig.pass_time(0.1)

    assert rig.session.has_ended


async def test_a_client_of_the_third_generation_lives_as_long_as_it_pings():
    rig = Rig(THREE).polling()
    rig.session.welcome()
    rig.pass_time(44.9)
    rig.session.receive_polled(["2"])

    rig.pass_time(44.9)

    assert not rig.session.has_ended


async def test_clients_of_the_fourth_generation_are_pinged_and_must_answer():
    rig = Rig(FOUR)
    socket = Socket()
    rig.on(socket)
    rig.session.welcome()

    rig.pass_time(25)
    assert socket.got == ["2"]
    rig.pass_time(19.9)
    assert not rig.session.has_ended
    rig.pass_time(0.1)

    assert rig.session.has_ended


async def test_clients_of_the_fourth_generation_that_answer_are_pinged_again():
    rig = Rig(FOUR)
    socket = Socket()
    rig.on(socket)
    rig.session.welcome()
    rig.pass_time(25)
    rig.session.receive_text(socket, "3")

    rig.pass_time(25)

    assert socket.got == ["2", "2"]


async def test_what_a_client_of_the_fourth_generation_sends_puts_no_ping_off():
    rig = Rig(FOUR)
    socket = Socket()
    rig.on(socket)
    rig.session.welcome()
    rig.pass_time(24)
    rig.session.receive_text(socket, "4")

    rig.pass_time(1)

    assert socket.got == ["2"]


async def test_a_stranger_may_stay_ten_seconds_and_no_longer(rig):
    rig.polling()
    assert rig.strangers == 1

    rig.pass_time(9.9)
    assert not rig.session.has_ended
    rig.pass_time(0.1)

    assert rig.session.has_ended
    assert rig.strangers == 0


async def test_who_has_shown_a_right_is_no_stranger(rig):
    rig.polling().session.welcome()
    rig.session.welcome()
    assert rig.strangers == 0

    rig.pass_time(10)

    assert not rig.session.has_ended


async def test_who_has_lost_every_right_becomes_a_stranger_again(rig):
    rig.polling().session.welcome()
    rig.pass_time(20)
    rig.session.estrange()
    rig.session.estrange()
    assert rig.strangers == 1

    rig.pass_time(9.9)
    assert not rig.session.has_ended
    rig.pass_time(0.1)

    assert rig.session.has_ended
    assert rig.strangers == 0
