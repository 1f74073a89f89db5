"""How a WebSocket ends, and what it does about silence."""

import asyncio
import math
from dataclasses import replace

from websockets.frames import Close, Opcode

from unit.transports.websocket.rig import LIMITS, Rig, close, frame, text


async def test_the_clients_close_is_answered_with_its_code_and_the_socket_closed():
    rig = Rig()

    rig.receive(close(4001, b"bye"), text(b"late"))

    [answer] = await rig.written()
    assert Close.parse(answer.data) == Close(4001, "bye")
    assert rig.transport.ends == ["close"]
    assert rig.told == ["closed"]


async def test_an_empty_close_is_answered_with_an_empty_one():
    rig = Rig()

    rig.receive(close(None))

    [answer] = await rig.written()
    assert (answer.opcode, answer.data) == (Opcode.CLOSE, b"")


async def test_our_close_waits_for_the_clients():
    rig = Rig()

    rig.connection.close(1001, "later")
    rig.receive(text(b"ignored"), frame(Opcode.PING))
    waiting = list(rig.transport.ends)
    rig.receive(close(1001))

    assert waiting == []
    assert rig.transport.ends == ["close"]
    assert [sent.opcode for sent in await rig.written()] == [Opcode.CLOSE]
    assert rig.told == ["closed"]


async def test_our_close_does_not_wait_for_ever():
    rig = Rig()

    rig.connection.close(1000)
    at = rig.connection.deadline
    rig.connection.deadline_passed(at)

    assert at <= rig.now + LIMITS.close_seconds
    assert rig.transport.ends == ["abort"]


async def test_nothing_is_sent_after_the_end_has_begun():
    rig = Rig(closed=lambda connection: connection.send_text(b"too late"))

    rig.connection.close(1000)
    rig.connection.send_text(b"too late")
    rig.connection.close(1001)
    rig.connection.shutdown()

    assert not rig.connection.is_open
    assert [sent.opcode for sent in await rig.written()] == [Opcode.CLOSE]
    assert await rig.close_code() == 1000


async def test_after_a_violation_the_socket_is_half_closed_and_the_rest_thrown_away():
    rig = Rig()

    rig.receive(frame(Opcode.PING, bytes(126)))
    rig.receive(text(b"a"), close())

    assert rig.transport.ends == ["eof"]
    assert rig.told == ["closed"]
    assert len(await rig.written()) == 1
    rig.connection.deadline_passed(rig.connection.deadline)
    assert rig.transport.ends == ["eof", "abort"]


async def test_a_violation_after_our_close_sends_no_second_close():
    rig = Rig()

    rig.connection.close(1000)
    rig.receive(frame(Opcode.PING, bytes(126)))

    assert await rig.close_code() == 1000
    assert len(await rig.written()) == 1


async def test_a_lost_connection_is_let_go_once():
    rig = Rig()

    rig.connection.connection_lost(None)
    rig.connection.send_text(b"a")
    await asyncio.sleep(0)

    assert rig.told == ["closed"]
    assert rig.released == 1
    assert rig.watched.all == set()
    assert rig.transport.writes == []


async def test_a_stopping_server_says_so():
    rig = Rig()

    rig.connection.shutdown()

    assert await rig.close_code() == 1001
    assert rig.told == ["closed"]


async def test_closing_a_paused_connection_still_hears_the_clients_close():
    rig = Rig(text=lambda connection: connection.pause_reading())

    rig.receive(text(b"a"), close())
    rig.connection.close(1000)
    await rig.written()

    assert not rig.transport.is_reading_paused
    assert rig.transport.ends == ["close"]


async def test_a_silent_client_is_asked_after_30_s_and_left_60_s_later():
    rig = Rig()
    deadlines = [rig.connection.deadline]

    rig.connection.deadline_passed(deadlines[0] - 1)
    quiet = await rig.written()
    for _ in range(2):
        rig.connection.deadline_passed(deadlines[-1])
        deadlines.append(rig.connection.deadline)
    asked = await rig.written()
    rig.connection.deadline_passed(deadlines[-1])

    assert deadlines[0] <= rig.now + 30
    assert [round(at - deadlines[0], 3) for at in deadlines] == [0, 30, 60]
    assert quiet == []
    assert [sent.opcode for sent in asked] == [Opcode.PING] * 2
    assert rig.told == ["closed"]
    assert await rig.close_code() == 1011


async def test_any_sign_of_life_starts_the_silence_anew():
    rig = Rig()
    began = rig.now

    rig.connection.deadline_passed(began + 31)
    rig.receive(frame(Opcode.PONG))
    rig.connection.deadline_passed(began + 92)

    assert rig.connection.is_open
    assert [sent.opcode for sent in await rig.written()] == [Opcode.PING] * 2


async def test_a_paused_connection_is_not_blamed_for_silence():
    rig = Rig()

    rig.connection.pause_reading()
    rig.connection.deadline_passed(rig.now + 1_000)

    assert rig.connection.is_open
    assert await rig.written() == []


async def test_a_client_that_does_not_read_is_left_after_30_s():
    rig = Rig()

    rig.connection.pause_writing()
    at = rig.connection.stall_deadline
    rig.connection.deadline_passed(at - 1)
    before = list(rig.transport.ends)
    rig.connection.deadline_passed(at)

    assert at <= rig.now + LIMITS.stall_seconds
    assert before == []
    assert rig.transport.ends == ["abort"]


async def test_the_handlers_deadline_is_told_once_and_can_be_taken_back():
    rig = Rig()

    rig.connection.set_deadline(5)
    at = rig.connection.deadline
    rig.connection.deadline_passed(at)
    rig.connection.deadline_passed(at + 1)
    told = list(rig.told)
    rig.connection.set_deadline(5)
    rig.connection.set_deadline(None)
    rig.connection.deadline_passed(rig.connection.deadline)

    assert at <= rig.now + 5
    assert told == ["deadline"]
    assert rig.told == ["deadline"]


async def test_a_handlers_deadline_beyond_the_next_ping_is_not_forgotten():
    rig = Rig(limits=replace(LIMITS, ping_after_seconds=1, answer_seconds=math.inf))
    began = rig.now

    rig.connection.set_deadline(2.5)
    rig.connection.deadline_passed(began + 1.1)
    rig.connection.deadline_passed(began + 2.2)
    between = rig.connection.deadline
    rig.connection.deadline_passed(began + 2.6)

    assert between <= rig.now + 2.5
    assert rig.told == ["deadline"]
