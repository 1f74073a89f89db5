"""What is sent to addresses that may be forged (RFC 9175; `security.md` 5, CoAP)."""

import json

import pytest

from support.coap import (
    ACK,
    BLOCK2,
    CON,
    ECHO,
    GET,
    OBSERVE,
    POST,
    block,
    coap_of,
    peer_of,
    request,
)
from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.transports.coap import addresses
from thingstead.transports.coap.limits import CoAPLimits

pytestmark = pytest.mark.asyncio(loop_scope="module")
LITTLE = CoAPLimits(unverified_bytes_per_minute=1_100)
LONG = b'{"values":[{"key":"a","value":"' + b"x" * 900 + b'"}]}'


@pytest.fixture
def public(monkeypatch):
    # No test has a public address, so that of the loopback is declared to be one.
    monkeypatch.setattr(addresses, "is_public", lambda host: host is not None)


@pytest.fixture
def read(thing):
    return f"{thing}/resources/a"


async def test_private_peer_is_sent_whatever_it_asks_for(server, thing, read):
    async with coap_of(server, LITTLE) as coap, peer_of(coap) as peer:
        await peer.ask(request(POST, thing, payload=LONG))
        answers = [await peer.ask(request(GET, read)) for _ in range(5)]

    assert {answer.status for answer in answers} == {"2.05"}


async def test_public_peer_must_repeat_an_echo_value_beyond_its_budget(server, public, thing, read):
    async with coap_of(server, LITTLE) as coap, peer_of(coap) as peer:
        await peer.ask(request(POST, thing, payload=LONG))
        first = await peer.ask(request(GET, read))
        asked = request(GET, read)
        challenged = await peer.ask(asked)
        echo = challenged.option(ECHO)
        repeated = await peer.ask(request(GET, read, options=[(ECHO, echo)]))
        later = await peer.ask(request(GET, read))

    assert first.status == "2.05"
    assert (challenged.status, challenged.payload) == ("4.01", b"")
    assert len(challenged.encode()) <= 3 * len(asked.encode())
    assert (repeated.status, later.status) == ("2.05", "2.05")


async def test_echo_value_of_another_socket_is_worth_nothing(server, public, thing, read):
    async with (
        coap_of(server, LITTLE) as coap,
        peer_of(coap) as peer,
        peer_of(coap) as other,
    ):
        await peer.ask(request(POST, thing, payload=LONG))
        await peer.ask(request(GET, read))
        echo = (await other.ask(request(GET, read))).option(ECHO)
        answer = await peer.ask(request(GET, read, options=[(ECHO, echo)]))

    assert answer.status == "4.01"


async def test_write_is_never_asked_to_be_sent_again(server, public, thing):
    limits = CoAPLimits(unverified_bytes_per_minute=1)
    async with coap_of(server, limits) as coap, peer_of(coap) as peer:
        written = await peer.ask(request(POST, thing, payload=LONG))
        wrong = await peer.ask(request(POST, "/v2/x"))

    assert written.payload == b'{"status":"created","message":"created"}'
    # Without the words that would make it larger than what asked for it.
    assert (wrong.status, wrong.payload) == ("4.04", b"")


async def test_amplification_stays_within_three_beyond_the_budget(server, public, thing, read):
    limits = CoAPLimits(unverified_bytes_per_minute=1)
    async with coap_of(server, limits) as coap, peer_of(coap) as peer:
        await peer.ask(request(POST, thing, payload=LONG))
        for asked in (
            request(GET, read),
            request(GET, "/"),
            request(GET, "/v2/utils/date?format=moon"),
            request(GET, "/x", options=[(9, b"")]),
            request(GET, thing),
            request(GET, read, options=[(BLOCK2, block(1, False, 6))]),
            request(GET, thing, options=[(OBSERVE, b"")]),
        ):
            answer = await peer.ask(asked)

            # The Echo option alone takes 16 bytes.
            assert len(answer.encode()) <= max(3 * len(asked.encode()), 24), asked


async def test_observer_must_repeat_the_value_for_what_is_larger_than_its_request(
    server, public, thing
):
    limits = CoAPLimits(unverified_bytes_per_minute=1)
    options = [(OBSERVE, b"")]
    found = await server.platform.things.resolve(thing.rsplit("/", 1)[1], address=None)
    long = IncomingWrite([IncomingValue(key="a", value="x" * 900)])
    async with coap_of(server, limits) as coap, peer_of(coap) as peer:
        first = await peer.ask(request(GET, thing, options=options))
        await server.platform.values.submit(found, long)
        last = await peer.receive()
        peer.acknowledge(last)
        echo = (ECHO, last.option(ECHO))
        again = await peer.ask(request(GET, thing, options=[*options, echo], token=b"\x02"))
        await server.platform.values.submit(found, long)
        heard = await peer.receive()
        peer.reject(heard)

    assert (first.kind, first.status, again.status) == (ACK, "2.05", "2.05")
    assert (last.status, last.option(OBSERVE)) == ("4.01", None)
    assert heard.kind == CON
    assert json.loads(heard.payload)[0]["value"] == "x" * 900
