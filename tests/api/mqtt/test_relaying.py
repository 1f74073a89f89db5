"""Messages that are passed on and never stored: topics of things, wills, activations."""

import json

import pytest

from support.in_process import served
from support.mqtt import connected, let_pass, mqtt_on, noticed_leaving, resource_topic, thing_topic
from thingstead.limit_settings import LimitSettings
from thingstead.transports.mqtt.codec import Properties, Puback, Publish, Reason, Will

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = pytest.mark.parametrize("level", [3, 4, 5])


@LEVELS
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_message_is_passed_on_as_it_is(port, token, stored, level, qos):
    payload = b"\x00\xff any bytes {"
    async with connected(port, level) as client, connected(port) as other:
        await client.subscribe(thing_topic(token, "cmd"), qos=qos)
        await other.publish(thing_topic(token, "cmd"), payload)

        message = await client.message()

    assert (message.topic, message.payload) == (thing_topic(token, "cmd"), payload)
    assert message.qos == qos
    assert await stored(token) == []


@pytest.mark.parametrize("rest", ["+", "a/+", "a/#", "#", "+/+", "a/b"])
async def test_wildcards_stand_for_parts_of_the_topic(port, token, rest):
    async with connected(port) as client:
        await client.subscribe(thing_topic(token, rest), qos=0)
        for topic in ("a", "a/b", "b/a/b"):
            await client.publish(thing_topic(token, topic), topic.encode(), 0)
        got = [message.payload.decode() for message in await client.until_now()]

    expected = {
        "+": ["a"],
        "a/+": ["a/b"],
        "a/#": ["a", "a/b"],
        "#": ["a", "a/b", "b/a/b"],
        "+/+": ["a/b"],
        "a/b": ["a/b"],
    }
    assert got == expected[rest]


async def test_another_token_of_the_thing_is_served_below_itself(server, port):
    thing = await server.new_thing()
    new = await server.platform.things.rotate_token(thing.thing.id, overlap_ms=100_000)
    async with connected(port) as client, connected(port) as other:
        await client.subscribe(thing_topic(thing.token, "cmd"))
        await other.publish(thing_topic(str(new), "cmd"), b"on")

        assert (await client.message()).topic == thing_topic(thing.token, "cmd")


async def test_a_message_goes_to_no_other_thing(port, token, other_token):
    async with connected(port) as client:
        await client.subscribe(thing_topic(token, "cmd"), thing_topic(other_token, "cmd"))
        await client.publish(thing_topic(other_token, "cmd"), b"on", 0)

        assert (await client.message()).topic == thing_topic(other_token, "cmd")
        assert await client.until_now() == []


async def test_own_messages_do_not_come_back_to_who_wants_none(port, token):
    topic = thing_topic(token, "cmd")
    async with connected(port, 5) as client, connected(port, 5) as other:
        await client.subscribe(topic, no_local=True)
        await client.publish(topic, b"own", 1)
        await other.publish(topic, b"other")

        assert (await client.message()).payload == b"other"


async def test_own_messages_come_back(port, token):
    topic = thing_topic(token, "cmd")
    async with connected(port, 5) as client:
        await client.subscribe(topic)
        await client.publish(topic, b"own", 0)

        assert (await client.message()).payload == b"own"


async def test_a_message_without_anybody_who_listens_is_acknowledged(port, token):
    async with connected(port, 5) as client:
        assert (await client.publish(thing_topic(token, "cmd"), b"on")).reason == 0


@pytest.mark.parametrize("payload", [b"", b"x" * 60_000])
async def test_a_message_may_be_empty_or_large(port, token, payload):
    async with connected(port) as client, connected(port) as other:
        await client.subscribe(thing_topic(token, "cmd"))
        await other.publish(thing_topic(token, "cmd"), payload)

        assert (await client.message()).payload == payload


async def test_a_thing_may_relay_so_many_messages_at_once(port, token):
    topic = thing_topic(token, "cmd")
    async with connected(port, 5) as client:
        await client.send(
            *(Publish(topic, b"x", 1, packet_id=number) for number in range(1, 1_102))
        )

        answers = [await client.expect(Puback) for _ in range(1_101)]

    refused = [answer for answer in answers if answer.reason]
    assert not any(answer.reason for answer in answers[:1_000])
    assert refused
    assert {answer.reason for answer in refused} == {Reason.QUOTA_EXCEEDED}
    assert "at most 100 relayed messages of one thing" in refused[0].properties.reason_string


async def test_messages_that_come_all_at_once_are_too_much_for_nobody_who_reads(tmp_path):
    limits = LimitSettings(stream_queue_events=10)
    async with served(tmp_path / "folder", limits=limits, roads=("mqtt",)) as own:
        topic = thing_topic(await own.new_token(), "cmd")
        messages = [Publish(topic, b"%d" % number) for number in range(200)]
        port = own.ports["mqtt"]
        async with connected(port) as listener, connected(port) as client:
            await listener.subscribe(topic, qos=0)
            await client.send(*messages)

            got = [(await listener.message()).payload for _ in messages]

    assert got == [message.payload for message in messages]


# Wills.


def will_of(token, payload=b"gone", rest="status"):
    return Will(thing_topic(token, rest), payload)


