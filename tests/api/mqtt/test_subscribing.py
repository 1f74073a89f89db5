"""SUBSCRIBE: what goes out for which filter, with which options, and which filters are refused."""

import json

import pytest

from support.in_process import served
from support.mqtt import connected, mqtt_on, resource_topic, thing_topic
from support.wire import ask
from thingstead.limit_settings import LimitSettings
from thingstead.transports.mqtt.codec import Properties, Puback, Publish, Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = pytest.mark.parametrize("level", [3, 4, 5])
UNKNOWN = "A" * 43


async def heard(client, **more):
    """Topic and values of the next message."""
    message = await client.message(**more)
    return message.topic, [one["value"] for one in json.loads(message.payload)]


@LEVELS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_write_by_any_road_goes_to_the_things_topic(port, token, write, level, qos):
    async with connected(port, level) as client:
        answer = await client.subscribe(thing_topic(token), qos=qos)
        await write(token, 1, 2)
        await client.publish(thing_topic(token), {"values": [{"key": "j", "value": 3}]}, 0)

        messages = [await client.message() for _ in range(2)]

    assert answer.reasons == (min(qos, 1),)
    assert [json.loads(message.payload)[0].keys() for message in messages] == [
        {"datetime", "key", "value"}
    ] * 2
    assert {message.topic for message in messages} == {thing_topic(token)}
    assert {message.qos for message in messages} == {min(qos, 1)}
    assert [len(json.loads(message.payload)) for message in messages] == [2, 1]


@LEVELS
async def test_the_values_of_one_resource_go_to_its_topic(port, token, write, level):
    async with connected(port, level) as client:
        await client.subscribe(resource_topic(token))
        await write(token, 1, key="j")
        await write(token, 2)

        assert await heard(client) == (resource_topic(token), [2])


async def test_each_resource_of_a_write_is_a_message_of_its_own(server, port, token):
    body = {"values": [{"key": key, "value": key} for key in ("a", "b", "a")]}
    async with connected(port) as client:
        await client.subscribe(thing_topic(token, "resources/+"))
        await ask(server.address, "POST", f"/v2/things/{token}", body)

        got = [await heard(client) for _ in range(2)]

    assert got == [(resource_topic(token, "a"), ["a", "a"]), (resource_topic(token, "b"), ["b"])]


async def test_everything_below_a_thing_is_writes_and_what_is_passed_on(port, token, write):
    async with connected(port) as client:
        await client.subscribe(thing_topic(token, "#"))
        await write(token, 1)
        assert await heard(client) == (thing_topic(token), [1])
        await client.publish(thing_topic(token, "cmd"), b"on", 0)

        assert (await client.message()).payload == b"on"


async def test_a_filter_with_a_slash_gives_topics_with_a_slash(port, token, write):
    async with connected(port) as client:
        await client.subscribe("/" + thing_topic(token))
        await write(token, 1)

        assert await heard(client) == ("/" + thing_topic(token), [1])


async def test_overlapping_filters_give_a_message_each(port, token, write):
    async with connected(port) as client:
        await client.subscribe(thing_topic(token), resource_topic(token), qos=0)
        await write(token, 1)

        got = sorted([await heard(client), await heard(client)])

    assert got == [(thing_topic(token), [1]), (resource_topic(token), [1])]


async def test_one_filter_twice_gives_one_message(port, token, write):
    async with connected(port) as client:
        await client.subscribe(thing_topic(token), thing_topic(token))
        await client.subscribe(thing_topic(token))
        await write(token, 1)

        assert await heard(client) == (thing_topic(token), [1])
        assert await client.until_now() == []


async def test_subscribing_anew_changes_the_options(port, token, write):
    async with connected(port, 5) as client:
        await client.subscribe(thing_topic(token), qos=1, identifier=1)
        await client.subscribe(thing_topic(token), qos=0, identifier=2)
        await write(token, 1)

        message = await client.message()

    assert message.qos == 0
    assert message.properties.subscription_identifiers == (2,)


@pytest.mark.parametrize("qos", [0, 1])
async def test_messages_carry_the_identifier_of_their_subscription(port, token, write, qos):
    async with connected(port, 5) as client:
        await client.subscribe(thing_topic(token), qos=qos, identifier=268_435_455)
        await client.subscribe(resource_topic(token), qos=qos)
        await write(token, 1)

        messages = [await client.message() for _ in range(2)]

    found = {message.topic: message.properties.subscription_identifiers for message in messages}
    assert found == {thing_topic(token): (268_435_455,), resource_topic(token): ()}


