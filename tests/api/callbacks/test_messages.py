"""Messages as the providers' documentation shows them, and what becomes of them."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

DECODER = "light::uint:16 temperature::int:8"
# The variables that Sigfox's backend offers for a callback of type DATA, UPLINK.
SIGFOX = {
    "id": "4D9F7C",
    "time": "1769860800",
    "duplicate": "false",
    "snr": "20.51",
    "station": "0B2C",
    "data": "1713ff",
    "avgSnr": "19.20",
    "lat": "41.0",
    "lng": "2.0",
    "rssi": "-121.00",
    "seqNumber": "1337",
}
# An uplink as The Things Stack v3 sends it to a webhook, without what nobody reads here.
UPLINK = {
    "end_device_ids": {
        "device_id": "roof-1",
        "application_ids": {"application_id": "weather"},
        "dev_eui": "0004A30B001C0530",
        "join_eui": "800000000000000C",
        "dev_addr": "00BCB929",
    },
    "correlation_ids": ["as:up:01E0WZGT6Y7657CPFPE5WEYDSQ"],
    "received_at": "2026-01-31T12:00:00.787360541Z",
    "uplink_message": {
        "session_key_id": "AXBSH1Pk6Z0G166dSDdgrg==",
        "f_port": 15,
        "f_cnt": 6,
        "frm_payload": "FxP/",
        "decoded_payload": {"luminosity": 0.64, "air": {"temperature": 21.5}},
        "rx_metadata": [
            {
                "gateway_ids": {"gateway_id": "roof", "eui": "9C5C8E00001A05C4"},
                "timestamp": 2463457000,
                "rssi": -35,
                "channel_rssi": -35,
                "snr": 5.2,
            }
        ],
        "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}},
        "received_at": "2026-01-31T12:00:00.504865106Z",
        "locations": {"user": {"latitude": 41.4, "longitude": 2.2, "source": "SOURCE_REGISTRY"}},
    },
}
JOIN = {
    "end_device_ids": {"device_id": "roof-1", "dev_eui": "0004A30B001C0530"},
    "received_at": "2026-01-31T12:00:00.787360541Z",
    "join_accept": {"session_key_id": "AXBSH1Pk6Z0G166dSDdgrg=="},
}


async def test_the_simplest_call_of_the_documentation(provider):
    new = await provider.server.platform.things.create(provider.product.id)

    got = await provider.post("http", {"thingToken": new.token, "temperature": 10})

    assert (got.status, got.body) == (201, b'{"status":"created"}')
    read = await provider.wire.ask("GET", f"/v2/things/{new.token}/all_resources")
    assert [one["key"] for one in read.json] == ["temperature"]


@pytest.mark.parametrize("idname", [None, "thingToken"])
async def test_the_thing_token_may_stand_in_the_query(provider, idname):
    new = await provider.server.platform.things.create(provider.product.id)
    query = {"thingToken": new.token} | ({} if idname is None else {"idname": idname})

    assert (await provider.get("http", temperature="10", **query)).status == 201
    read = await provider.wire.ask("GET", f"/v2/things/{new.token}/resources/temperature")
    assert read.json[0]["value"] == "10"


async def test_a_thing_of_another_product_is_not_found_by_its_token(provider, token):
    got = await provider.post("http", {"thingToken": token, "temperature": 10})

    assert (got.status, got.message) == (404, "Thing not found")
    read = await provider.wire.ask("GET", f"/v2/things/{token}/resources/temperature")
    assert read.status == 404


async def test_an_unknown_thing_token_is_not_found(provider):
    got = await provider.post("http", {"thingToken": "A" * 43, "temperature": 10})

    assert (got.status, got.message) == (404, "Thing not found")


async def test_a_thing_token_that_is_no_text_names_nothing(provider):
    assert (await provider.post("http", {"thingToken": 7, "temperature": 10})).status == 400


async def test_a_write_as_things_send_it_is_taken_as_one(provider):
    values = [
        {"key": "t", "value": 1, "datetime": "20260131120000"},
        {"key": "$settings.colour", "value": "red"},
    ]

    got = await provider.post("http", {"id": "a1", "values": values, "b": 2}, idname="id")

    assert got.status == 201
    assert await provider.kept("a1") == {"t": [1]}
    assert (await provider.newest("a1", "$settings.colour"))["value"] == "red"


async def test_members_cannot_reach_magic_resources(provider):
    members = {"id": "a1", "$geo": 1, "$settings": {"name": "x"}, "description": "y"}

    await provider.post("http", members, idname="id")

    assert await provider.kept("a1") == {
        "_geo": [1],
        "_settings.name": ["x"],
        "description_": ["y"],
    }
    assert (await provider.newest("a1", "$settings.name"))["value"] == "a1"


async def test_a_plain_message_goes_through_the_decoder(provider):
    await provider.change(decoder=DECODER)

    await provider.post("http", {"id": "a1", "payload": "1713FF"}, idname="id")

    assert await provider.kept("a1") == {"light": [5907], "temperature": [-1]}


async def test_a_sigfox_message_in_the_query(provider):
    got = await provider.get("sgfx", **SIGFOX)

    assert (got.status, got.body) == (201, b'{"status":"created"}')
    assert await provider.kept("4D9F7C") == {
        "data": ["1713ff"],
        "snr": [20.51],
        "avgSnr": [19.2],
        "rssi": [-121.0],
        "seqNumber": [1337],
    }
    assert await provider.newest("4D9F7C", "data") == {
        "datetime": "2026-01-31T12:00:00.000Z",
        "key": "data",
        "value": "1713ff",
        "geo": {"lat": 41.0, "long": 2.0},
    }
    assert (await provider.newest("4D9F7C", "$geo"))["value"] == {
        "type": "Point",
        "coordinates": [2.0, 41.0],
    }


async def test_a_sigfox_message_in_the_body_goes_through_the_decoder(provider):
    await provider.change(decoder=DECODER)
    body = {"id": "4D9F7C", "data": "1713ff", "time": 1769860800, "customData#mode": "eco"}

    assert (await provider.post("sgfx", body)).status == 201

    assert await provider.kept("4D9F7C") == {
        "light": [5907],
        "temperature": [-1],
        "customData_mode": ["eco"],
    }


async def test_a_decoder_is_in_force_at_once(provider):
    await provider.get("sgfx", id="a1", data="1713ff")
    await provider.change(decoder=DECODER)
    await provider.get("sgfx", id="a1", data="1713ff")
    await provider.change(decoder="")
    await provider.get("sgfx", id="a1", data="00")

    kept = await provider.kept("a1")
    assert (kept["data"], kept["light"]) == (["00", "1713ff"], [5907])


async def test_a_sigfox_message_that_is_sent_again_is_stored_once(provider):
    for _ in range(3):
        assert (await provider.get("sgfx", **SIGFOX)).status == 201

    assert all(len(values) == 1 for values in (await provider.kept("4D9F7C")).values())


async def test_a_sigfox_duplicate_is_a_success_and_stores_nothing(provider):
    got = await provider.get("sgfx", **{**SIGFOX, "duplicate": "true"})

    assert (got.status, got.body) == (200, b'{"status":"success"}')
    assert await provider.things() == {}


async def test_a_sigfox_device_that_waits_for_an_answer_is_told_that_there_is_none(provider):
    got = await provider.post("sgfx", {"id": "4D9F7C", "data": "00", "ack": "true"})

    assert (got.status, got.body) == (201, b'{"status":"created"}')
    assert await provider.kept("4D9F7C") == {"data": ["00"]}


async def test_a_sigfox_time_out_of_the_window_is_refused(provider):
    got = await provider.get("sgfx", id="a1", data="00", time="1")

    assert got.status == 400


async def test_a_sigfox_geolocation(provider):
    got = await provider.get("sgfx/geo", id="4D9F7C", lat="41.4", lng="2.2", radius="1500")

    assert got.status == 201
    assert await provider.kept("4D9F7C") == {"radius": [1500]}
    geo = (await provider.newest("4D9F7C", "$geo"))["value"]
    assert geo == {"type": "Point", "coordinates": [2.2, 41.4]}


@pytest.mark.parametrize("where", [{"lat": "91", "lng": "2"}, {"lat": "41.4"}, {}])
async def test_a_sigfox_geolocation_without_a_position_is_refused(provider, where):
    assert (await provider.get("sgfx/geo", id="4D9F7C", radius="1500", **where)).status == 400


async def test_an_uplink_with_decoded_members(provider):
    got = await provider.post("lora", UPLINK)

    assert (got.status, got.body) == (201, b'{"status":"created"}')
    assert await provider.kept("roof-1") == {
        "luminosity": [0.64],
        "air.temperature": [21.5],
        "rssi": [-35],
        "snr": [5.2],
    }
    assert await provider.newest("roof-1", "luminosity") == {
        "datetime": "2026-01-31T12:00:00.504Z",
        "key": "luminosity",
        "value": 0.64,
        "geo": {"lat": 41.4, "long": 2.2},
    }


async def test_an_uplink_that_only_the_decoder_understands(provider):
    await provider.change(decoder=DECODER)
    message = {**UPLINK, "uplink_message": {"frm_payload": "FxP/"}}

    assert (await provider.post("lora", message)).status == 201

    assert await provider.kept("roof-1") == {"light": [5907], "temperature": [-1]}
    newest = await provider.newest("roof-1", "light")
    assert newest["datetime"] == "2026-01-31T12:00:00.787Z"


async def test_an_uplink_that_is_sent_again_is_stored_once(provider):
    for _ in range(2):
        await provider.post("lora", UPLINK)

    assert (await provider.kept("roof-1"))["luminosity"] == [0.64]


async def test_an_uplink_may_name_its_device_by_the_address_that_idname_leads_to(provider):
    await provider.post("lora", UPLINK, idname="end_device_ids.dev_eui")

    assert list(await provider.things()) == ["0004A30B001C0530"]


async def test_a_join_is_a_success_and_makes_no_thing(provider):
    got = await provider.post("lora", JOIN)

    assert (got.status, got.body) == (200, b'{"status":"success"}')
    assert await provider.things() == {}


async def test_another_networks_message(provider):
    await provider.post("lora", {"DevEUI": "70B3", "port": 2, "payload": "FF"})

    assert await provider.kept("70B3") == {"port": [2], "payload": ["FF"]}
