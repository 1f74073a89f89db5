"""Packet ids and the window of messages that wait for their PUBACK."""

from thingstead.transports.mqtt.outbox import Outbox


def nothing():
    pass


def test_packet_ids_count_from_one():
    outbox = Outbox(3)

    assert [outbox.add(nothing) for _ in range(3)] == [1, 2, 3]


def test_the_window_has_room_for_as_many_as_its_limit():
    outbox = Outbox(2)
    rooms = [outbox.room]
    for _ in range(2):
        outbox.add(nothing)
        rooms.append(outbox.room)

    assert rooms == [2, 1, 0]
    assert len(outbox) == 2


def test_an_acknowledgement_makes_room_and_is_told():
    told = []
    outbox = Outbox(1)
    packet_id = outbox.add(lambda: told.append("one"))

    outbox.acknowledged(packet_id)
    outbox.acknowledged(packet_id)

    assert (outbox.room, told) == (1, ["one"])


def test_an_unknown_id_changes_nothing():
    outbox = Outbox(1)
    outbox.add(nothing)

    outbox.acknowledged(9)

    assert outbox.room == 0


def test_ids_begin_anew_after_the_highest_and_leave_out_those_under_way():
    outbox = Outbox(65_535)
    first = outbox.add(nothing)
    for _ in range(65_534):
        outbox.acknowledged(outbox.add(nothing))

    assert (first, outbox.add(nothing)) == (1, 2)


def test_who_waits_for_room_is_called_once_after_the_next_acknowledgement():
    told = []
    outbox = Outbox(1)

    def wake():
        told.append(outbox.room)

    one = outbox.add(nothing)
    outbox.call_when_room(wake)
    outbox.call_when_room(wake)
    outbox.acknowledged(one)
    outbox.acknowledged(outbox.add(nothing))

    assert told == [1]


def test_who_is_called_may_ask_to_be_called_again():
    told = []
    outbox = Outbox(1)

    def wake():
        told.append("woken")
        outbox.call_when_room(wake)

    outbox.call_when_room(wake)
    for _ in range(3):
        outbox.acknowledged(outbox.add(nothing))

    assert told == ["woken"] * 3