async def test_who_unsubscribes_hears_no_more(port, token, write):
    async with connected(port, 5) as client:
        await client.subscribe(thing_topic(token), resource_topic(token))

        answer = await client.unsubscribe(thing_topic(token), thing_topic(token, "cmd"))
        await write(token, 1)

        assert answer.reasons == (Reason.SUCCESS, Reason.NO_SUBSCRIPTION_EXISTED)
        assert await heard(client) == (resource_topic(token), [1])
        assert await client.until_now() == []


async def test_an_own_write_comes_back_as_any_other(port, token):
    # Values are not the messages that no_local is about: they may come by any road.
    async with connected(port, 5) as client:
        await client.subscribe(thing_topic(token), no_local=True)
        await client.publish(thing_topic(token), {"values": [{"key": "k", "value": 1}]}, 0)

        assert await heard(client) == (thing_topic(token), [1])


@pytest.mark.parametrize("level", [4, 5])
async def test_an_unknown_token_is_refused_and_the_other_filters_are_not(port, token, level):
    async with connected(port, level) as client:
        answer = await client.subscribe(thing_topic(UNKNOWN), thing_topic(token))

    assert answer.reasons == ((Reason.NOT_AUTHORIZED if level == 5 else 0x80), 1)


@pytest.mark.parametrize("rest", ["", "resources/k", "resources/+", "#", "cmd"])
async def test_a_client_with_a_token_hears_of_that_thing_only(port, token, other_token, rest):
    async with connected(port, 5, token=token) as client:
        answer = await client.subscribe(thing_topic(other_token, rest), thing_topic(token, rest))

    assert answer.reasons == (Reason.NOT_AUTHORIZED, 1)


REFUSED = {
    "#": Reason.TOPIC_FILTER_INVALID,
    "+": Reason.TOPIC_FILTER_INVALID,
    "$SYS/#": Reason.TOPIC_FILTER_INVALID,
    "v2/#": Reason.TOPIC_FILTER_INVALID,
    "v2/things/#": Reason.TOPIC_FILTER_INVALID,
    "v2/things/+": Reason.TOPIC_FILTER_INVALID,
    "v2/things/+/cmd": Reason.TOPIC_FILTER_INVALID,
    "+/things/x/cmd": Reason.TOPIC_FILTER_INVALID,
    "v2/things/x/c+": Reason.TOPIC_FILTER_INVALID,
    "v2/things/x/#/y": Reason.TOPIC_FILTER_INVALID,
    "v2/me/resources/+": Reason.TOPIC_FILTER_INVALID,
    "v2/activations/+/x": Reason.TOPIC_FILTER_INVALID,
    "$share/g/v2/things/x": Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
    "elsewhere": Reason.TOPIC_FILTER_INVALID,
    "v2/things/x//": Reason.TOPIC_FILTER_INVALID,
}


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("level", [4, 5])
async def test_a_filter_that_is_for_nobody_is_refused(port, level, text):
    async with connected(port, level) as client:
        answer = await client.subscribe(text)

        assert answer.reasons == ((REFUSED[text] if level == 5 else 0x80),)
        assert await client.until_now() == []


@pytest.mark.parametrize(("levels", "is_taken"), [(8, True), (9, False)])
async def test_a_filter_may_have_so_many_levels(port, token, levels, is_taken):
    text = thing_topic(token, "/".join("abcdefgh"[: levels - 3]))
    async with connected(port) as client:
        assert (await client.subscribe(text)).reasons == ((1 if is_taken else 0x80),)


@pytest.mark.parametrize(("size", "is_taken"), [(256, True), (257, False)])
async def test_a_filter_may_have_so_many_bytes(port, token, size, is_taken):
    text = thing_topic(token, "")
    text += "/" + "x" * (size - len(text) - 1)
    async with connected(port) as client:
        assert (await client.subscribe(text)).reasons == ((1 if is_taken else 0x80),)


