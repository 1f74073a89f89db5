"""Every call of the device API over CoAP: the same paths and JSON as over HTTP."""

import json
import re

import pytest

from support.coap import (
    ACCEPT,
    CONTENT_FORMAT,
    DELETE,
    FETCH,
    GET,
    MAX_AGE,
    NO_RESPONSE,
    NON,
    POST,
    PROXY_URI,
    PUT,
    URI_PATH,
    Packet,
    coap_of,
    peer_of,
    request,
)
from thingstead.transports.coap.bodies import FORM_FORMAT, MSGPACK_FORMAT
from thingstead.transports.coap.limits import CoAPLimits

pytestmark = pytest.mark.asyncio(loop_scope="module")
WRITE = b'{"values":[{"key":"a","value":21.5,"datetime":"20260131120000"}]}'
READING = {"datetime": "2026-01-31T12:00:00.000Z", "key": "a", "value": 21.5}


async def test_activation_is_created_and_uses_the_code_up(server, peer):
    code = await server.new_code()
    body = json.dumps({"activationCode": code}).encode()

    first = await peer.ask(request(POST, "/v2/things", payload=body))
    second = await peer.ask(request(POST, "/v2/things", payload=body))

    assert first.status == "2.01"
    assert json.loads(first.payload)["status"] == "created"
    assert len(json.loads(first.payload)["thingToken"]) == 43
    assert (second.status, json.loads(second.payload)["code"]) == ("4.00", 400)


async def test_activation_may_be_put_as_text(server, peer):
    body = json.dumps({"activationCode": await server.new_code()}).encode()

    answer = await peer.ask(
        request(PUT, "/v2/things/", options=[(CONTENT_FORMAT, b"")], payload=body)
    )

    assert answer.status == "2.01"


@pytest.mark.parametrize("method", [POST, PUT])
@pytest.mark.parametrize("content_format", [None, b"", b"\x32", b"\x3c"])
async def test_write_is_created_and_read_back(peer, thing, method, content_format):
    options = [] if content_format is None else [(CONTENT_FORMAT, content_format)]

    written = await peer.ask(request(method, thing, options=options, payload=WRITE))
    read = await peer.ask(request(GET, f"{thing}/resources/a"))

    assert written.status == "2.01"
    assert written.payload == b'{"status":"created","message":"created"}'
    assert written.number(CONTENT_FORMAT) == 50
    assert (read.status, json.loads(read.payload)) == ("2.05", [READING])


async def test_non_confirmable_write_is_answered_non_confirmably(peer, thing):
    answer = await peer.ask(request(POST, thing, kind=NON, payload=WRITE))

    assert (answer.status, answer.kind) == ("2.01", NON)


async def test_no_answer_comes_where_none_is_wanted(peer, thing):
    packet = request(POST, thing, kind=NON, options=[(NO_RESPONSE, b"\x02")], payload=WRITE)
    peer.send(packet)

    read = await peer.ask(request(GET, f"{thing}/resources/a", token=b"\x02"))

    assert read.token == b"\x02"


@pytest.mark.parametrize(
    ("content_format", "body"),
    [
        (FORM_FORMAT, b"values[0][key]=a&values[0][value]=on"),
        (MSGPACK_FORMAT, b"\x81\xa6values\x91\x82\xa3key\xa1a\xa5value\xa2on"),
    ],
)
async def test_forms_and_messagepack_are_told_by_their_numbers(peer, thing, content_format, body):
    options = [(CONTENT_FORMAT, content_format.to_bytes(2, "big"))]

    written = await peer.ask(request(POST, thing, options=options, payload=body))
    read = await peer.ask(request(GET, f"{thing}/resources/a"))

    assert written.status == "2.01"
    assert json.loads(read.payload)[0]["value"] == "on"


async def test_query_within_the_last_part_of_the_path_is_a_query(peer, thing):
    values = [{"key": "a", "value": n, "datetime": f"2026013112000{n}"} for n in range(3)]
    body = json.dumps({"values": values}).encode()
    name = thing.rsplit("/", 1)[1].encode()
    bare = Packet(0, POST, options=[(URI_PATH, part) for part in (b"v2", b"things", name + b"?")])
    bare.payload = body

    written = await peer.ask(bare)
    parts = (b"v2", b"things", name, b"resources", b"a?limit=2&startDate=20260131120001")
    read = await peer.ask(Packet(0, GET, options=[(URI_PATH, part) for part in parts]))

    assert written.status == "2.01"
    assert [item["value"] for item in json.loads(read.payload)] == [2, 1]


async def test_window_comes_as_query_options_too(peer, thing):
    values = [{"key": "a", "value": n, "datetime": f"2026013112000{n}"} for n in range(3)]
    await peer.ask(request(POST, thing, payload=json.dumps({"values": values}).encode()))

    read = await peer.ask(
        request(GET, f"{thing}/resources/a/?limit=9&endDate=2026-01-31T12:00:02.000Z")
    )

    assert [item["value"] for item in json.loads(read.payload)] == [1, 0]


