"""CONNECT: versions, credentials, client ids, taking over, what is refused and how."""

import pytest

from support.in_process import GENEROUS
from support.mqtt import connected, connection, mqtt_on, thing_topic
from thingstead.transports.mqtt.codec import (
    Connack,
    Connect,
    Pingreq,
    Properties,
    Publish,
    Reason,
    Subscribe,
    SubscribeRequest,
    Will,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = pytest.mark.parametrize("level", [3, 4, 5])
UNKNOWN = "A" * 43
assert GENEROUS.bad_tokens_per_minute > 1_000


@LEVELS
async def test_every_version_is_spoken(port, token, stored, level):
    async with connected(port, level) as client:
        await client.publish(thing_topic(token), {"values": [{"key": "k", "value": level}]})

    assert await stored(token) == [level]


@LEVELS
@pytest.mark.parametrize("client_id", ["a", "x" * 23, "y" * 3_000, "ü/#+$ 漢"])
async def test_a_client_may_call_itself_anything(port, level, client_id):
    async with connection(port, level) as client:
        assert (await client.connect(client_id)).reason == 0


async def test_without_a_name_a_client_of_mqtt_5_gets_one(port):
    async with connected(port, 5) as one, connected(port, 5) as two:
        names = {client.connack.properties.assigned_client_id for client in (one, two)}

        assert len(names) == 2
        assert all(len(name) == 24 for name in names)


async def test_a_client_with_a_name_is_given_no_other(port):
    async with connected(port, 5, "mine") as client:
        assert client.connack.properties.assigned_client_id is None


async def test_without_a_name_mqtt_3_1_1_needs_a_clean_session(port):
    async with connection(port, 4) as client:
        answer = await client.connect("", is_clean=False)

        assert answer.reason == 2
        assert await client.next() is None


async def test_mqtt_5_is_told_what_is_served(port):
    async with connected(port, 5, keep_alive_s=3_600) as client:
        told = client.connack.properties

    assert told.maximum_qos == 1
    assert told.retain_available == 0
    assert told.shared_subscription_available == 0
    assert told.receive_maximum == 32
    assert told.maximum_packet_bytes == 65_536
    assert told.server_keep_alive_s == 1_200


async def test_a_keep_alive_within_the_bounds_is_left_as_it_is(port):
    async with connected(port, 5, keep_alive_s=1_200) as client:
        assert client.connack.properties.server_keep_alive_s is None


async def test_a_version_of_the_future_is_refused_by_the_code_of_every_version(port):
    async with connection(port, 4) as client:
        await client.send_bytes(b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x01c")

        assert (await client.expect(Connack)).reason == 1
        assert await client.next() is None


@LEVELS
@pytest.mark.parametrize("place", ["user name", "password"])
async def test_a_token_is_taken_as_user_name_or_as_password(port, token, level, place):
    credentials = (
        {"user_name": token}
        if place == "user name"
        else {"user_name": "sensor", "password": token.encode()}
    )
    async with connection(port, level) as client:
        await client.send(Connect(level, "c", True, 0, **credentials))

        assert (await client.expect(Connack)).reason == 0


@LEVELS
async def test_a_session_token_is_taken(port, new_user, level):
    async with connection(port, level) as client:
        assert (await client.connect("app", token=await new_user())).reason == 0


@LEVELS
@pytest.mark.parametrize("wrong", [UNKNOWN, "somebody", "x" * 3_000])
async def test_a_wrong_credential_is_refused(port, level, wrong):
    async with connection(port, level) as client:
        answer = await client.connect("c", token=wrong)

        assert answer.reason == (Reason.BAD_USER_NAME_OR_PASSWORD if level == 5 else 4)
        assert await client.next() is None
    if level == 5:
        assert wrong not in answer.properties.reason_string


async def test_empty_credentials_are_none(port):
    async with connection(port, 4) as client:
        await client.send(Connect(4, "c", True, 0, user_name="", password=b""))

        assert (await client.expect(Connack)).reason == 0


async def test_an_authentication_method_is_refused(port):
    async with connection(port, 5) as client:
        answer = await client.connect(properties=Properties(authentication_method="SCRAM"))

        assert answer.reason == Reason.BAD_AUTHENTICATION_METHOD


async def test_anonymous_clients_may_have_equal_names(port):
    async with connected(port, 4, "same") as one, connected(port, 4, "same") as two:
        assert await two.until_now() == []
        assert await one.until_now() == []


async def test_two_things_may_use_equal_names(port, token, other_token):
    async with (
        connected(port, 5, "same", token=token) as one,
        connected(port, 5, "same", token=other_token) as two,
    ):
        assert await two.until_now() == []
        assert await one.until_now() == []


async def test_a_user_and_their_thing_may_use_equal_names(port, server, new_user):
    thing = await server.new_thing()
    session = await new_user(thing)
    async with (
        connected(port, 5, "same", token=thing.token) as one,
        connected(port, 5, "same", token=session) as two,
    ):
        assert await two.until_now() == []
        assert await one.until_now() == []


@pytest.mark.parametrize("is_clean", [True, False])
async def test_the_same_client_takes_its_own_place(port, token, is_clean):
    more = {"token": token, "is_clean": is_clean}
    async with connected(port, 5, "c", **more) as one, connected(port, 5, "c", **more) as two:
        ended = await one.end()

        assert ended.reason == Reason.SESSION_TAKEN_OVER
        assert await two.until_now() == []


async def test_of_clients_that_take_over_in_a_row_the_last_one_stays(port, token):
    async with (
        connected(port, 5, "c", token=token) as first,
        connected(port, 5, "c", token=token),
        connected(port, 5, "c", token=token) as last,
    ):
        await first.end()

        assert await last.until_now() == []


@pytest.mark.parametrize(
    ("level", "expected"), [(3, False), (4, False), (5, False)], ids=["3.1", "3.1.1", "5"]
)
async def test_an_anonymous_client_has_no_session(port, level, expected):
    for _ in range(2):
        async with connected(port, level, "c", is_clean=False) as client:
            assert client.connack.is_session_present is expected
            await client.leave()


async def test_session_present_says_the_truth(port, token):
    told = []
    for is_clean in (False, False, True, False, False):
        async with connected(port, 4, "c", token=token, is_clean=is_clean) as client:
            told.append(client.connack.is_session_present)
            await client.leave()

    assert told == [False, True, False, False, True]


@pytest.mark.parametrize(("asked", "given"), [(0, None), (60, None), (100_000, 86_400)])
async def test_mqtt_5_is_told_how_long_its_session_lasts_when_it_is_changed(
    port, token, asked, given
):
    async with connected(port, 5, "c", token=token, expiry_s=asked) as client:
        assert client.connack.properties.session_expiry_s == given


async def test_an_anonymous_client_is_told_that_its_session_does_not_last(port):
    async with connected(port, 5, "c", expiry_s=60) as client:
        assert client.connack.properties.session_expiry_s == 0


FIRST = {
    "publish": Publish("v2/things/x", b"1"),
    "subscribe": Subscribe(1, (SubscribeRequest("a", 0),)),
    "ping": Pingreq(),
}


@pytest.mark.parametrize("name", FIRST)
async def test_a_packet_before_connect_ends_the_connection_without_a_word(port, name):
    async with connection(port, 4) as client:
        await client.send(FIRST[name])

        assert await client.next() is None


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00", b"\xff" * 100, b"\x16\x03\x01\x02\x00"],
    ids=["HTTP", "zero", "ones", "TLS"],
)
async def test_what_is_no_mqtt_ends_the_connection_without_a_word(port, garbage):
    async with connection(port, 4) as client:
        await client.send_bytes(garbage)

        assert await client.wire.read() == b""


@LEVELS
async def test_a_second_connect_ends_the_connection(port, level):
    async with connected(port, level) as client:
        await client.send(Connect(level, "c", True, 0))

        ended = await client.end()

        assert (ended and ended.reason) == (Reason.PROTOCOL_ERROR if level == 5 else None)


@pytest.mark.parametrize(("size", "is_taken"), [(4_096, True), (4_097, False)])
async def test_a_connect_may_have_4_kib(port, size, is_taken):
    # 3 bytes of head, 10 before the payload, 2 of length.
    name = "x" * (size - 15)
    async with connection(port, 4) as client:
        await client.send(Connect(4, name, True, 0))

        answer = await client.next()

    assert (answer is not None) == is_taken


async def test_a_connect_may_come_in_pieces(port):
    async with connection(port, 4) as client:
        for byte in b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c":
            await client.send_bytes(bytes((byte,)))

        assert (await client.expect(Connack)).reason == 0


async def test_what_comes_right_behind_connect_is_carried_out_after_it(port, token, stored):
    async with connection(port, 4) as client:
        await client.send(
            Connect(4, "c", True, 0),
            Publish(thing_topic(token), b'{"values":[{"key":"k","value":1}]}', 1, packet_id=9),
            Pingreq(),
        )

        assert (await client.expect(Connack)).reason == 0
        kinds = {type(await client.next()).__name__ for _ in range(2)}

    assert kinds == {"Puback", "Pingresp"}
    assert await stored(token) == [1]


@pytest.mark.parametrize(
    ("will", "reason"),
    [
        (Will("v2/things", b"x"), Reason.TOPIC_NAME_INVALID),
        (Will(thing_topic(UNKNOWN), b"x"), Reason.BAD_USER_NAME_OR_PASSWORD),
        (Will("v2/me/resources/k", b"x"), Reason.NOT_AUTHORIZED),
        (Will(thing_topic("{token}", "gone"), b"x", qos=2), Reason.QOS_NOT_SUPPORTED),
        (Will(thing_topic("{token}", "gone"), b"x", retain=True), Reason.RETAIN_NOT_SUPPORTED),
    ],
    ids=["no topic", "unknown token", "of a user", "QoS 2", "retain"],
)
async def test_a_will_that_could_not_be_published_is_refused(port, token, will, reason):
    will = Will(will.topic.replace("{token}", token), will.payload, will.qos, will.retain)
    async with connection(port, 5) as client:
        answer = await client.connect("c", will=will)

        assert answer.reason == reason


async def test_a_will_of_mqtt_3_may_ask_for_what_is_not_served(port, token):
    will = Will(thing_topic(token, "gone"), b"x", qos=2, retain=True)
    async with connection(port, 4) as client:
        assert (await client.connect("c", will=will)).reason == 0


async def test_a_client_that_can_be_told_nothing_is_told_nothing(port):
    async with connection(port, 5) as client:
        await client.send(Connect(5, "c", True, 0, properties=Properties(maximum_packet_bytes=5)))

        assert await client.next() is None


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
async def test_as_many_connections_are_served_as_may_be(server, limit):
    async with mqtt_on(server.platform, **{limit: 2}) as (_, port):
        async with connected(port) as one, connected(port) as two, connection(port) as three:
            assert await three.next() is None
            assert await one.until_now() == await two.until_now() == []
            await two.leave()
        async with connected(port) as four:
            assert await four.until_now() == []