async def test_a_thing_has_as_many_streams_as_it_may(tmp_path):
    async with (
        served(
            tmp_path / "folder", limits=LimitSettings(streams_per_thing=2), roads=("mqtt",)
        ) as own,
        connected(own.ports["mqtt"], 5) as client,
    ):
        token = await own.new_token()

        answer = await client.subscribe(*(thing_topic(token, rest) for rest in ("", "a", "b")))

    assert answer.reasons == (1, 1, Reason.QUOTA_EXCEEDED)
    assert "at most 2 for one thing" in answer.properties.reason_string


async def test_a_filter_that_was_refused_takes_no_place(server, token):
    async with (
        mqtt_on(server.platform, filters=1) as (_, port),
        connected(port, 5) as client,
    ):
        assert (await client.subscribe("nowhere")).reasons == (Reason.TOPIC_FILTER_INVALID,)
        assert (await client.subscribe(thing_topic(token))).reasons == (1,)
        # The one that is there may be changed.
        assert (await client.subscribe(thing_topic(token))).reasons == (1,)
        assert (await client.subscribe(resource_topic(token))).reasons == (Reason.QUOTA_EXCEEDED,)
        await client.unsubscribe(thing_topic(token))
        assert (await client.subscribe(resource_topic(token))).reasons == (1,)


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_no_more_is_under_way_than_the_client_receives(port, token, write, most):
    properties = Properties(receive_maximum=most)
    async with connected(port, 5, properties=properties) as client:
        await client.subscribe(thing_topic(token))
        for value in range(8):
            await write(token, value)

        first = await client.until_now()
        got = []
        waiting = list(first)
        while len(got) < 8:
            message = waiting.pop(0) if waiting else await client.expect(Publish)
            got += [one["value"] for one in json.loads(message.payload)]
            await client.send(Puback(message.packet_id))

    assert len(first) == most
    assert got == list(range(8))


@pytest.mark.parametrize("most", [1, 2])
async def test_a_write_that_is_many_messages_keeps_to_what_the_client_receives(
    server, port, token, most
):
    body = {"values": [{"key": key, "value": key} for key in "abcde"]}
    properties = Properties(receive_maximum=most)
    async with connected(port, 5, properties=properties) as client:
        await client.subscribe(thing_topic(token, "resources/+"))
        for _ in range(2):
            await ask(server.address, "POST", f"/v2/things/{token}", body)

        first = await client.until_now()
        waiting = list(first)
        got = ""
        while len(got) < 10:
            message = waiting.pop(0) if waiting else await client.expect(Publish)
            got += json.loads(message.payload)[0]["value"]
            await client.send(Puback(message.packet_id))

    assert len(first) == most
    assert got == "abcdeabcde"


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("identifier", [None, 300])
async def test_a_message_that_is_too_large_for_the_client_is_left_out(port, token, qos, identifier):
    async def relayed_to(most):
        properties = Properties(maximum_packet_bytes=most)
        topic = thing_topic(token, "cmd")
        async with connected(port, 5, properties=properties) as client, connected(port) as other:
            await client.subscribe(topic, qos=qos, identifier=identifier)
            await other.publish(topic, b"x" * 100)
            await other.publish(topic, b"short")
            return [(await client.message()).payload]

    # Head and length 3, topic's length 2, packet id 2, properties 1 and the identifier 3.
    size = 3 + 2 + len(thing_topic(token, "cmd")) + 2 * qos + 1 + 100
    size += 3 if identifier else 0
    assert await relayed_to(size) == [b"x" * 100]
    assert await relayed_to(size - 1) == [b"short"]


async def test_who_is_deleted_hears_no_more(server, port):
    thing = await server.new_thing()
    async with connected(port, 5) as client:
        await client.subscribe(thing_topic(thing.token))

        await server.platform.things.delete(thing.thing.id)

        assert (await client.end()).reason == Reason.NOT_AUTHORIZED


@pytest.mark.parametrize("rest", ["", "cmd"])
@pytest.mark.parametrize("is_named", [False, True], ids=["anonymous", "with the token"])
async def test_a_token_that_was_replaced_hears_no_more(server, port, rest, is_named):
    thing = await server.new_thing()
    named = {"token": thing.token} if is_named else {}
    async with connected(port, 4, **named) as client:
        await client.subscribe(thing_topic(thing.token, rest))

        await server.platform.things.rotate_token(thing.thing.id, overlap_ms=0)

        assert await client.next() is None
