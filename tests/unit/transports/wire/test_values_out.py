"""Values as they go out, to the byte."""

import json

import pytest

from thingstead.features.live.model import LiveEvent
from thingstead.features.values.model import MagicEcho, Position, Reading, StoredValue
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText
from thingstead.transports.wire.values_out import (
    encode,
    encode_event,
    encode_reading,
    encode_static,
    encode_users_documents,
    encode_users_rows,
)

NOON = 1_769_860_800_000


def test_a_value_is_compact_with_time_and_key_first_and_value_last():
    encoded = encode_reading(Reading("t", [("100", NOON + 799, None, None)]))

    assert encoded == b'[{"datetime":"2026-01-31T12:00:00.799Z","key":"t","value":"100"}]'


def test_a_position_follows_the_value():
    encoded = encode_reading(Reading("t", [(1, NOON, 41.5, 2.0)]))

    assert encoded == (
        b'[{"datetime":"2026-01-31T12:00:00.000Z","key":"t","value":1,'
        b'"geo":{"lat":41.5,"long":2.0}}]'
    )


def test_a_reading_keeps_its_order():
    rows = [(3, NOON + 60_000, None, None), (2, NOON, 1.0, 2.0), (1, NOON - 1, None, None)]

    assert [member["value"] for member in json.loads(encode_reading(Reading("t", rows)))] == [
        3,
        2,
        1,
    ]


def test_a_reading_is_encoded_once_for_all_who_read_it():
    reading = Reading("t", [(1, NOON, None, None)])

    assert encode_reading(reading) is encode_reading(reading)


def test_an_empty_reading_is_an_empty_array():
    assert encode_reading(Reading("t", [])) == b"[]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b"null"),
        (True, b"true"),
        (1, b"1"),
        (1.0, b"1.0"),
        (2**63 - 1, b"9223372036854775807"),
        ("1", b'"1"'),
        ('\u00fc\n"', '"\u00fc\\n\\""'.encode()),
        ([1, {"a": None}], b'[1,{"a":null}]'),
        (JSONText(b'[1.0,"\xc3\xbc\\n"]'), b'[1.0,"\xc3\xbc\\n"]'),
    ],
)
def test_a_value_goes_out_with_its_type(value, text):
    encoded = encode_reading(Reading("t", [(value, NOON, None, None)]))

    assert encoded.endswith(b'"value":' + text + b"}]")


def test_a_static_resource_has_no_time():
    assert encode_static("$settings", {"a": 1}) == b'[{"key":"$settings","value":{"a":1}}]'


def test_an_event_lists_values_and_magic_in_their_order():
    event = LiveEvent(
        ThingId("one"),
        3,
        (
            StoredValue("a", 0.5, NOON),
            MagicEcho("$geo", {"type": "Point", "coordinates": [2, 41]}),
            StoredValue("b", "x", NOON + 1, Position(41.5, 2.0)),
        ),
    )

    assert encode_event(event) == (
        b'[{"datetime":"2026-01-31T12:00:00.000Z","key":"a","value":0.5},'
        b'{"key":"$geo","value":{"type":"Point","coordinates":[2,41]}},'
        b'{"datetime":"2026-01-31T12:00:00.001Z","key":"b","value":"x",'
        b'"geo":{"lat":41.5,"long":2.0}}]'
    )


def test_an_event_is_encoded_once_for_all_its_subscribers():
    event = LiveEvent(ThingId("one"), 1, (StoredValue("a", 1, NOON),))

    assert encode_event(event) is encode_event(event)


def test_no_answer_holds_a_line_break():
    encoded = encode_reading(Reading("t", [("a\r\nb", NOON, None, None)]))

    assert b"\n" not in encoded
    assert b"\r" not in encoded


def test_what_is_stored_as_text_goes_out_as_it_is_to_users_too():
    text = JSONText(b'{"a":[]}')

    rows = encode_users_rows("t", [("one", (text, NOON, None, None))])
    documents = encode_users_documents("description", [("one", text)])

    assert rows.endswith(b'"key":"t","value":{"a":[]}}]')
    assert documents == b'[{"thingId":"one","key":"description","value":{"a":[]}}]'


def test_nothing_else_goes_out_that_is_no_json():
    with pytest.raises(TypeError, match="object is no JSON type"):
        encode([object()])
