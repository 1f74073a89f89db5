"""PUBLISH: what is stored, when it is acknowledged, what is refused and how."""

import json

import msgspec
import pytest

from doubles.value_rig import busy_writer, on_writer
from support.in_process import served
from support.mqtt import connected, connection, mqtt_on, resource_topic, thing_topic
from thingstead.features.values.model import Source
from thingstead.limit_settings import LimitSettings
from thingstead.transports.mqtt.codec import (
    Connack,
    Connect,
    Disconnect,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Reason,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = pytest.mark.parametrize("level", [3, 4, 5])
UNKNOWN = "A" * 43


def body(*values, key="k"):
    return json.dumps({"values": [{"key": key, "value": value} for value in values]}).encode()


def told(token):
    """The topic of what was refused, as a filter."""
    return thing_topic(token, "errors")


@LEVELS
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_write_is_stored(port, token, stored, level, qos):
    async with connected(port, level) as client:
        for value in (1, 2):
            await client.publish(thing_topic(token), body(value), qos)
        # Acknowledged behind the others.
        await client.publish(thing_topic(token), body(3))

    assert sorted(await stored(token)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"21.5", 21.5),
        (b"true", True),
        (b"null", None),
        (b'"warm"', "warm"),
        (b"warm", "warm"),
        (b"", ""),
        ("wärm".encode(), "wärm"),
        (b'{"value":21.5}', 21.5),
        (b'{"values":[{"value":21.5}]}', 21.5),
        (b"[1,2]", [1, 2]),
        (b'{"a":1}', {"a": 1}),
        (b"1.2.3", "1.2.3"),
    ],
)
async def test_a_resource_takes_values_in_many_forms(port, token, stored, payload, value):
    async with connected(port, 5) as client:
        await client.publish(resource_topic(token), payload)

    assert await stored(token) == [value]


async def test_a_resource_takes_time_and_place(server, port, token):
    sent = {"value": 1, "datetime": "2026-11-01T00:00:00.000Z", "geo": {"lat": 1, "long": 2}}
    async with connected(port, 5) as client, connected(port, 5) as listener:
        await listener.subscribe(thing_topic(token))
        await client.publish(resource_topic(token), sent)

        [heard] = json.loads((await listener.message()).payload)

    assert heard["datetime"] == sent["datetime"]
    assert heard["geo"] == sent["geo"]


async def test_messagepack_is_taken_where_it_is_a_map(port, token, stored):
    packed = msgspec.msgpack.encode({"values": [{"key": "k", "value": 7}]})
    async with connected(port) as client:
        await client.publish(thing_topic(token), packed)

    assert await stored(token) == [7]


async def test_a_topic_may_begin_with_a_slash(port, token, stored):
    async with connected(port) as client:
        await client.publish("/" + thing_topic(token), body(1))

    assert await stored(token) == [1]


@LEVELS
async def test_nothing_is_acknowledged_before_it_is_stored(server, port, token, level):
    async with connected(port, level) as client:
        await client.publish(thing_topic(token), body(0))
        async with busy_writer(server.platform.store):
            await client.send(Publish(thing_topic(token), body(1), 1, packet_id=7))

            assert await client.ping() == []

        assert (await client.expect(Puback)).packet_id == 7


async def test_nothing_is_acknowledged_before_it_is_stored_on_the_slow_road_either(
    server, port, token
):
    async with connected(port, 4) as client:
        async with busy_writer(server.platform.store):
            # QoS 2, and a resource: neither is for the hot path.
            await client.send(
                Publish(resource_topic(token), b"1", 1, packet_id=7),
                Publish(thing_topic(token), body(2), 2, packet_id=8),
            )

            assert await client.ping() == []

        assert (await client.expect(Puback)).packet_id == 7
        assert (await client.expect(Pubrec)).packet_id == 8


async def test_acknowledgements_keep_the_order_of_the_messages(server, port, token):
    topics = [thing_topic(token), resource_topic(token), thing_topic(token, "cmd")]
    messages = [
        Publish(topics[number % 3], body(number), 1, packet_id=number) for number in range(1, 31)
    ]
    # In the middle, one that is refused.
    messages[14] = Publish(thing_topic(token), b"no", 1, packet_id=15)
    async with connected(port, 5) as client:
        await client.publish(thing_topic(token), body(0))
        await client.send(*messages)

        answers = [await client.expect(Puback) for _ in messages]

    assert [answer.packet_id for answer in answers] == list(range(1, 31))
    assert [answer.packet_id for answer in answers if answer.reason] == [15]


