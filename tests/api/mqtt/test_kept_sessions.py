"""Sessions that are kept: what was missed, what was not acknowledged, what is stored once."""

import json
from contextlib import AsyncExitStack

import pytest

from support.in_process import served
from support.mqtt import connected, resource_topic, thing_topic
from support.wire import ask
from thingstead.transports.mqtt.codec import (
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Reason,
    Unsuback,
    Unsubscribe,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = pytest.mark.parametrize("level", [3, 4, 5])


def kept(port, token, level=4, *, client_id="c", expiry_s=3_600, **more):
    """A client whose session is kept."""
    if level == 5:
        more["expiry_s"] = expiry_s
    return connected(port, level, client_id, token=token, is_clean=False, **more)


async def subscribe_and_leave(port, token, *filters, level=4, qos=1, **more):
    async with kept(port, token, level, **more) as client:
        await client.subscribe(*filters, qos=qos)
        await client.leave()


async def heard(client, count):
    """That many values, each in a message of its own, all acknowledged."""
    return [value for _ in range(count) for value in await client.values()]


@LEVELS
async def test_what_was_missed_is_delivered_before_what_comes(port, token, write, level):
    await subscribe_and_leave(port, token, thing_topic(token), level=level)
    for value in range(3):
        await write(token, value)

    async with kept(port, token, level) as client:
        await client.publish(resource_topic(token), b"3", 0)
        got = await heard(client, 4)

    assert client.connack.is_session_present == (level > 3)
    assert got == [0, 1, 2, 3]


async def test_each_filter_gets_what_it_missed(server, port, token):
    await subscribe_and_leave(
        port,
        token,
        thing_topic(token),
        resource_topic(token, "a"),
        thing_topic(token, "resources/+"),
    )
    body = {"values": [{"key": key, "value": key} for key in "ab"]}
    await ask(server.address, "POST", f"/v2/things/{token}", body)

    async with kept(port, token) as client:
        got = []
        for _ in range(4):
            message = await client.message()
            got.append((message.topic, [one["value"] for one in json.loads(message.payload)]))
        assert await client.until_now() == []

    assert sorted(got) == sorted(
        [
            (thing_topic(token), ["a", "b"]),
            (resource_topic(token, "a"), ["a"]),
            (resource_topic(token, "a"), ["a"]),
            (resource_topic(token, "b"), ["b"]),
        ]
    )


async def test_what_was_missed_with_qos_0_is_not_delivered(port, token, write):
    await subscribe_and_leave(port, token, thing_topic(token), qos=0)
    await write(token, 1)

    async with kept(port, token) as client:
        await write(token, 2)
        assert await client.values() == [2]


async def test_who_asks_for_qos_0_later_is_not_given_what_was_missed(port, token, write):
    async with kept(port, token) as client:
        await client.subscribe(thing_topic(token), qos=1)
        await client.subscribe(thing_topic(token), qos=0)
        await client.leave()
    await write(token, 1)

    async with kept(port, token) as client:
        await write(token, 2)
        assert await client.values() == [2]


async def test_who_asks_for_qos_1_later_is_given_what_was_missed(port, token, write):
    async with kept(port, token) as client:
        await client.subscribe(thing_topic(token), qos=0)
        await client.subscribe(thing_topic(token), qos=1)
        await client.leave()
    await write(token, 1)

    async with kept(port, token) as client:
        assert await client.values() == [1]


@pytest.mark.parametrize("is_cut", [False, True])
async def test_many_missed_values_are_all_delivered_in_order(port, token, write, is_cut):
    total = 2_500
    await subscribe_and_leave(port, token, thing_topic(token))
    for begin in range(0, total, 5):
        await write(token, *range(begin, begin + 5))

    got = []
    while len(got) < total:
        async with kept(port, token) as client:
            for _ in range(100 if is_cut else total // 5):
                got += await client.values()
            # Its last acknowledgements have been heard.
            await client.until_now()
            client.cut() if is_cut else await client.leave()
        got = sorted(set(got)) if is_cut else got

    assert got == list(range(total))


async def test_what_comes_while_much_is_caught_up_comes_after_it(port, token, write):
    await subscribe_and_leave(port, token, thing_topic(token), resource_topic(token))
    for value in range(100):
        await write(token, value)

    async with kept(port, token) as client:
        # The window of the first filter is full, the second has not begun.
        for value in range(100, 400):
            await write(token, value)
        by_topic = {thing_topic(token): [], resource_topic(token): []}
        for _ in range(800):
            message = await client.message()
            by_topic[message.topic] += [one["value"] for one in json.loads(message.payload)]

    assert by_topic[thing_topic(token)] == list(range(400))
    assert by_topic[resource_topic(token)] == list(range(400))


async def test_what_was_not_acknowledged_is_delivered_again(port, token, write):
    async with kept(port, token) as client:
        await client.subscribe(thing_topic(token))
        for value in range(3):
            await write(token, value)
        await client.values()
        assert await client.values(is_acknowledged=False) == [1]
        assert await client.values(is_acknowledged=True) == [2]
        await client.until_now()
        client.cut()

    async with kept(port, token) as client:
        await write(token, 3)
        # From the first one that is missing.
        assert await heard(client, 3) == [1, 2, 3]


async def test_an_event_of_many_messages_is_delivered_again_until_all_have_arrived(
    server, port, token
):
    body = {"values": [{"key": key, "value": key} for key in "abc"]}
    async with kept(port, token) as client:
        await client.subscribe(thing_topic(token, "resources/+"))
        await ask(server.address, "POST", f"/v2/things/{token}", body)
        await client.values()
        await client.until_now()
        client.cut()

    async with kept(port, token) as client:
        assert await heard(client, 3) == ["a", "b", "c"]


async def test_relayed_messages_wait_for_who_is_away(port, token):
    topic = thing_topic(token, "cmd")
    await subscribe_and_leave(port, token, topic)
    async with connected(port) as other:
        for number in range(250):
            await other.publish(topic, b"%d" % number)

    async with kept(port, token) as client:
        got = [int((await client.message()).payload) for _ in range(250)]
        await client.until_now()
        await client.leave()
    async with kept(port, token) as client, connected(port) as other:
        await other.publish(topic, b"250")
        got.append(int((await client.message()).payload))

    assert got == list(range(251))


async def test_relayed_messages_that_come_while_others_are_caught_up_come_once_and_after(
    port, token
):
    topic = thing_topic(token, "cmd")
    await subscribe_and_leave(port, token, topic)
    async with connected(port) as other:
        for number in range(100):
            await other.publish(topic, b"%d" % number)
        async with kept(port, token) as client:
            for number in range(100, 500):
                await other.publish(topic, b"%d" % number)
            got = [int((await client.message()).payload) for _ in range(500)]
            await other.publish(topic, b"500")
            got.append(int((await client.message()).payload))

    assert got == list(range(501))


async def test_relayed_messages_that_were_not_acknowledged_are_delivered_again(port, token):
    topic = thing_topic(token, "cmd")
    async with connected(port) as other:
        async with kept(port, token) as client:
            await client.subscribe(topic)
            for number in range(40):
                await other.publish(topic, b"%d" % number)
            await client.message()
            await client.message(is_acknowledged=False)
            await client.message()
            await client.until_now()
            client.cut()
        for number in range(40, 45):
            await other.publish(topic, b"%d" % number)

        async with kept(port, token) as client:
            await other.publish(topic, b"45")
            got = [int((await client.message()).payload) for _ in range(44)]
    assert got == [1, *range(3, 46)]


async def test_of_waiting_messages_only_those_that_arrived_are_forgotten(port, token):
    topic = thing_topic(token, "cmd")
    await subscribe_and_leave(port, token, topic)
    async with connected(port) as other:
        for number in range(5):
            await other.publish(topic, b"%d" % number)

    async with kept(port, token) as client:
        # The first one is not acknowledged, the others are.
        await client.message(is_acknowledged=False)
        for _ in range(4):
            await client.message()
        await client.until_now()
        client.cut()
    async with kept(port, token) as client:
        assert (await client.message()).payload == b"0"


async def test_messages_that_no_filter_wants_any_more_take_none_of_the_others_with_them(
    port, token
):
    one, two = thing_topic(token, "one"), thing_topic(token, "two")
    await subscribe_and_leave(port, token, one, two)
    async with connected(port) as other:
        await other.publish(one, b"1")
        await other.publish(two, b"2")

    async with kept(port, token) as client:
        for _ in "12":
            await client.message(is_acknowledged=False)
        await client.unsubscribe(two)
        await client.send(Puback(2))
        await client.until_now()
        client.cut()
    async with kept(port, token) as client:
        assert (await client.message()).payload == b"1"


async def test_who_unsubscribes_while_catching_up_goes_on_with_the_other_filters(
    port, token, write
):
    await subscribe_and_leave(port, token, thing_topic(token), resource_topic(token))
    for value in range(100):
        await write(token, value)

    async with kept(port, token) as client:
        waiting = await unsubscribed(client, thing_topic(token))
        got = []
        while 100 not in got:
            message = waiting.pop(0) if waiting else await client.expect(Publish)
            await client.send(Puback(message.packet_id))
            if message.topic == resource_topic(token):
                got += [one["value"] for one in json.loads(message.payload)]
            if got == list(range(100)):
                await write(token, 100)

    assert got == list(range(101))


async def unsubscribed(client, text):
    """Unsubscribe while messages come; return them."""
    await client.send(Unsubscribe(9, (text,)))
    before = []
    while not isinstance(packet := await client.next(), Unsuback):
        before.append(packet)
    return before


async def test_a_right_that_ends_while_catching_up_ends_the_connection(server, port, write):
    thing = await server.new_thing()
    await subscribe_and_leave(port, thing.token, thing_topic(thing.token))
    for value in range(100):
        await write(thing.token, value)

    async with kept(port, thing.token, 5) as client:
        for _ in range(32):
            await client.expect(Publish)
        await server.platform.things.rotate_token(thing.thing.id, overlap_ms=0)
        ended = await client.next()

    assert ended.reason == Reason.NOT_AUTHORIZED


async def test_what_a_dead_token_listened_to_is_left_out(server, port, write):
    thing = await server.new_thing()
    await subscribe_and_leave(port, thing.token, thing_topic(thing.token, "#"))
    async with connected(port) as other:
        await other.publish(thing_topic(thing.token, "cmd"), b"1")
    new = str(await server.platform.things.rotate_token(thing.thing.id, overlap_ms=0))

    async with kept(port, new) as client, connected(port) as other:
        assert client.connack.is_session_present
        await client.subscribe(thing_topic(new, "#"))
        await other.publish(thing_topic(new, "cmd"), b"2")
        assert (await client.message()).payload == b"2"
        await client.until_now()
        await client.leave()
    async with kept(port, new) as client, connected(port) as other:
        await other.publish(thing_topic(new, "cmd"), b"3")
        assert (await client.message()).payload == b"3"


async def test_a_session_is_another_clients_neither_by_name_nor_by_thing(
    port, token, other_token, write
):
    await subscribe_and_leave(port, token, thing_topic(token), client_id="same")
    await write(token, 1)

    for holder, name in ((other_token, "same"), (token, "other")):
        async with kept(port, holder, client_id=name) as client:
            assert not client.connack.is_session_present
            assert await client.until_now() == []


async def test_a_clean_start_forgets_what_waited(port, token, write):
    await subscribe_and_leave(port, token, thing_topic(token), level=5)
    await write(token, 1)
    async with connected(port, 5, "c", token=token) as client:
        assert not client.connack.is_session_present
        assert await client.until_now() == []

    async with kept(port, token, 5) as client:
        assert not client.connack.is_session_present


@pytest.mark.parametrize(("expiry_s", "is_kept"), [(0, False), (1, True)])
async def test_a_session_lasts_as_long_as_the_client_said_at_first(port, token, expiry_s, is_kept):
    await subscribe_and_leave(port, token, thing_topic(token), level=5, expiry_s=expiry_s)

    async with kept(port, token, 5) as client:
        assert client.connack.is_session_present == is_kept


@pytest.mark.parametrize(
    ("first", "last", "is_kept"), [(0, 60, False), (60, 0, False), (60, 120, True)]
)
async def test_a_session_lasts_as_long_as_the_client_said_at_last(
    port, token, first, last, is_kept
):
    async with kept(port, token, 5, expiry_s=first) as client:
        await client.leave(Properties(session_expiry_s=last))

    async with kept(port, token, 5) as client:
        assert client.connack.is_session_present == is_kept


# What the client sends again.


@pytest.mark.parametrize("topic", [thing_topic, resource_topic], ids=["hot", "slow"])
@pytest.mark.parametrize("level", [4, 5])
async def test_a_value_that_is_sent_again_is_stored_once(port, token, stored, level, topic):
    payload = b'{"values":[{"key":"k","value":1}]}'
    message = Publish(topic(token), payload, 1, packet_id=7)
    again = Publish(topic(token), payload, 1, packet_id=7, is_duplicate=True)
    async with kept(port, token, level) as client:
        await client.send(message)
        await client.expect(Puback)
        client.cut()
    async with kept(port, token, level) as client:
        await client.send(again)
        assert (await client.expect(Puback)).packet_id == 7
        # The same id without the mark is another message.
        await client.send(message)
        await client.expect(Puback)

    assert await stored(token) == [1, 1]


async def test_a_value_that_was_not_stored_before_is_stored_when_it_is_sent_again(
    port, token, stored
):
    message = Publish(resource_topic(token), b"1", 1, packet_id=7, is_duplicate=True)
    async with kept(port, token) as client:
        await client.send(message)
        await client.expect(Puback)

    assert await stored(token) == [1]


async def test_an_anonymous_client_has_no_memory_of_what_it_sent(port, token, stored):
    for is_duplicate in (False, True):
        async with connected(port) as client:
            await client.send(
                Publish(resource_topic(token), b"1", 1, packet_id=7, is_duplicate=is_duplicate)
            )
            await client.expect(Puback)

    assert await stored(token) == [1, 1]


async def test_qos_2_is_stored_once_over_a_cut(port, token, stored):
    message = Publish(resource_topic(token), b"1", 2, packet_id=7)
    again = Publish(resource_topic(token), b"1", 2, packet_id=7, is_duplicate=True)
    async with kept(port, token) as client:
        await client.send(message)
        await client.expect(Pubrec)
        client.cut()
    async with kept(port, token) as client:
        await client.send(again)
        await client.expect(Pubrec)
        await client.send(Pubrel(7))
        await client.expect(Pubcomp)
        client.cut()
    async with kept(port, token) as client:
        await client.send(Pubrel(7))
        await client.expect(Pubcomp)
        await client.send(message)
        await client.expect(Pubrec)

    assert await stored(token) == [1, 1]


# Over a restart.


async def test_a_session_outlives_the_server(tmp_path):
    folder = tmp_path / "folder"
    async with served(folder, roads=("mqtt",)) as one:
        token = await one.new_token()
        port = one.ports["mqtt"]
        topics = thing_topic(token), thing_topic(token, "cmd")
        async with kept(port, token, 5) as client:
            await client.subscribe(*topics)
            await client.publish(resource_topic(token), b"1", 0)
            assert await client.values() == [1]
            await client.until_now()
            await client.leave()
        async with connected(port) as other:
            await other.publish(resource_topic(token), b"2")
            await other.publish(thing_topic(token, "cmd"), b"before")
    async with served(folder, roads=("mqtt",)) as two:
        port = two.ports["mqtt"]
        async with connected(port) as other:
            await other.publish(resource_topic(token), b"3")
            await other.publish(thing_topic(token, "cmd"), b"after")
        async with kept(port, token, 5) as client:
            messages = [await client.message() for _ in range(4)]
            assert await client.until_now() == []

    assert client.connack.is_session_present
    assert [one.payload for one in messages if one.topic == topics[1]] == [b"before", b"after"]
    values = [json.loads(one.payload)[0]["value"] for one in messages if one.topic == topics[0]]
    assert values == [2, 3]


async def test_a_stop_of_the_server_loses_nothing_that_was_under_way(tmp_path):
    folder = tmp_path / "folder"
    properties = Properties(session_expiry_s=60, receive_maximum=1)
    async with AsyncExitStack() as stack:
        async with served(folder, roads=("mqtt",)) as one:
            token = await one.new_token()
            topic = thing_topic(token, "cmd")
            client = await stack.enter_async_context(
                connected(
                    one.ports["mqtt"], 5, "c", token=token, is_clean=False, properties=properties
                )
            )
            await client.subscribe(topic, thing_topic(token))
            async with connected(one.ports["mqtt"]) as other:
                for number in range(5):
                    await other.publish(topic, b"%d" % number)
                    await other.publish(resource_topic(token), b"%d" % number)
        # One is under way, the others waited in the queue.
        assert (await client.end()).reason == Reason.SERVER_SHUTTING_DOWN
    async with (
        served(folder, roads=("mqtt",)) as two,
        kept(two.ports["mqtt"], token, 5) as client,
    ):
        messages = [await client.message() for _ in range(10)]
        assert await client.until_now() == []

    relayed = [one.payload for one in messages if one.topic == topic]
    assert relayed == [b"%d" % number for number in range(5)]


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_message_that_is_sent_again_after_a_restart_is_stored_once(tmp_path, qos):
    folder = tmp_path / "folder"
    answer = {1: Puback, 2: Pubrec}[qos]
    async with served(folder, roads=("mqtt",)) as one:
        token = await one.new_token()
        async with kept(one.ports["mqtt"], token) as client:
            await client.send(Publish(resource_topic(token), b"1", qos, packet_id=7))
            await client.expect(answer)
    async with served(folder, roads=("mqtt",)) as two, kept(two.ports["mqtt"], token) as client:
        assert client.connack.is_session_present
        await client.send(Publish(resource_topic(token), b"1", qos, packet_id=7, is_duplicate=True))
        await client.expect(answer)
        if qos == 2:
            await client.send(Pubrel(7))
            await client.expect(Pubcomp)
        got = await ask(two.address, "GET", f"/v2/things/{token}/resources/k?limit=100")

    assert [one["value"] for one in got.json] == [1]