@LEVELS
async def test_the_will_of_a_client_that_is_cut_off_is_published(port, token, level):
    async with connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with connected(port, level, will=will_of(token)) as client:
            client.cut()

        assert (await listener.message()).payload == b"gone"


async def test_a_will_may_be_a_write(port, token):
    write = Will(thing_topic(token), b'{"values":[{"key":"online","value":false}]}')
    async with connected(port) as listener:
        await listener.subscribe(resource_topic(token, "online"))
        async with connected(port, will=write) as client:
            client.cut()

        assert await listener.values() == [False]


async def test_the_will_of_a_client_that_sends_rubbish_is_published(port, token):
    async with connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with connected(port, will=will_of(token)) as client:
            await client.send_bytes(b"\x00")

        assert (await listener.message()).payload == b"gone"


@LEVELS
async def test_the_will_of_a_client_that_says_goodbye_is_not_published(port, token, level):
    async with connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with connected(port, level, will=will_of(token)) as client:
            await client.leave()
        async with connected(port, will=will_of(token, b"other")) as client:
            client.cut()

        assert (await listener.message()).payload == b"other"


async def test_a_goodbye_with_the_will_publishes_it(port, token):
    async with connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with connected(port, 5, will=will_of(token)) as client:
            await client.leave(reason=Reason.DISCONNECT_WITH_WILL)

        assert (await listener.message()).payload == b"gone"


async def test_the_will_of_a_client_that_is_replaced_is_published(port, token):
    async with connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with (
            connected(port, 4, "c", token=token, will=will_of(token)),
            connected(port, 4, "c", token=token),
        ):
            assert (await listener.message()).payload == b"gone"


async def test_the_will_of_a_client_that_falls_silent_is_published(server, token, port):
    async with mqtt_on(server.platform) as (mqtt, own), connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with connected(own, 5, will=will_of(token), keep_alive_s=60) as client:
            let_pass(mqtt, 91)

            assert (await client.end()).reason == Reason.KEEP_ALIVE_TIMEOUT
        assert (await listener.message()).payload == b"gone"


async def test_a_will_delay_does_not_delay_the_will(port, token):
    will = Will(thing_topic(token, "status"), b"gone", properties=Properties(will_delay_s=3_600))
    async with connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with connected(port, 5, will=will) as client:
            client.cut()

        assert (await listener.message()).payload == b"gone"


async def test_a_will_is_not_published_once_its_token_was_replaced(server, port):
    thing = await server.new_thing()
    things = server.platform.things
    async with connected(port) as listener:
        async with mqtt_on(server.platform) as (mqtt, own):
            async with connected(own, will=will_of(thing.token)) as client:
                new = await things.rotate_token(thing.thing.id, overlap_ms=0)
                await listener.subscribe(thing_topic(new, "status"))
                client.cut()
            await noticed_leaving(mqtt)
        # That server has finished all that it had to do.
        assert await listener.until_now() == []


async def test_a_will_is_not_published_once_its_thing_was_deleted(server, caplog):
    caplog.set_level("INFO")
    thing = await server.new_thing()
    async with mqtt_on(server.platform) as (mqtt, own):
        async with connected(own, will=will_of(thing.token)) as client:
            await server.platform.things.delete(thing.thing.id)
            client.cut()
        await noticed_leaving(mqtt)

    assert "refused a message of an unknown thing: thing-not-found" in caplog.text
    assert thing.token not in caplog.text


# Activations.


@LEVELS
@pytest.mark.parametrize("slash", ["", "/"])
async def test_an_activation_is_answered_on_its_topic(server, port, level, slash):
    code = await server.new_code()
    topic = f"{slash}v2/activations/{code}/a8f3"
    async with connected(port, level) as client:
        answer = await client.subscribe(topic, qos=0)
        message = await client.message()
        told = json.loads(message.payload)
        assert (await client.publish(thing_topic(told["thingToken"]), b'{"values":[]}', 0)) is None

    assert answer.reasons == (0,)
    assert message.topic == topic
    assert (told["status"], told["message"]) == ("created", "thing activated")
    assert len(told["thingToken"]) == 43
    assert told["thingId"]


async def test_nobody_else_hears_of_an_activation(server, port):
    topic = f"v2/activations/{await server.new_code()}/a8f3"
    async with connected(port) as client, connected(port) as other:
        await other.subscribe("v2/activations/x/a8f3")
        await other.message()
        await client.subscribe(topic)
        await client.message()
        # The code is used up, which is all that another connection learns.
        await other.subscribe(topic)

        told = json.loads((await other.message()).payload)

    assert told["status"] == "error"
    assert "thingToken" not in told


async def test_a_wrong_code_is_answered_with_the_reason(port):
    async with connected(port) as client:
        await client.subscribe("v2/activations/0123456789ABCDEFGHJK/x")

        told = json.loads((await client.message()).payload)

    assert told["status"] == "error"
    assert told["code"]
    assert "ctivation code" in told["message"]


async def test_nothing_can_be_published_to_an_activation(server, port):
    code = await server.new_code()
    async with connected(port, 5) as client:
        answer = await client.publish(f"v2/activations/{code}/x", b"x")

    assert answer.reason == Reason.NOT_AUTHORIZED