async def test_qos_2_is_acknowledged_in_its_steps(port, token, stored):
    async with connected(port, 4) as client:
        await client.send(Publish(thing_topic(token), body(1), 2, packet_id=7))
        assert (await client.expect(Pubrec)).packet_id == 7
        await client.send(Pubrel(7))
        assert (await client.expect(Pubcomp)).packet_id == 7

    assert await stored(token) == [1]


async def test_a_qos_2_message_that_is_sent_again_is_stored_once(port, token, stored):
    message = Publish(thing_topic(token), body(1), 2, packet_id=7)
    async with connected(port, 4) as client:
        for _ in range(3):
            await client.send(message)
            assert (await client.expect(Pubrec)).packet_id == 7
        await client.send(Pubrel(7))
        await client.expect(Pubcomp)
        # Its packet id is free now, so this is another message.
        await client.send(message)
        await client.expect(Pubrec)

    assert await stored(token) == [1, 1]


async def test_a_release_of_nothing_is_answered(port):
    async with connected(port, 4) as client:
        await client.send(Pubrel(99))

        assert (await client.expect(Pubcomp)).packet_id == 99


@pytest.mark.parametrize(("count", "is_served"), [(256, True), (257, False)])
async def test_so_many_qos_2_messages_may_wait_for_their_release(port, token, count, is_served):
    topic = thing_topic(token, "cmd")
    async with connected(port, 4) as client:
        for number in range(1, count + 1):
            await client.send(Publish(topic, b"x", 2, packet_id=number))

        answers = [await client.next() for _ in range(count)]

    assert (answers[-1] is not None) == is_served
    assert all(isinstance(answer, Pubrec) for answer in answers[:256])


async def test_qos_2_is_not_served_in_mqtt_5(port, token, stored):
    async with connected(port, 5) as client:
        await client.send(Publish(thing_topic(token), body(1), 2, packet_id=7))

        assert (await client.end()).reason == Reason.QOS_NOT_SUPPORTED
    assert await stored(token) == []


async def test_a_topic_alias_is_not_served(port, token):
    alias = Properties(topic_alias=1)
    async with connected(port, 5) as client:
        await client.send(Publish("", body(1), 1, packet_id=7, properties=alias))

        assert (await client.end()).reason == Reason.TOPIC_ALIAS_INVALID


