"""A message that comes again is not obeyed again (RFC 7252, 4.5)."""

import asyncio
import json

import pytest

from support.coap import (
    ACK,
    CON,
    EMPTY,
    GET,
    NON,
    POST,
    RST,
    Packet,
    coap_of,
    peer_of,
    request,
)
from thingstead.features.values.model import Window
from thingstead.transports.coap.limits import CoAPLimits

pytestmark = pytest.mark.asyncio(loop_scope="module")
# Without a time of its own the store could not know that it is the same value.
WRITE = b'{"values":[{"key":"a","value":1}]}'


async def stored(server, token):
    thing = await server.platform.things.resolve(token, address=None)
    return len((await server.platform.values.read(thing, "a", Window(limit=100))).rows)


async def test_confirmable_repeat_gets_the_stored_answer_and_stores_nothing(
    server, peer, thing, token
):
    packet = request(POST, thing, payload=WRITE)

    first = await peer.ask(packet)
    second = await peer.ask(packet)

    assert second == first
    assert (first.kind, first.message_id, first.status) == (ACK, packet.message_id, "2.01")
    assert await stored(server, token) == 1


async def test_repeat_while_the_first_is_committed_stores_nothing(server, peer, thing, token):
    packet = request(POST, thing, payload=WRITE)

    peer.send(packet)
    peer.send(packet)
    peer.send(packet)
    answer = await peer.receive()

    assert answer.status == "2.01"
    assert await peer.is_silent()
    assert await stored(server, token) == 1


async def test_non_confirmable_repeat_is_passed_over(server, peer, thing, token):
    packet = request(POST, thing, kind=NON, payload=WRITE)

    answer = await peer.ask(packet)
    peer.send(packet)

    assert answer.status == "2.01"
    assert await peer.is_silent()
    assert await stored(server, token) == 1


async def test_other_bytes_under_the_same_message_id_are_another_message(
    server, peer, thing, token
):
    """A device that restarts counts from its first id; what it says then must be stored."""
    first = request(POST, thing, payload=WRITE)
    other = request(POST, thing, payload=b'{"values":[{"key":"a","value":2}]}')
    other.message_id = first.message_id

    await peer.ask(first)
    answer = await peer.ask(other)

    assert answer.status == "2.01"
    assert await stored(server, token) == 2


async def test_same_message_of_another_peer_is_another_message(server, coap, thing, token):
    packet = request(POST, thing, payload=WRITE)

    async with peer_of(coap) as one, peer_of(coap) as other:
        await one.ask(packet)
        await other.ask(packet)

    assert await stored(server, token) == 2


@pytest.mark.parametrize("kind", [CON, NON])
async def test_writes_sent_together_under_one_token_are_all_stored_and_answered(
    server, peer, thing, token, kind
):
    sent = [
        peer.send(request(POST, thing, kind=kind, token=b"", payload=body))
        for body in (b'{"values":[{"key":"a","value":%d}]}' % n for n in range(20))
    ]

    answers = []
    acknowledged = set()
    while len(answers) < len(sent):
        packet = await peer.receive()
        if packet.kind == ACK:
            acknowledged.add(packet.message_id)
        if packet.code != EMPTY:
            answers.append(packet)
        if packet.kind == CON:
            peer.acknowledge(packet)

    assert {answer.status for answer in answers} == {"2.01"}
    assert await stored(server, token) == 20
    if kind == CON:
        assert acknowledged == {packet.message_id for packet in sent}


async def test_slow_request_is_acknowledged_first_and_answered_by_itself(server, thing, token):
    from thingstead.transports.coap.messages import content
    from thingstead.transports.coap.routes import Code, Route

    may_answer = asyncio.Event()
    calls = 0

    async def handle(_):
        nonlocal calls
        calls += 1
        await may_answer.wait()
        return content({"slow": True})

    slow = Route(Code.GET, "/slow", handle)
    async with coap_of(server, None, slow) as coap, peer_of(coap) as peer:
        packet = peer.send(request(GET, "/slow"))
        acknowledged = await peer.receive()
        peer.send(packet)
        repeated = await peer.receive()
        may_answer.set()
        answer = await peer.receive()
        peer.acknowledge(answer)

    assert (acknowledged.kind, acknowledged.code) == (ACK, EMPTY)
    assert repeated == acknowledged
    assert (answer.kind, answer.status, calls) == (CON, "2.05", 1)
    assert json.loads(answer.payload) == {"slow": True}


async def test_oldest_message_of_a_peer_is_forgotten_beyond_the_limit(server, thing, token):
    limits = CoAPLimits(remembered_per_peer=2)
    first, *others = (request(POST, thing, payload=WRITE) for _ in range(3))

    async with coap_of(server, limits) as coap, peer_of(coap) as peer:
        await peer.ask(first)
        await peer.ask(others[0])
        await peer.ask(first)
        kept = await stored(server, token)
        await peer.ask(others[1])
        await peer.ask(first)

    assert (kept, await stored(server, token)) == (2, 4)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x49\x02\x12\x34" + b"t" * 9, id="token too long"),
        pytest.param(b"\x40\x02\x12\x34\xff", id="payload marker alone"),
        pytest.param(b"\x40\x02\x12\x34\xf1a", id="reserved delta"),
        pytest.param(b"\x40\x02\x12\x34\xb9ab", id="option cut short"),
        pytest.param(b"\x40\x00\x12\x34\x11", id="empty with content"),
        pytest.param(b"\x40\x45\x12\x34", id="response that nobody asked for"),
        pytest.param(b"\x40\x00\x12\x34", id="ping"),
        pytest.param(b"\x40\x02\x12\x34" + b"\x01\x61" * 65, id="65 options"),
    ],
)
async def test_confirmable_message_that_is_none_is_reset(peer, raw):
    peer.transport.sendto(raw)

    answer = await peer.receive()

    assert (answer.kind, answer.code, answer.message_id) == (RST, EMPTY, 0x1234)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x40",
        b"\x80\x02\x12\x34",
        b"\x50\x02\x12\x34\xff",
        b"\x60\x02\x12\x34",
        b"\x60\x45\x12\x34",
        b"\x70\x00\x12\x34",
        b"hello, is this HTTP?",
    ],
)
async def test_other_message_that_is_none_is_passed_over(peer, raw):
    peer.transport.sendto(raw)

    assert await peer.is_silent()


async def test_path_that_is_no_text_is_refused(peer):
    answer = await peer.ask(Packet(CON, GET, options=[(11, b"\xff\xfe")]))

    assert answer.status == "4.00"