async def test_resources_and_all_resources(peer, thing):
    await peer.ask(request(POST, thing, payload=WRITE))

    names = await peer.ask(request(GET, f"{thing}/resources"))
    everything = await peer.ask(request(GET, f"{thing}/all_resources/?limit=1"))

    assert json.loads(names.payload) == {"status": "success", "resources": ["a"]}
    assert json.loads(everything.payload)[0]["key"] == "a"


async def test_description_is_replaced_and_read(peer, thing):
    address = f"{thing}/resources/description"

    empty = await peer.ask(request(GET, address))
    put = await peer.ask(request(PUT, address, payload=b'{"name":"Greenhouse"}'))
    read = await peer.ask(request(GET, address))

    assert empty.payload == b"[]"
    assert put.status == "2.04"
    assert json.loads(read.payload) == [{"key": "description", "value": {"name": "Greenhouse"}}]


async def test_magic_resource_is_written_and_read(peer, thing):
    body = b'{"values":[{"key":"$settings","value":{"rate":5}}]}'

    await peer.ask(request(POST, thing, payload=body))
    read = await peer.ask(request(GET, f"{thing}/resources/$settings"))
    unknown = await peer.ask(request(GET, f"{thing}/resources/$constructor"))

    assert json.loads(read.payload)[0]["value"] == {"rate": 5}
    assert unknown.status == "4.04"


async def test_tags_are_added_listed_and_deleted(peer, thing):
    added = await peer.ask(request(POST, f"{thing}/tags", payload=b'{"name":"roof"}'))
    listed = await peer.ask(request(GET, f"{thing}/tags"))
    deleted = await peer.ask(request(DELETE, f"{thing}/tags/roof"))
    again = await peer.ask(request(DELETE, f"{thing}/tags/roof"))

    assert added.status == "2.01"
    assert json.loads(listed.payload) == [{"_id": "roof", "name": "roof"}]
    assert (deleted.status, again.status) == ("2.02", "4.04")


async def test_date_comes_in_both_formats(peer):
    utc = await peer.ask(request(GET, "/v2/utils/date"))
    seconds = await peer.ask(request(GET, "/v2/utils/date?format=unix_timestamp"))
    wrong = await peer.ask(request(GET, "/v2/utils/date?format=moon"))

    assert re.fullmatch(r'\[\{"key":"date","value":"[0-9T:.-]{23}Z"\}\]', utc.payload.decode())
    assert isinstance(json.loads(seconds.payload)[0]["value"], int)
    assert wrong.status == "4.00"


async def test_what_is_offered_names_no_thing(peer, thing):
    answer = await peer.ask(request(GET, "/.well-known/core"))

    assert answer.number(CONTENT_FORMAT) == 40
    assert thing.rsplit("/", 1)[1] not in answer.payload.decode()


async def test_link_id_is_looked_at_when_there_are_no_values(peer, thing):
    answer = await peer.ask(request(POST, thing, payload=b'{"linkId":"0123456789"}'))

    # Off per product unless it was switched on (rulings, Things, links, shares).
    assert answer.status == "4.03"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (GET, "/v2/things/" + "x" * 43 + "/resources", "4.04"),
        (GET, "/v2/me/things", "4.04"),
        (GET, "/", "4.04"),
        (GET, "/v2/things", "4.05"),
        (FETCH, "/v2/utils/date", "4.05"),
        (GET, "/v2/things/../things", "4.00"),
        (GET, "/v2/utils\\date", "4.00"),
    ],
)
async def test_refusal_is_the_document_of_http(peer, method, path, status):
    answer = await peer.ask(request(method, path))

    assert answer.status == status
    assert json.loads(answer.payload)["status"] == "error"
    assert json.loads(answer.payload)["code"] == int(status.replace(".", ""))
    assert answer.number(CONTENT_FORMAT) == 50


@pytest.mark.parametrize(
    ("option", "status"),
    [
        ((9, b"\x01"), "4.02"),
        ((1, b""), "4.02"),
        ((PROXY_URI, b"coap://other/"), "5.05"),
        ((ACCEPT, b"\x3c"), "4.06"),
        ((ACCEPT, b"\x32"), "2.05"),
        ((2_048, b"anything"), "2.05"),
    ],
)
async def test_critical_option_must_be_known(peer, option, status):
    answer = await peer.ask(request(GET, "/v2/utils/date", options=[option]))

    assert answer.status == status


async def test_too_many_unknown_tokens_have_to_wait(server, tmp_path):
    from support.in_process import served
    from thingstead.limit_settings import LimitSettings

    async with (
        served(tmp_path / "strict", limits=LimitSettings(bad_tokens_per_minute=2)) as strict,
        coap_of(strict) as coap,
        peer_of(coap) as peer,
    ):
        asked = [
            await peer.ask(request(GET, f"/v2/things/{str(n) * 43}/resources")) for n in range(3)
        ]

    assert [answer.status for answer in asked] == ["4.04", "4.04", "4.29"]
    assert asked[2].number(MAX_AGE) in range(1, 61)


async def test_request_beyond_the_most_at_once_is_told_when_to_come_again(server, token):
    async with coap_of(server, CoAPLimits(requests=0)) as coap, peer_of(coap) as peer:
        answer = await peer.ask(request(GET, f"/v2/things/{token}/resources"))

    assert (answer.status, answer.number(MAX_AGE)) == ("5.03", 5)
