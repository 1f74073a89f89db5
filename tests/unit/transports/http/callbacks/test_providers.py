"""What the messages of each provider mean. Whole messages are in `tests/api/callbacks`."""

import pytest

from thingstead.features.devices.decoding import parse_decoder
from thingstead.features.devices.errors import InvalidDeviceIdError
from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import IncomingValue
from thingstead.kernel.errors import InvalidBodyError, InvalidDateError
from thingstead.transports.http.callbacks.http import http_message
from thingstead.transports.http.callbacks.lora import lora_message
from thingstead.transports.http.callbacks.mapping import Callback
from thingstead.transports.http.callbacks.sigfox import sigfox_geo_message, sigfox_message

DECODER = parse_decoder("light::uint:16 temperature::int:8")


def read(reader, members, decoder=None, **callback):
    return reader(Callback(members, **callback), decoder)


def pairs(message):
    return {value.key: value.value for value in message.values}


def test_a_plain_message_names_its_thing_by_the_token():
    message = read(http_message, {"temperature": 10}, thing_token="token")

    assert (message.thing_token, message.device_id) == ("token", None)
    assert pairs(message) == {"temperature": 10}


def test_values_in_the_form_of_a_write_are_taken_as_one():
    values = [{"key": "a", "value": 1, "datetime": "20260131120000", "more": 1}]

    message = read(http_message, {"values": values, "b": 2}, thing_token="token")

    assert message.values == [IncomingValue("a", 1, None, "20260131120000")]


def test_values_of_a_write_may_be_magic():
    values = [{"key": "$settings.name", "value": "Roof"}]

    assert read(http_message, {"values": values}, thing_token="t").values == [
        IncomingValue("$settings.name", "Roof")
    ]


@pytest.mark.parametrize("values", [[], [1], ["a"], [{"value": 1}], {"a": 1}, 7, "x", None])
def test_other_values_are_members_like_any(values):
    message = read(http_message, {"values": values, "b": 2}, thing_token="token")

    assert pairs(message)["b"] == 2


def test_a_wrong_value_of_a_write_is_named():
    with pytest.raises(InvalidValuesError, match=r"values\[0\]\.key"):
        read(http_message, {"values": [{"key": 1, "value": 1}]}, thing_token="token")


SIGFOX = {"id": "4D9F7C", "data": "1713ff", "time": "1769860800"}


def test_a_sigfox_message_without_a_decoder_keeps_its_data():
    message = read(sigfox_message, SIGFOX)

    assert message.device_id == "4D9F7C"
    assert message.values == [IncomingValue("data", "1713ff", None, "2026-01-31T12:00:00.000Z")]


def test_a_sigfox_message_with_a_decoder_has_its_fields():
    assert pairs(read(sigfox_message, SIGFOX, DECODER)) == {"light": 5907, "temperature": -1}


def test_sigfox_data_that_is_no_hex_stays_a_text():
    assert pairs(read(sigfox_message, {"id": "a", "data": "hello"}, DECODER)) == {"data": "hello"}


@pytest.mark.parametrize("data", [{}, {"data": ""}])
def test_a_sigfox_message_without_data_has_the_numbers_only(data):
    assert pairs(read(sigfox_message, {"id": "a", "rssi": "-1", **data})) == {"rssi": -1}


def test_numbers_booleans_and_custom_texts_stand_beside_the_data():
    members = {
        "snr": "20.5",
        "seqNumber": 7,
        "ok": "true",
        "bad": "false",
        "open": True,
        "customData#mode": "eco",
        "station": "0B2C",
        "deviceTypeId": "5c1a",
        "computedLocation": {"lat": 1, "status": 1},
        "extra": {"x": 1},
        "list": [1],
        "gone": "null",
        "empty": "",
        "": 1,
    }

    assert pairs(read(sigfox_message, {"id": "a", **members})) == {
        "snr": 20.5,
        "seqNumber": 7,
        "ok": True,
        "bad": False,
        "open": True,
        "customData_mode": "eco",
        "extra.x": 1,
    }


