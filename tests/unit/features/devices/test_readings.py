"""What a message of bytes stores."""

from thingstead.features.devices.decoding import parse_decoder
from thingstead.features.devices.readings import values_of_message
from thingstead.features.values.model import IncomingValue

DECODER = parse_decoder("light::uint:16 temperature::int:8")


def test_a_message_without_a_decoder_is_kept_in_hex():
    assert values_of_message(None, b"\x17\x13\xff") == [IncomingValue("data", "1713ff")]


def test_a_decoder_makes_a_value_of_each_field():
    assert values_of_message(DECODER, b"\x17\x13\xff") == [
        IncomingValue("light", 5907),
        IncomingValue("temperature", -1),
    ]


def test_a_message_too_short_for_every_field_is_kept_in_hex():
    assert values_of_message(DECODER, b"\x17") == [IncomingValue("data", "17")]


def test_time_and_position_are_those_of_every_value():
    geo = {"lat": 41.4, "long": 2.2}

    values = values_of_message(DECODER, b"\x17\x13\xff", datetime="20260131120000", geo=geo)

    assert [(value.datetime, value.geo) for value in values] == [("20260131120000", geo)] * 2
