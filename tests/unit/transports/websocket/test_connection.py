import struct
import zlib
from dataclasses import replace

import pytest
from websockets.frames import Close, Opcode

from thingstead.transports.websocket import frame_of_text
from unit.transports.websocket.rig import (
    LIMITS,
    Rig,
    close,
    continuation,
    frame,
    frames_in,
    head,
    text,
)

# Sizes are about bytes, so nothing else may stop them.
UNHURRIED = replace(LIMITS, message_burst=100_000)


async def test_the_handler_learns_its_connection_before_any_message():
    rig = Rig()

    rig.receive(text(b"one"))

    assert rig.handler.told == ["opened", ("text", "one")]
    assert rig.handler.connection is rig.connection


async def test_messages_arrive_whatever_the_pieces():
    rig = Rig()
    stream = text("grün".encode()) + frame(Opcode.BINARY, bytes(300)) + text(b"")

    for index in range(len(stream)):
        rig.receive(stream[index : index + 1])

    assert rig.told == [("text", "grün"), ("binary", bytes(300)), ("text", "")]


async def test_fragments_become_one_message_with_a_ping_between_them():
    rig = Rig()

    rig.receive(
        text("grü".encode()[:3], fin=False),
        frame(Opcode.PING, b"still there?"),
        continuation("ü".encode()[1:], fin=False),
        continuation(b"n", fin=True),
        frame(Opcode.BINARY, b"a", fin=False),
        continuation(b"", fin=True),
    )

    assert rig.told == [("text", "grün"), ("binary", b"a")]
    pongs = await rig.written()
    assert [(pong.opcode, pong.data) for pong in pongs] == [(Opcode.PONG, b"still there?")]


async def test_a_pong_is_no_message():
    rig = Rig()

    rig.receive(frame(Opcode.PONG, b"x"))

    assert rig.told == []
    assert await rig.written() == []


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
async def test_a_message_may_have_64_kib_and_not_one_byte_more(opcode):
    rig = Rig()

    rig.receive(frame(opcode, b"a" * 65_536))
    whole = list(rig.told)
    rig.receive(frame(opcode, b"a" * 65_537))

    assert [len(told[1]) for told in whole] == [65_536]
    assert rig.told[1:] == ["closed"]
    assert await rig.close_code() == 1009


async def test_a_frame_that_announces_too_much_is_refused_before_it_has_come():
    rig = Rig()

    rig.receive(head(0x82, 2**62, is_masked=True))

    assert await rig.close_code() == 1009


async def test_fragments_together_may_have_64_kib_and_not_one_byte_more():
    rig, other = Rig(UNHURRIED), Rig(UNHURRIED)
    many = [continuation(b"a" * 1024, fin=False)] * 63

    rig.receive(text(b"a" * 1024, fin=False), *many, continuation(b"", fin=True))
    other.receive(text(b"a" * 1024, fin=False), *many, continuation(b"a", fin=True))

    assert [len(told[1]) for told in rig.told] == [65_536]
    assert other.told == ["closed"]
    assert await other.close_code() == 1009


async def test_a_ping_between_the_last_fragments_does_not_count_as_a_part():
    rig = Rig(UNHURRIED)

    rig.receive(
        text(b"a" * 65_535, fin=False), frame(Opcode.PING, b"p" * 125), continuation(b"a", fin=True)
    )

    assert [len(told[1]) for told in rig.told] == [65_536]


@pytest.mark.parametrize("payload", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"gr\xc3"])
async def test_a_text_that_is_no_utf8_ends_with_1007(payload):
    rig = Rig()

    rig.receive(text(payload))

    assert rig.told == ["closed"]
    assert await rig.close_code() == 1007


async def test_binary_may_be_anything():
    rig = Rig()

    rig.receive(frame(Opcode.BINARY, b"\xff"))

    assert rig.told == [("binary", b"\xff")]