def test_a_decoded_field_stands_before_a_parameter_of_the_same_name():
    decoder = parse_decoder("rssi::uint:8")

    assert pairs(read(sigfox_message, {"id": "a", "rssi": -1, "data": "07"}, decoder)) == {
        "rssi": 7
    }


@pytest.mark.parametrize("sent", [True, "true", "True", "1", 1])
def test_a_duplicate_is_no_message(sent):
    assert read(sigfox_message, {**SIGFOX, "duplicate": sent}) is None


@pytest.mark.parametrize("sent", [False, "false", "", 0, None])
def test_what_is_no_duplicate_is_a_message(sent):
    assert pairs(read(sigfox_message, {**SIGFOX, "duplicate": sent})) == {"data": "1713ff"}


@pytest.mark.parametrize("sent", ["yesterday", True, -1, 253_402_300_800, "1e30"], ids=repr)
def test_a_time_that_is_no_number_of_seconds_is_refused(sent):
    with pytest.raises(InvalidDateError, match="seconds"):
        read(sigfox_message, {"id": "a", "data": "00", "time": sent})


@pytest.mark.parametrize("sent", [None, ""])
def test_without_a_time_the_server_gives_it(sent):
    (value,) = read(sigfox_message, {"id": "a", "data": "00", "time": sent}).values

    assert value.datetime is None


def test_the_last_second_that_can_be_written_is_a_time():
    (value,) = read(sigfox_message, {"id": "a", "data": "0", "time": 253_402_300_799}).values

    assert value.datetime == "9999-12-31T23:59:59.000Z"


def test_a_sigfox_position_is_that_of_the_values_and_of_the_thing():
    message = read(sigfox_message, {"id": "a", "data": "00", "lat": "41.4", "lng": "2.2"})

    geo = {"lat": 41.4, "long": 2.2}
    assert message.values == [IncomingValue("data", "00", geo), IncomingValue("$geo", None, geo)]


@pytest.mark.parametrize("part", [{"lat": "41.4"}, {"lng": "2.2"}, {"lat": "null", "lng": "null"}])
def test_half_a_position_is_none(part):
    assert read(sigfox_message, {"id": "a", "data": "00", **part}).values == [
        IncomingValue("data", "00")
    ]


def test_a_sigfox_message_may_name_its_device_otherwise():
    assert read(sigfox_message, {"device": "a", "rssi": 1}).device_id == "a"
    named = read(sigfox_message, {"serial": "a", "rssi": 1}, idname="serial")
    assert (named.device_id, pairs(named)) == ("a", {"rssi": 1})


def test_a_geolocation_is_a_position_and_a_radius():
    members = {"id": "a", "lat": "41.4", "lng": "2.2", "radius": "1500", "time": 1769860800}

    message = read(sigfox_geo_message, members)

    geo = {"lat": 41.4, "long": 2.2}
    assert message.values == [
        IncomingValue("radius", 1500, geo, "2026-01-31T12:00:00.000Z"),
        IncomingValue("$geo", None, geo),
    ]


def test_a_geolocation_without_a_position_is_refused():
    with pytest.raises(InvalidBodyError, match="lat and lng"):
        read(sigfox_geo_message, {"id": "a", "lat": 1})


IDS = {"end_device_ids": {"device_id": "roof-1", "dev_eui": "70B3D57ED0000001"}}


def uplink(**members):
    return {**IDS, "received_at": "2026-01-31T12:00:01Z", "uplink_message": members}


def test_decoded_members_of_an_uplink_become_values():
    decoded = {"t": 21.5, "air": {"humidity": 40}, "data": "0102"}

    message = read(lora_message, uplink(decoded_payload=decoded, frm_payload="FxP/"), DECODER)

    assert message.device_id == "roof-1"
    assert pairs(message) == {"t": 21.5, "air.humidity": 40, "data": "0102"}


@pytest.mark.parametrize("decoded", [{}, {"decoded_payload": {}}, {"decoded_payload": 7}])
def test_otherwise_the_bytes_of_an_uplink_go_through_the_decoder(decoded):
    message = read(lora_message, uplink(frm_payload="FxP/", **decoded), DECODER)

    assert pairs(message) == {"light": 5907, "temperature": -1}


