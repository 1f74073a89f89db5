"""From a provider's members to values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.devices.decoding import parse_decoder
from thingstead.features.devices.errors import InvalidDeviceIdError
from thingstead.features.values.checks import is_resource_key
from thingstead.features.values.model import IncomingValue
from thingstead.transports.http.callbacks.mapping import (
    Callback,
    at_path,
    bytes_of,
    cleaned_key,
    device_of,
    number_of,
    values_of,
)

DECODER = parse_decoder("light::uint:16 temperature::int:8")


def pairs(values):
    return [(value.key, value.value) for value in values]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("id", "a1"),
        ("device.eui", "70B3"),
        ("device.a.b", None),
        ("dotted.name", "whole"),
        ("missing", None),
        ("id.more", None),
        ("list.0", None),
    ],
)
def test_a_dotted_path_leads_into_objects(path, found):
    members = {"id": "a1", "device": {"eui": "70B3"}, "dotted.name": "whole", "list": ["x"]}

    assert at_path(members, path) == found


def test_the_member_that_idname_names_is_the_device_and_stands_before_the_token():
    callback = Callback({"dev": {"id": "a1"}}, idname="dev.id", thing_token="token")

    assert device_of(callback, "id") == (None, "a1", "dev.id")


def test_a_number_can_be_a_device_id():
    assert device_of(Callback({"id": 4711}, idname="id")) == (None, "4711", "id")


@pytest.mark.parametrize("value", [None, True, 1.5, {"a": 1}, ["a"]], ids=repr)
def test_what_is_neither_text_nor_whole_number_is_no_device_id(value):
    with pytest.raises(InvalidDeviceIdError, match="id: expected"):
        device_of(Callback({"id": value}, idname="id"))


@pytest.mark.parametrize("idname", [None, "thingToken"])
def test_without_an_idname_the_thing_token_counts(idname):
    callback = Callback({"id": "a1"}, idname=idname, thing_token="token")

    assert device_of(callback, "id") == ("token", None, None)


def test_without_either_the_first_default_path_that_leads_to_an_id_counts():
    callback = Callback({"b": {"c": "a1"}, "d": "a2"})

    assert device_of(callback, "a", "b.c", "d") == (None, "a1", "b.c")


def test_a_message_that_names_no_device_is_told_what_is_missing():
    with pytest.raises(InvalidDeviceIdError, match="thingToken or id: missing"):
        device_of(Callback({}), "id")


def test_a_long_idname_is_cut_in_the_refusal():
    with pytest.raises(InvalidDeviceIdError) as refused:
        device_of(Callback({}, idname="x" * 100))

    assert refused.value.detail == f"{'x' * 64}: expected a text or a number"


def test_numbers_texts_and_booleans_become_values_and_nothing_else_does():
    members = {"a": 1, "b": 1.5, "c": "x", "d": True, "e": None, "f": [1, 2]}

    assert pairs(values_of(members, None)) == [("a", 1), ("b", 1.5), ("c", "x"), ("d", True)]


def test_members_of_objects_get_dotted_keys_down_to_the_third_level():
    members = {"a": {"b": {"c": 1, "d": {"e": 2}}, "f": 3}}

    assert pairs(values_of(members, None)) == [("a.b.c", 1), ("a.f", 3)]


def test_the_member_that_holds_the_id_is_left_out():
    members = {"dev": {"id": "a1", "name": "Roof"}, "t": 1}

    assert pairs(values_of(members, None, without="dev.id")) == [("dev.name", "Roof"), ("t", 1)]


def test_of_two_members_with_one_key_the_first_counts():
    assert pairs(values_of({"a b": 1, "a_b": 2, "a": {"b": 3}, "a.b": 4}, None)) == [
        ("a_b", 1),
        ("a.b", 3),
    ]


def test_time_and_position_are_those_of_every_value():
    values = values_of({"a": 1, "b": 2}, None, datetime="20260131120000", geo={"lat": 1, "long": 2})

    assert values == [
        IncomingValue(key, value, {"lat": 1, "long": 2}, "20260131120000")
        for key, value in (("a", 1), ("b", 2))
    ]


@pytest.mark.parametrize("name", ["data", "payload"])
def test_a_decoder_takes_the_bytes_of_data_and_payload(name):
    values = values_of({name: "1713FF", "t": 1}, DECODER)

    assert pairs(values) == [("light", 5907), ("temperature", -1), ("t", 1)]


@pytest.mark.parametrize(
    "members", [{"data": "171"}, {"data": "xyz"}, {"data": ""}, {"data": 17}, {"other": "17"}]
)
def test_what_holds_no_bytes_is_left_as_it_is(members):
    assert pairs(values_of(members, DECODER)) == list(members.items())


def test_without_a_decoder_the_bytes_stay_a_text():
    assert pairs(values_of({"data": "1713FF"}, None)) == [("data", "1713FF")]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("temperature", "temperature"),
        ("customData#x", "customData_x"),
        ("°C in", "_C_in"),
        ("$geo", "_geo"),
        ("description", "description_"),
        ("publicDescription", "publicDescription_"),
        ("a" * 65, "a" * 64),
        ("", ""),
    ],
)
def test_a_name_becomes_a_key(name, key):
    assert cleaned_key(name) == key


@given(st.text(min_size=1))
def test_every_cleaned_name_can_hold_values(name):
    assert is_resource_key(cleaned_key(name))


def test_a_member_without_a_name_is_left_out():
    assert values_of({"": 1}, None) == []


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1),
        (1.5, 1.5),
        ("1", 1),
        ("-121.00", -121.0),
        ("+7", 7),
        ("1e3", 1000.0),
        ("9" * 18, int("9" * 18)),
        ("9" * 19, None),
        ("1e999", None),
        ("nan", None),
        ("0x10", None),
        ("", None),
        ("1_000", None),
        (True, None),
        (None, None),
        ([1], None),
    ],
    ids=repr,
)
def test_a_number_may_come_as_a_text(value, number):
    found = number_of(value)

    assert (type(found), found) == (type(number), number)


@pytest.mark.parametrize("text", ["1713ff", "1713FF"])
def test_bytes_come_in_hex_of_either_case(text):
    assert bytes_of(text) == b"\x17\x13\xff"