WRONG = {
    "unmasked": head(0x81, 1, is_masked=False) + b"a",
    "an unknown opcode": frame(Opcode.TEXT, b"a").replace(b"\x81", b"\x83", 1),
    "a reserved bit": text(b"a", rsv1=True),
    "a control frame of 126 bytes": frame(Opcode.PING, bytes(126)),
    "a fragmented ping": frame(Opcode.PING, b"", fin=False),
    "a continuation of nothing": continuation(b"a", fin=True),
    "a message within a message": text(b"a", fin=False) + text(b"b"),
    "a close frame of one byte": frame(Opcode.CLOSE, b"\x03"),
    "a close code that nobody may send": close(1005),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_what_is_no_frame_of_a_client_ends_with_1002(wrong):
    rig = Rig()

    rig.receive(wrong)

    assert rig.told == ["closed"]
    assert await rig.close_code() == 1002


async def test_a_control_frame_of_125_bytes_is_one():
    rig = Rig()

    rig.receive(frame(Opcode.PING, b"a" * 125))

    assert [pong.data for pong in await rig.written()] == [b"a" * 125]


async def test_a_deflate_bomb_is_refused_without_being_inflated():
    rig = Rig()
    bomb = zlib.compressobj(wbits=-15)
    squeezed = bomb.compress(bytes(32 * 1024 * 1024)) + bomb.flush()

    rig.receive(frame(Opcode.BINARY, squeezed[:60_000], rsv1=True))

    assert rig.told == ["closed"]
    assert await rig.close_code() == 1002


async def test_40_messages_may_come_at_once_and_not_one_more():
    rig = Rig(replace(LIMITS, messages_per_second=0.001))

    rig.receive(*[text(b"a")] * 40)
    whole = len(rig.told)
    rig.receive(text(b"a"))

    assert whole == 40
    assert rig.told[40:] == ["closed"]
    assert await rig.close_code() == 1008


async def test_no_frame_after_the_one_too_many_is_looked_at():
    rig = Rig(replace(LIMITS, messages_per_second=0.001))

    rig.receive(*[frame(Opcode.PING, b"a")] * 5_000)

    assert len(await rig.written()) == 41
    assert await rig.close_code() == 1008


async def test_time_gives_messages_back():
    rig = Rig(replace(LIMITS, messages_per_second=1e8, message_burst=1))

    for _ in range(100):
        rig.receive(text(b"a"))

    assert len(rig.told) == 100


async def test_small_fragments_count_as_messages_and_large_ones_do_not():
    few = replace(LIMITS, message_burst=2, messages_per_second=0.001)
    small, large = Rig(few), Rig(few)

    small.receive(text(b"a", fin=False), *[continuation(b"a" * 511, fin=False)] * 2)
    large.receive(text(b"a", fin=False), *[continuation(b"a" * 512, fin=False)] * 2)
    large.receive(continuation(b"", fin=True))

    assert await small.close_code() == 1008
    assert [len(told[1]) for told in large.told] == [1 + 2 * 512]


async def test_what_is_sent_in_one_turn_of_the_loop_is_one_write():
    rig = Rig()

    rig.connection.send_text(b"one")
    rig.connection.send_binary(b"two")
    rig.connection.send_frames(frame_of_text(b"three") + frame_of_text(b"four"))
    before = list(rig.transport.writes)
    frames = await rig.written()

    assert before == []
    assert len(rig.transport.writes) == 1
    assert [sent.data for sent in frames] == [b"one", b"two", b"three", b"four"]
    assert [sent.opcode for sent in frames] == [1, 2, 1, 1]


async def test_much_is_written_at_once_so_that_the_transport_can_say_when_it_is_too_much():
    rig = Rig()

    rig.connection.send_binary(bytes(LIMITS.high_water_bytes - 4))
    before = len(rig.transport.writes)
    rig.connection.send_binary(b"")

    assert before == 0
    assert len(rig.transport.writes) == 1
    assert rig.transport.high == LIMITS.high_water_bytes


async def test_a_client_that_reads_nothing_is_cut_off_when_too_much_waits():
    rig = Rig()

    rig.transport.unsent_bytes = LIMITS.unsent_bytes
    rig.connection.send_text(b"a")
    await rig.written()
    until_limit = list(rig.transport.ends)
    rig.transport.unsent_bytes = LIMITS.unsent_bytes + 1
    rig.connection.send_text(b"a")
    await rig.written()

    assert until_limit == []
    assert rig.transport.ends == ["abort"]


async def test_the_handler_is_told_when_it_may_write_again():
    rig = Rig()

    rig.connection.pause_writing()
    paused = rig.connection.is_writable
    rig.connection.resume_writing()

    assert not paused
    assert rig.connection.is_writable
    assert rig.told == ["writable"]


async def test_pings_of_a_client_that_does_not_read_are_not_answered():
    rig = Rig()

    rig.connection.pause_writing()
    rig.receive(frame(Opcode.PING, b"a"))

    assert await rig.written() == []


async def test_a_paused_connection_keeps_what_came_and_reads_no_more():
    rig = Rig(text=lambda connection: connection.pause_reading())

    rig.receive(text(b"one"), text(b"two"))
    first, is_paused = list(rig.told), rig.transport.is_reading_paused
    rig.handler.reactions.clear()
    rig.connection.resume_reading()

    assert first == [("text", "one")]
    assert is_paused
    assert not rig.transport.is_reading_paused
    assert rig.told == [("text", "one"), ("text", "two")]


async def test_resuming_what_is_not_paused_changes_nothing():
    rig = Rig()

    rig.connection.resume_reading()
    rig.receive(text(b"one"))

    assert rig.told == [("text", "one")]


async def test_what_came_before_a_paused_connection_was_lost_is_not_delivered():
    rig = Rig(text=lambda connection: connection.pause_reading())
    rig.receive(text(b"one"), text(b"two"))

    rig.transport.close()
    rig.connection.connection_lost(None)
    rig.connection.resume_reading()
    rig.connection.resume_writing()

    assert rig.told == [("text", "one"), "closed"]


async def test_frames_are_written_as_the_library_writes_them():
    rig = Rig()
    sizes = [0, 125, 126, 65_535, 65_536]

    for size in sizes:
        rig.connection.send_text(b"a" * size)

    assert [len(sent.data) for sent in await rig.written()] == sizes
    for size in sizes:
        [whole] = frames_in(frame_of_text(b"a" * size))
        assert whole.serialize(mask=False) == frame_of_text(b"a" * size)


async def test_a_reason_that_is_too_long_is_cut_at_a_character():
    rig = Rig()

    rig.connection.close(4000, "ü" * 100)

    [last] = await rig.written()
    assert Close.parse(last.data) == Close(4000, "ü" * 61)


async def test_a_failing_handler_ends_its_connection_with_1011(caplog):
    def fail(_connection):
        raise RuntimeError("broken")

    rig = Rig(text=fail)

    rig.receive(text(b"a"), text(b"b"))

    assert rig.told == [("text", "a"), "closed"]
    assert await rig.close_code() == 1011
    assert "Unhandled error in a WebSocket's handler" in caplog.text


async def test_a_close_code_that_cannot_be_sent_is_a_fault_of_the_caller():
    rig = Rig()

    with pytest.raises(Exception, match="invalid status code"):
        rig.connection.close(1005)

    assert struct.pack("!H", 1005) not in b"".join(rig.transport.writes)