def test_without_a_decoder_the_bytes_stay_as_they_came():
    assert pairs(read(lora_message, uplink(frm_payload="FxP/"))) == {"data": "FxP/"}


@pytest.mark.parametrize("raw", ["no base64!", "F", "ü"])
def test_what_is_no_base64_stays_as_it_came(raw):
    assert pairs(read(lora_message, uplink(frm_payload=raw), DECODER)) == {"data": raw}


@pytest.mark.parametrize("raw", [None, "", 7])
def test_an_uplink_without_bytes_has_how_it_was_received_only(raw):
    message = read(lora_message, uplink(frm_payload=raw, rx_metadata=[{"rssi": -50}]))

    assert pairs(message) == {"rssi": -50}


def test_the_time_is_that_of_the_uplink_before_that_of_the_event():
    sent = uplink(frm_payload="FxP/", received_at="2026-01-31T12:00:00.123456789Z")

    (first,) = read(lora_message, sent).values
    (second,) = read(lora_message, uplink(frm_payload="FxP/")).values
    (third,) = read(lora_message, {**IDS, "uplink_message": {"frm_payload": "FxP/"}}).values

    assert first.datetime == "2026-01-31T12:00:00.123456789Z"
    assert second.datetime == "2026-01-31T12:00:01Z"
    assert third.datetime is None


def test_the_first_gateway_tells_how_it_was_received():
    gateways = [{"rssi": -50, "snr": 9.5}, {"rssi": -99, "snr": -1}]

    message = read(lora_message, uplink(decoded_payload={"snr": 1}, rx_metadata=gateways))

    assert pairs(message) == {"snr": 1, "rssi": -50}


@pytest.mark.parametrize("gateways", [[], ["x"], {"rssi": 1}, [{"rssi": "strong"}]])
def test_strange_gateways_tell_nothing(gateways):
    assert pairs(read(lora_message, uplink(decoded_payload={"t": 1}, rx_metadata=gateways))) == {
        "t": 1
    }


def test_the_users_location_is_that_of_the_values():
    locations = {"user": {"latitude": 41.4, "longitude": 2.2, "source": "SOURCE_REGISTRY"}}

    (value,) = read(lora_message, uplink(frm_payload="FxP/", locations=locations)).values

    assert value.geo == {"lat": 41.4, "long": 2.2}


@pytest.mark.parametrize("locations", [{}, {"user": 1}, [], {"user": {"latitude": 41.4}}])
def test_half_a_location_is_none(locations):
    (value,) = read(lora_message, uplink(frm_payload="FxP/", locations=locations)).values

    assert value.geo is None


@pytest.mark.parametrize(
    "members",
    [
        {**IDS, "join_accept": {"session_key_id": "x"}},
        {**IDS, "downlink_ack": {}},
        {**IDS},
        {"uplink_message": None},
    ],
)
def test_an_event_without_an_uplink_is_no_message(members):
    assert read(lora_message, members) is None


@pytest.mark.parametrize(
    ("members", "device_id"),
    [
        ({"end_device_ids": {"dev_eui": "70B3"}, "uplink_message": {}}, "70B3"),
        ({"deviceId": "a1"}, "a1"),
        ({"DevEUI": "a2"}, "a2"),
    ],
)
def test_a_lora_device_is_found_where_networks_put_it(members, device_id):
    assert read(lora_message, members).device_id == device_id


def test_messages_of_other_networks_are_read_like_plain_ones():
    members = {"deviceId": "a1", "payload": "1713ff", "port": 2}

    assert pairs(read(lora_message, members, DECODER)) == {
        "light": 5907,
        "temperature": -1,
        "port": 2,
    }


@pytest.mark.parametrize("reader", [http_message, sigfox_message, sigfox_geo_message, lora_message])
def test_a_message_that_names_no_device_is_refused(reader):
    with pytest.raises(InvalidDeviceIdError):
        read(reader, {"lat": 1, "lng": 2})
