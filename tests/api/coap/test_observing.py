"""Observing a thing (RFC 7641): the live stream as notifications."""

import asyncio
import json

import pytest

from support.coap import (
    ACK,
    BLOCK2,
    CON,
    GET,
    MAX_AGE,
    NON,
    OBSERVE,
    POST,
    block,
    coap_of,
    peer_of,
    request,
)
from thingstead.features.live.model import End
from thingstead.transports.coap.limits import CoAPLimits

pytestmark = pytest.mark.asyncio(loop_scope="module")
SUBSCRIBED = b'{"status":"success","message":"subscribed"}'


async def write(server, thing, value):
    """What another transport writes."""
    from thingstead.features.values.model import IncomingValue, IncomingWrite

    found = await server.platform.things.resolve(thing.rsplit("/", 1)[1], address=None)
    incoming = IncomingWrite([IncomingValue(key="a", value=value)])
    await server.platform.values.submit(found, incoming)


async def observe(peer, thing, *, kind=CON, token=b"\x07", query=""):
    return await peer.ask(
        request(GET, thing + query, kind=kind, options=[(OBSERVE, b"")], token=token)
    )


async def until_nobody_listens(server):
    async with asyncio.timeout(20):
        while len(server.platform.live):  # noqa: ASYNC110  # It has no event for this.
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
async def nobody_listens(server):
    await until_nobody_listens(server)


async def test_first_notification_confirms_and_each_write_is_one_more(server, peer, thing):
    first = await observe(peer, thing)
    await write(server, thing, 1)
    second = await peer.receive()
    peer.acknowledge(second)
    await write(server, thing, 2)
    third = await peer.receive()
    peer.acknowledge(third)
    peer.reject(third)
    await peer.ask(request(GET, thing, options=[(OBSERVE, b"\x01")], token=b"\x07"))

    assert (first.kind, first.status, first.payload) == (ACK, "2.05", SUBSCRIBED)
    assert [json.loads(packet.payload)[0]["value"] for packet in (second, third)] == [1, 2]
    assert first.number(OBSERVE) < second.number(OBSERVE) < third.number(OBSERVE)
    assert {packet.token for packet in (first, second, third)} == {b"\x07"}
    assert {second.kind, third.kind} == {CON}
    assert first.number(MAX_AGE) == 70


async def test_next_notification_waits_for_the_acknowledgement(server, peer, thing):
    await observe(peer, thing)
    await write(server, thing, 1)
    first = await peer.receive()
    await write(server, thing, 2)

    was_silent = await peer.is_silent()
    peer.acknowledge(first)
    second = await peer.receive()
    peer.reject(second)

    assert was_silent
    assert json.loads(second.payload)[0]["value"] == 2


async def test_non_confirmable_observer_is_told_so_once_it_was_found_there(server, peer, thing):
    first = await observe(peer, thing, kind=NON)
    packets = []
    for value in (1, 2):
        await write(server, thing, value)
        packets.append(await peer.receive())
    peer.reject(packets[-1])
    await until_nobody_listens(server)

    assert first.payload == SUBSCRIBED
    assert [packet.kind for packet in packets] == [NON, NON]


async def test_rejected_notification_ends_the_observation(server, peer, thing):
    await observe(peer, thing)
    await write(server, thing, 1)
    peer.reject(await peer.receive())

    await until_nobody_listens(server)

    await write(server, thing, 2)
    assert await peer.is_silent()


async def test_observer_that_leaves_hears_no_more(server, peer, thing):
    await observe(peer, thing)

    left = await peer.ask(request(GET, thing, options=[(OBSERVE, b"\x01")], token=b"\x07"))
    await until_nobody_listens(server)
    await write(server, thing, 1)

    assert (left.status, left.option(OBSERVE)) == ("2.05", None)
    assert await peer.is_silent()


async def test_observing_again_with_the_same_token_replaces(server, peer, thing):
    first = await observe(peer, thing)
    second = await observe(peer, thing)
    await write(server, thing, 1)
    peer.reject(await peer.receive())

    assert second.payload == SUBSCRIBED
    assert first.number(OBSERVE) < second.number(OBSERVE)
    assert await peer.is_silent()


async def test_write_under_the_same_token_ends_no_observation(server, peer, thing):
    await observe(peer, thing)
    body = b'{"values":[{"key":"a","value":1}]}'
    peer.send(request(POST, thing, kind=NON, token=b"\x07", payload=body))
    packets = [await peer.receive(), await peer.receive()]
    peer.reject(next(packet for packet in packets if packet.option(OBSERVE) is not None))

    assert {packet.status for packet in packets} == {"2.01", "2.05"}


async def test_plain_get_ends_the_observation_of_its_token(server, peer, thing):
    await observe(peer, thing)
    await peer.ask(request(GET, thing, token=b"\x07"))
    await until_nobody_listens(server)
    await write(server, thing, 1)

    assert await peer.is_silent()


