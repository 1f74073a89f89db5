"""Bodies and answers in blocks (RFC 7959), and how much of them is held."""

import json

import pytest

from support.coap import (
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    ETAG,
    GET,
    MAX_AGE,
    POST,
    PUT,
    SIZE1,
    SIZE2,
    block,
    coap_of,
    peer_of,
    request,
)
from thingstead.transports.coap.datagrams import Number
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.messages import LongAnswer
from thingstead.transports.coap.routes import Code, Route

pytestmark = pytest.mark.asyncio(loop_scope="module")


def write_of(size: int) -> bytes:
    """A write whose body has exactly so many bytes."""
    values = [
        {"key": "a", "value": "x" * 4_000, "datetime": f"2026013112{n:04}"} for n in range(59)
    ]
    body = json.dumps({"values": values[: size // 4_096]}).encode()
    return body + b" " * (size - len(body))


async def upload(peer, method, path, body, *, exponent=6, options=()):
    """The last answer, and the codes of those before."""
    size = 16 << exponent
    last = (len(body) - 1) // size
    codes = []
    for number in range(last + 1):
        piece = body[number * size : (number + 1) * size]
        sent = [(BLOCK1, block(number, number < last, exponent)), *options]
        answer = await peer.ask(request(method, path, options=sent, payload=piece))
        codes.append(answer.status)
        if answer.status != "2.31":
            break
    return answer, codes[:-1]


async def fetch(peer, path, *, exponent=6):
    pieces, tags = [], set()
    while True:
        options = [(BLOCK2, block(len(pieces), False, exponent))]
        answer = await peer.ask(request(GET, path, options=options))
        assert answer.status == "2.05"
        pieces.append(answer.payload)
        tags.add(answer.option(ETAG))
        if not (answer.number(BLOCK2) or 0) & 8:
            return b"".join(pieces), tags


@pytest.mark.parametrize("exponent", [0, 3, 6])
async def test_body_in_blocks_is_stored_as_a_whole(peer, thing, exponent):
    body = b'{"values":[{"key":"a","value":"' + b"x" * 1_500 + b'"}]}'

    written, before = await upload(peer, POST, thing, body, exponent=exponent)
    read, _ = await fetch(peer, f"{thing}/resources/a", exponent=exponent)

    assert set(before) == {"2.31"}
    assert written.status == "2.01"
    assert written.number(BLOCK1) == ((len(body) - 1) // (16 << exponent)) << 4 | exponent
    assert json.loads(read)[0]["value"] == "x" * 1_500


async def test_body_at_the_limit_is_taken_and_one_byte_more_is_not(peer, thing):
    fits, _ = await upload(peer, POST, thing, write_of(65_536))
    exceeds, _ = await upload(peer, POST, thing, write_of(65_537))

    assert fits.status == "2.01"
    assert (exceeds.status, exceeds.number(SIZE1)) == ("4.13", 65_536)
    assert json.loads(exceeds.payload)["code"] == 413


async def test_size_that_is_announced_is_refused_at_once(peer, thing):
    options = [(BLOCK1, block(0, True, 6)), (SIZE1, (65_537).to_bytes(4, "big"))]

    answer = await peer.ask(request(POST, thing, options=options, payload=b"x" * 1_024))

    assert answer.status == "4.13"


async def test_body_in_one_datagram_may_be_as_large_as_a_description(peer, thing):
    address = f"{thing}/resources/description"
    most = CoAPLimits().document_bytes + CoAPLimits().slack_bytes

    fits = await peer.ask(request(PUT, address, payload=b'{"a":1}' + b" " * (most - 7)))
    exceeds = await peer.ask(request(PUT, address, payload=b'{"a":1}' + b" " * (most - 6)))

    assert (fits.status, exceeds.status) == ("2.04", "4.13")


@pytest.mark.parametrize("number", [1, 3])
async def test_block_without_those_before_it_is_incomplete(peer, thing, number):
    options = [(BLOCK1, block(number, False, 6))]

    answer = await peer.ask(request(POST, thing, options=options, payload=b"x"))

    assert answer.status == "4.08"


@pytest.mark.parametrize(
    ("option", "payload"),
    [(block(0, True, 6), b"short"), (block(0, False, 0), b"x" * 17), (b"\x07", b"x")],
)
async def test_block_of_another_size_than_it_says_is_refused(peer, thing, option, payload):
    answer = await peer.ask(request(POST, thing, options=[(BLOCK1, option)], payload=payload))

    assert answer.status == "4.00"


async def test_nothing_is_kept_of_a_body_for_an_unknown_thing(peer):
    options = [(BLOCK1, block(0, True, 6))]

    answer = await peer.ask(
        request(POST, "/v2/things/" + "x" * 43, options=options, payload=b"x" * 1_024)
    )

    assert answer.status == "4.04"


async def test_unfinished_bodies_beyond_the_limit_have_to_wait(server, thing):
    options = [(BLOCK1, block(0, True, 0))]
    async with (
        coap_of(server, CoAPLimits(uploads=2)) as coap,
        peer_of(coap) as one,
        peer_of(coap) as two,
        peer_of(coap) as three,
    ):
        answers = [
            await peer.ask(request(POST, thing, options=options, payload=b"x" * 16))
            for peer in (one, two, three)
        ]

    assert [answer.status for answer in answers] == ["2.31", "2.31", "5.03"]
    assert answers[2].number(MAX_AGE) == 60


async def test_who_has_no_token_keeps_nobody_from_writing_in_blocks(server, thing):
    async with coap_of(server, CoAPLimits(uploads_of_strangers=2)) as coap, peer_of(coap) as peer:
        answers = [
            await peer.ask(
                request(
                    POST,
                    path,
                    options=[(BLOCK1, block(0, True, 0)), (Number.REQUEST_TAG, tag)],
                    payload=b"x" * 16,
                )
            )
            for path, tag in [
                ("/v2/things", b"1"),
                ("/v2/things", b"2"),
                ("/v2/things", b"3"),
                (thing, b"4"),
            ]
        ]

    assert [answer.status for answer in answers] == ["2.31", "2.31", "5.03", "2.31"]


async def test_long_answer_comes_in_blocks_of_one_version(peer, thing):
    await upload(peer, POST, thing, write_of(16_384))
    path = f"{thing}/resources/a?limit=100"

    whole, tags = await fetch(peer, path)
    first = await peer.ask(request(GET, path))

    assert len(json.loads(whole)) == 4
    assert len(tags) == 1
    assert (len(first.payload), first.number(SIZE2)) == (1_024, len(whole))
    assert first.number(BLOCK2) == 0x0E
    assert first.number(CONTENT_FORMAT) == 50


async def test_answer_that_was_dropped_is_made_again_and_a_change_shows(server, thing):
    async with (
        coap_of(server, CoAPLimits(kept_answers=0)) as coap,
        peer_of(coap) as peer,
    ):
        await upload(peer, POST, thing, write_of(8_192))
        path = f"{thing}/resources/a?limit=100"
        whole, tags = await fetch(peer, path)
        await peer.ask(request(POST, thing, payload=b'{"values":[{"key":"a","value":1}]}'))
        options = [(BLOCK2, block(1, False, 6))]
        later = await peer.ask(request(GET, path, options=options))

    assert len(json.loads(whole)) == 2
    assert later.status == "2.05"
    assert later.option(ETAG) not in tags


async def test_kept_answer_does_not_change_while_it_is_fetched(peer, thing):
    await upload(peer, POST, thing, write_of(8_192))
    path = f"{thing}/resources/a?limit=100"
    first = await peer.ask(request(GET, path))
    await peer.ask(request(POST, thing, payload=b'{"values":[{"key":"a","value":1}]}'))

    second = await peer.ask(request(GET, path, options=[(BLOCK2, block(1, False, 6))]))

    assert second.option(ETAG) == first.option(ETAG)


async def test_kept_answer_is_not_told_when_the_thing_is_gone(server, peer):
    new = await server.new_thing()
    thing = f"/v2/things/{new.token}"
    await upload(peer, POST, thing, write_of(8_192))
    await peer.ask(request(GET, f"{thing}/resources/a?limit=9"))
    await server.platform.things.delete(new.thing.id)

    options = [(BLOCK2, block(1, False, 6))]
    answer = await peer.ask(request(GET, f"{thing}/resources/a?limit=9", options=options))

    assert answer.status == "4.04"


async def test_block_behind_the_end_is_refused(peer):
    options = [(BLOCK2, block(7, False, 6))]

    answer = await peer.ask(request(GET, "/v2/utils/date", options=options))

    assert answer.status == "4.00"


async def test_refusal_comes_in_the_blocks_that_are_asked_for(peer):
    options = [(BLOCK2, block(0, False, 0))]

    answer = await peer.ask(request(GET, "/v2/utils/date?format=moon", options=options))

    assert (answer.status, len(answer.payload)) == ("4.00", 16)


async def test_answer_larger_than_it_may_be_is_refused(server, thing):
    async with (
        coap_of(server, CoAPLimits(answer_bytes=4_100)) as coap,
        peer_of(coap) as peer,
    ):
        await upload(peer, POST, thing, write_of(8_192))
        one = await peer.ask(request(GET, f"{thing}/resources/a?limit=1"))
        two = await peer.ask(request(GET, f"{thing}/resources/a?limit=2"))
        everything = await peer.ask(request(GET, f"{thing}/all_resources?limit=2"))

    assert [one.status, two.status, everything.status] == ["2.05", "4.13", "4.13"]


async def test_route_may_read_a_long_answer_piece_by_piece(server):
    image = bytes(range(256)) * 10
    asked = []

    async def read(start, size):
        asked.append((start, size))
        return image[start : start + size]

    async def handle(_):
        return LongAnswer(len(image), b"etag", read, 42)

    route = Route(Code.GET, "/image", handle)
    async with coap_of(server, None, route) as coap, peer_of(coap) as peer:
        whole, tags = await fetch(peer, "/image")

    assert whole == image
    assert tags == {b"etag"}
    assert asked == [(0, 1_024), (1_024, 1_024), (2_048, 1_024)]