REFUSED = {
    "no JSON": (thing_topic("{}"), b"no", "Invalid JSON"),
    "no write": (thing_topic("{}"), b"{}", "values"),
    "no value": (thing_topic("{}"), b'{"values":[{"key":"k"}]}', "value"),
    "broken resource": (resource_topic("{}"), b"{", "begins like JSON"),
    "no text": (resource_topic("{}"), b"\xff\xfe", "neither JSON nor a text"),
    "too old": (
        thing_topic("{}"),
        b'{"values":[{"key":"k","value":1,"datetime":"1999-01-01T00:00:00.000Z"}]}',
        "days ago",
    ),
    "too many": (thing_topic("{}"), body(*range(1_001)), "more than"),
    "large value": (resource_topic("{}"), b"x" * 20_000, "larger than"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_mqtt_5_is_told_why_a_payload_is_refused(port, token, stored, name):
    topic, payload, text = REFUSED[name]
    async with connected(port, 5) as client:
        answer = await client.publish(topic.format(token), payload)
        assert (await client.publish(thing_topic(token), body(1))).reason == 0

    assert answer.reason == Reason.PAYLOAD_FORMAT_INVALID
    assert text in answer.properties.reason_string
    assert token not in answer.properties.reason_string
    assert await stored(token) == [1]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("level", [3, 4])
async def test_mqtt_3_hears_on_the_errors_topic_why_a_payload_is_refused(
    port, token, stored, name, level
):
    topic, payload, text = REFUSED[name]
    async with connected(port, level) as client, connected(port, level) as listener:
        await listener.subscribe(told(token))
        # It would be sent for ever if it were not acknowledged.
        await client.publish(topic.format(token), payload)
        await client.publish(thing_topic(token), body(1))

        heard = json.loads((await listener.message()).payload)

    assert heard["status"] == "error"
    assert text in heard["message"]
    assert await stored(token) == [1]


async def test_a_refused_qos_2_message_is_finished_too(port, token):
    async with connected(port, 4) as client:
        await client.send(Publish(thing_topic(token), b"no", 2, packet_id=7))
        await client.expect(Pubrec)
        await client.send(Pubrel(7))

        assert (await client.expect(Pubcomp)).packet_id == 7


@pytest.mark.parametrize("level", [4, 5])
async def test_a_refused_qos_0_message_changes_nothing(port, token, stored, level):
    async with connected(port, level) as client:
        await client.publish(thing_topic(token), b"no", 0)
        await client.publish(thing_topic(token), body(1))

    assert await stored(token) == [1]


async def test_a_client_that_wants_no_reasons_gets_the_code_alone(port, token):
    quiet = Properties(request_problem_information=0)
    async with connected(port, 5, properties=quiet) as client:
        answer = await client.publish(thing_topic(token), b"no")

    assert answer.reason == Reason.PAYLOAD_FORMAT_INVALID
    assert answer.properties.reason_string is None


async def test_a_client_that_takes_small_packets_only_gets_the_code_alone(port, token):
    small = Properties(maximum_packet_bytes=128)
    async with connected(port, 5, properties=small) as client:
        answer = await client.publish(thing_topic(token), b"no")

    assert answer.reason == Reason.PAYLOAD_FORMAT_INVALID
    assert answer.properties.reason_string is None


TOPICS = ["a", "v2", "v2/things", "v2/thing/x", "v2/things/x//y", "v2/things/x/", "$SYS/x", "//"]


@pytest.mark.parametrize("topic", [*TOPICS, "v2/things/" + "/".join("abcdefg")])
async def test_mqtt_5_is_told_that_a_topic_addresses_nothing(port, topic):
    async with connected(port, 5) as client:
        answer = await client.publish(topic, b"1")

        assert answer.reason == Reason.TOPIC_NAME_INVALID
        assert await client.until_now() == []


@pytest.mark.parametrize("topic", TOPICS)
async def test_a_topic_that_addresses_nothing_ends_a_connection_of_mqtt_3(port, topic):
    async with connected(port, 4) as client:
        await client.send(Publish(topic, b"1", 1, packet_id=7))

        assert await client.next() is None


@pytest.mark.parametrize("topic", ["v2/things/+", "v2/things/x/#"])
@pytest.mark.parametrize("level", [4, 5])
async def test_a_topic_with_wildcards_ends_the_connection(port, level, topic):
    async with connected(port, level) as client:
        await client.send(Publish(topic, b"1", 0))

        await client.end()


@pytest.mark.parametrize("qos", [0, 1])
async def test_an_unknown_token_ends_a_connection_of_mqtt_3(port, qos):
    packet_id = 7 if qos else None
    async with connected(port, 4) as client:
        await client.send(Publish(thing_topic(UNKNOWN), body(1), qos, packet_id=packet_id))

        assert await client.next() is None


async def test_mqtt_5_is_told_that_a_token_is_unknown(port):
    async with connected(port, 5) as client:
        answer = await client.publish(thing_topic(UNKNOWN), body(1))

        assert answer.reason == Reason.NOT_AUTHORIZED
        assert UNKNOWN not in answer.properties.reason_string


@pytest.mark.parametrize("is_seen", [False, True], ids=["slow", "hot"])
@pytest.mark.parametrize("make", [thing_topic, resource_topic])
async def test_a_client_with_a_token_writes_to_that_thing_only(
    server, port, token, other_token, stored, is_seen, make
):
    if is_seen:
        await server.platform.things.resolve(other_token, address=None)
    async with connected(port, 5, token=token) as client:
        answer = await client.publish(make(other_token), body(1))
        assert (await client.publish(thing_topic(token), body(2))).reason == 0

    assert answer.reason == Reason.NOT_AUTHORIZED
    assert await stored(other_token) == []


async def test_an_app_user_publishes_nothing(server, port, new_user, stored):
    thing = await server.new_thing()
    async with connected(port, 5, token=await new_user(thing)) as client:
        for topic in (thing_topic(thing.token), "v2/me/resources/k"):
            assert (await client.publish(topic, body(1))).reason == Reason.NOT_AUTHORIZED

    assert await stored(thing.token) == []


@LEVELS
async def test_a_busy_server_acknowledges_later_and_loses_nothing(tmp_path, level):
    async with (
        served(tmp_path / "folder", limits=LimitSettings(waiting_values=3), roads=("mqtt",)) as own,
        connected(own.ports["mqtt"], level) as client,
    ):
        token = await own.new_token()
        await client.publish(thing_topic(token), body(0))
        async with busy_writer(own.platform.store):
            await client.send(
                *(Publish(thing_topic(token), body(n), 1, packet_id=n) for n in range(1, 21))
            )
            # Neither acknowledged nor cut, though only some of them can wait.
            assert await client.ping() == []
        answers = [await client.expect(Puback) for _ in range(20)]

        thing = await own.platform.things.resolve(token, address=None)
        source = Source(thing.id, thing.epochs)
        missed = await own.platform.store.replay.missed((source,), key=None, after=0)

    assert [answer.packet_id for answer in answers] == list(range(1, 21))
    assert not any(answer.reason for answer in answers)
    values = [entry.value for event in missed.events for entry in event.entries]
    assert values == list(range(21))


@pytest.mark.parametrize("topic", [thing_topic, resource_topic], ids=["hot", "slow"])
@pytest.mark.parametrize("level", [4, 5])
async def test_what_cannot_be_stored_just_now_is_not_acknowledged(tmp_path, level, topic):
    async with served(tmp_path / "folder", roads=("mqtt",)) as own:
        token = await own.new_token()
        async with connected(own.ports["mqtt"], level) as client:
            await client.publish(thing_topic(token), body(0))
            await on_writer(own.platform.store, "PRAGMA query_only = ON")
            await client.send(Publish(topic(token), body(1), 1, packet_id=7))

            ended = await client.next()

    assert (ended and ended.reason) == (Reason.SERVER_BUSY if level == 5 else None)


async def test_mqtt_5_is_told_that_a_thing_writes_too_fast(tmp_path):
    limits = LimitSettings(writes_per_second=1, write_burst=2)
    async with (
        served(tmp_path / "folder", limits=limits, roads=("mqtt",)) as own,
        connected(own.ports["mqtt"], 5) as client,
    ):
        token = await own.new_token()
        answers = [await client.publish(thing_topic(token), body(n)) for n in range(3)]

    assert [answer.reason for answer in answers] == [0, 0, Reason.QUOTA_EXCEEDED]
    assert "at most 1 writes of one thing in a second" in answers[2].properties.reason_string


async def test_a_thing_that_writes_too_fast_is_read_more_slowly_with_mqtt_3(tmp_path):
    limits = LimitSettings(writes_per_second=20, write_burst=2)
    async with (
        served(tmp_path / "folder", limits=limits, roads=("mqtt",)) as own,
        connected(own.ports["mqtt"], 4) as client,
    ):
        token = await own.new_token()
        answers = [await client.publish(thing_topic(token), body(n)) for n in range(4)]

    assert len(answers) == 4


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize(("size", "is_taken"), [(300, True), (301, False)])
async def test_a_packet_may_be_as_large_as_the_limit_says(
    server, token, level, size, is_taken, stored
):
    # Head and length 3, topic's length 2, packet id 2, and in MQTT 5 no properties 1.
    rest = size - 7 - (level == 5) - len(thing_topic(token))
    async with (
        mqtt_on(server.platform, packet_bytes=300) as (_, port),
        connected(port, level) as client,
    ):
        await client.send(Publish(thing_topic(token), body(1).ljust(rest), 1, packet_id=7))
        answer = await client.next()

    if is_taken:
        assert isinstance(answer, Puback)
    else:
        assert (answer and answer.reason) == (Reason.PACKET_TOO_LARGE if level == 5 else None)
    assert await stored(token) == ([1] if is_taken else [])


async def test_what_a_client_sent_before_it_left_is_carried_out(port, token, stored):
    async with connection(port, 4) as client:
        await client.send(
            Connect(4, "c", True, 0),
            *(Publish(thing_topic(token), body(n), 0) for n in range(5)),
            Disconnect(),
        )
        await client.expect(Connack)
        assert await client.next() is None
    async with connected(port) as other:
        await other.publish(thing_topic(token), body(9))

    assert sorted(await stored(token)) == [0, 1, 2, 3, 4, 9]


async def test_what_comes_after_disconnect_is_not_carried_out(port, token, stored):
    async with connected(port, 4) as client:
        await client.send(Disconnect(), Publish(thing_topic(token), body(1), 1, packet_id=7))

        assert await client.next() is None
    assert await stored(token) == []


async def test_half_a_packet_is_nothing(port, token, stored):
    async with connected(port, 4) as client:
        await client.send_bytes(b"\x30\x70\x00\x37")
        client.cut()

    assert await stored(token) == []