async def test_plain_get_of_a_thing_is_told_to_observe(peer, thing):
    answer = await peer.ask(request(GET, thing))

    assert answer.status == "4.00"
    assert "Observe" in json.loads(answer.payload)["message"]


async def test_sign_of_life_is_confirmable_and_comes_after_the_silence_asked_for(peer, thing):
    first = await observe(peer, thing, kind=NON, query="?keepAlive=1")

    sign = await peer.receive()
    peer.reject(sign)

    # A second is the shortest.
    assert first.number(MAX_AGE) == 11
    assert (sign.kind, sign.payload) == (CON, b"{}")


async def test_keep_alive_that_is_no_number_is_refused(peer, thing):
    answer = await observe(peer, thing, query="?keepAlive=soon")

    assert answer.status == "4.00"


async def test_unknown_thing_cannot_be_observed(peer):
    answer = await observe(peer, "/v2/things/" + "x" * 43)

    assert (answer.status, answer.option(OBSERVE)) == ("4.04", None)


async def test_deleted_thing_ends_its_observations(server, peer):
    new = await server.new_thing()
    await observe(peer, f"/v2/things/{new.token}")
    await server.platform.things.delete(new.thing.id)

    last = await peer.receive()
    peer.acknowledge(last)

    assert (last.status, last.option(OBSERVE)) == ("4.04", None)
    assert json.loads(last.payload)["code"] == 404


async def test_observer_that_acknowledges_nothing_is_ended_for_it(server, peer, thing, caplog):
    caplog.set_level("INFO", "thingstead")
    await observe(peer, thing)
    await write(server, thing, 0)
    first = await peer.receive()
    for value in range(258):
        await write(server, thing, value)
    peer.acknowledge(first)

    last = await peer.receive()
    peer.acknowledge(last)

    assert (last.status, last.number(MAX_AGE)) == ("5.03", 5)
    assert End.OVERFLOW.value in json.loads(last.payload)["message"]
    assert caplog.text.count(End.OVERFLOW.value) == 1


async def test_peer_observes_five_times_and_not_six(peer, thing):
    answers = [await observe(peer, thing, token=bytes([n])) for n in range(1, 7)]
    again = await observe(peer, thing, token=b"\x01")
    for n in range(1, 6):
        await peer.ask(request(GET, thing, options=[(OBSERVE, b"\x01")], token=bytes([n])))

    assert [answer.status for answer in answers] == ["2.05"] * 5 + ["4.29"]
    assert answers[5].number(MAX_AGE) == 60
    assert again.status == "2.05"


async def test_long_notification_is_fetched_in_blocks_before_the_next_comes(server, peer, thing):
    await observe(peer, thing)
    await write(server, thing, "x" * 2_000)
    first = await peer.receive()
    peer.acknowledge(first)
    await write(server, thing, 2)
    was_silent = await peer.is_silent()
    pieces = [first.payload]
    for number in (1, 2):
        options = [(BLOCK2, block(number, False, 6))]
        answer = await peer.ask(request(GET, thing, options=options, token=b"\x08"))
        pieces.append(answer.payload)
        if not answer.number(BLOCK2) & 8:
            break
    second = await peer.receive()
    peer.reject(second)

    assert was_silent
    assert json.loads(b"".join(pieces))[0]["value"] == "x" * 2_000
    assert json.loads(second.payload)[0]["value"] == 2


async def test_long_notification_that_nobody_fetches_holds_the_next_up_for_a_while(server, thing):
    async with coap_of(server, CoAPLimits(fetch_seconds=0)) as coap, peer_of(coap) as peer:
        await observe(peer, thing)
        await write(server, thing, "x" * 2_000)
        peer.acknowledge(await peer.receive())
        await write(server, thing, 2)
        second = await peer.receive()
        peer.reject(second)

    assert json.loads(second.payload)[0]["value"] == 2


async def test_stopping_server_tells_its_observers(tmp_path):
    from support.in_process import served

    async with served(tmp_path / "stopping") as server:
        thing = f"/v2/things/{await server.new_token()}"
        async with (
            coap_of(server, CoAPLimits()) as coap,
            peer_of(coap) as one,
            peer_of(coap) as two,
        ):
            await observe(one, thing)
            await observe(two, thing)
            await write(server, thing, 1)
            one.acknowledge(await one.receive())
            # The other never acknowledges, and is told all the same.
            await two.receive()
            server.platform.live.stop()
            await coap.drain()
            lasts = [await one.receive(), await two.receive()]

    assert [last.status for last in lasts] == ["5.03", "5.03"]
    assert [last.number(MAX_AGE) for last in lasts] == [5, 5]
    assert len(server.platform.live) == 0
