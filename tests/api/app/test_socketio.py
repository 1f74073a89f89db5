"""What apps say and hear over Socket.IO, in both generations, polling and on WebSockets."""

import json

import pytest

from support.socketio import in_namespace, joined_namespace, opened
from support.wire import ask, values

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENERATIONS = pytest.mark.parametrize("eio", [3, 4])
TRANSPORTS = pytest.mark.parametrize("transport", ["polling", "websocket"])
NOWHERE = "A" * 43


async def write(server, token, *members):
    got = await ask(server.address, "POST", f"/v2/things/{token}", values(*members))
    assert got.status == 201, got.body


# --- What is said ---


@GENERATIONS
@TRANSPORTS
async def test_an_app_hears_a_resource_of_its_things(server, ada, thing, eio, transport):
    await ada.link(thing)
    topic = "/me/resources/temperature"
    async with in_namespace(server.address, eio, transport) as app:
        assert await app.ask("authenticate", {"sessionToken": ada.token}) == {
            "status": "success",
            "message": "authenticated",
        }
        assert await app.ask("subscribe", {"resource": topic}) == {
            "status": "success",
            "resource": topic,
            "message": "subscribed",
        }
        await write(server, thing.token, ("temperature", 21.5), ("other", 1))

        name, entries = await app.event()

    assert name == topic
    assert entries == [
        {
            "thingId": thing.thing.id,
            "datetime": entries[0]["datetime"],
            "key": "temperature",
            "value": 21.5,
        }
    ]


@GENERATIONS
@TRANSPORTS
async def test_the_token_of_a_thing_is_all_that_it_takes(server, thing, eio, transport):
    topic = f"/things/{thing.token}"
    async with in_namespace(server.address, eio, transport) as app:
        assert (await app.ask("subscribe", {"resource": topic}))["status"] == "success"
        await write(server, thing.token, ("a", "é😀"), ("b", {"ö": [1]}))

        packet = await app.next()

    assert packet.isascii()
    name, entries = json.loads(packet.removeprefix("42/v2,"))
    assert name == topic
    assert [(entry["key"], entry["value"]) for entry in entries] == [
        ("a", "é😀"),
        ("b", {"ö": [1]}),
    ]


@GENERATIONS
async def test_an_app_hears_of_its_collections(server, ada, eio):
    topic = "/classes/me/rooms"
    async with in_namespace(server.address, eio) as app:
        await app.ask("authenticate", {"sessionToken": ada.token})
        await app.ask("subscribe", {"resource": topic})
        await ada.ask("POST", "/v2/classes/me/rooms", {"_id": "hall", "color": "réd"})

        name, documents = await app.event()

    assert name == topic
    assert documents == [
        {
            "action": "create",
            "collection": "rooms",
            "_id": "hall",
            "object": {"_id": "hall", "color": "réd"},
        }
    ]


@GENERATIONS
@TRANSPORTS
async def test_who_waits_for_an_answer_gets_it_as_well(server, thing, eio, transport):
    topic = f"/things/{thing.token}"
    document = {"status": "success", "resource": topic, "message": "subscribed"}
    async with in_namespace(server.address, eio, transport) as app:
        await app.carrier.send("42/v2,7" + json.dumps(["subscribe", {"resource": topic}]))

        packet = await app.next()
        event = await app.event()

    assert packet.startswith("43/v2,7[")
    assert json.loads(packet.removeprefix("43/v2,7")) == [document]
    assert event == ("subscribe", document)


@GENERATIONS
async def test_the_argument_may_be_a_text_that_holds_the_document(server, thing, eio):
    topic = f"/things/{thing.token}"
    async with in_namespace(server.address, eio) as app:
        got = await app.ask("subscribe", json.dumps({"resource": topic}))

    assert got["status"] == "success"


async def test_messages_are_answered_in_their_order(server, ada):
    async with in_namespace(server.address, 4) as app:
        await app.carrier.send(
            '42/v2,["subscribe",{"resource":"/me/resources/a"}]',
            f'42/v2,["authenticate",{{"sessionToken":"{ada.token}"}}]',
            '42/v2,["subscribe",{"resource":"/me/resources/a"}]',
        )

        answers = [await app.event() for _ in range(3)]

    assert [(name, document["status"]) for name, document in answers] == [
        ("subscribe", "error"),
        ("authenticate", "success"),
        ("subscribe", "success"),
    ]
    assert answers[0][1]["code"] == 401


@GENERATIONS
@TRANSPORTS
async def test_after_unsubscribing_nothing_more_comes(server, thing, eio, transport):
    topic = f"/things/{thing.token}"
    async with in_namespace(server.address, eio, transport) as app:
        await app.ask("subscribe", {"resource": topic})
        assert await app.ask("unsubscribe", {"resource": topic}) == {
            "status": "success",
            "resource": topic,
            "message": "unsubscribed",
        }
        await write(server, thing.token, ("a", 1))

        # Its answer would come after the value.
        got = await app.ask("unsubscribe", {"resource": topic})

        assert len(server.platform.live) == 0

    assert got["status"] == "success"


async def test_a_topic_subscribed_twice_is_heard_once(server, thing):
    topic = f"/things/{thing.token}"
    async with in_namespace(server.address, 4) as app:
        await app.ask("subscribe", {"resource": topic})
        assert (await app.ask("subscribe", {"resource": topic}))["status"] == "success"
        await write(server, thing.token, ("a", 1))
        await write(server, thing.token, ("a", 2))

        heard = [(await app.event())[1][0]["value"] for _ in range(2)]

    assert heard == [1, 2]


# --- Refusals ---


@GENERATIONS
@TRANSPORTS
async def test_a_wrong_session_is_refused(server, eio, transport):
    async with in_namespace(server.address, eio, transport) as app:
        got = await app.ask("authenticate", {"sessionToken": "us_" + NOWHERE})

    assert got == {"status": "error", "code": 401, "message": "Invalid session token"}


@pytest.mark.parametrize(
    ("name", "argument", "code"),
    [
        ("authenticate", None, 400),
        ("authenticate", {"sessionToken": 1}, 400),
        ("authenticate", "no JSON", 400),
        ("subscribe", {}, 400),
        ("subscribe", {"resource": "/me/resources/"}, 400),
        ("subscribe", {"resource": "/me/resources/description"}, 400),
        ("subscribe", {"resource": "/me/resources/a/b"}, 400),
        ("subscribe", {"resource": "/v2/me/resources/a"}, 400),
        ("subscribe", {"resource": "/me/resources/temperature"}, 401),
        ("subscribe", {"resource": "/classes/me/rooms"}, 401),
        ("subscribe", {"resource": f"/things/{NOWHERE}"}, 404),
        ("unsubscribe", {"resource": "nothing"}, 400),
    ],
)
async def test_what_cannot_be_is_refused(server, name, argument, code):
    async with in_namespace(server.address, 4) as app:
        got = await app.ask(name, argument)

    assert (got["status"], got["code"]) == ("error", code)
    if isinstance(argument, dict) and "resource" in argument:
        assert got["resource"] == argument["resource"]


@pytest.mark.parametrize("data", ["", "{}", "[]", "[1]", '["other",{}]', '["subscribe"'])
async def test_what_is_no_event_of_ours_is_an_error(server, data):
    async with in_namespace(server.address, 4) as app:
        await app.carrier.send("42/v2," + data)

        name, document = await app.event()

    assert name == "error"
    assert (document["status"], document["code"]) == ("error", 400)


async def test_fifty_topics_are_taken_and_no_more(server):
    things = [await server.new_thing() for _ in range(51)]
    topics = [f"/things/{thing.token}" for thing in things]
    async with in_namespace(server.address, 4) as app:
        for topic in topics[:50]:
            assert (await app.ask("subscribe", {"resource": topic}))["status"] == "success"

        got = await app.ask("subscribe", {"resource": topics[50]})
        await app.ask("unsubscribe", {"resource": topics[0]})
        again = await app.ask("subscribe", {"resource": topics[50]})

    assert (got["status"], got["code"]) == ("error", 429)
    assert again["status"] == "success"


@GENERATIONS
async def test_there_is_no_other_namespace(server, eio):
    async with opened(server.address, eio) as app:
        await app.carrier.send("40/other,")

        packet = await app.next()

    assert packet.startswith("44/other,")
    assert "Invalid namespace" in packet


async def test_apps_of_the_third_generation_learn_which_namespace_to_use(server):
    async with opened(server.address, 3) as app:
        await app.carrier.send('42["subscribe",{}]')

        assert await app.next() == '44"Connect to the namespace /v2"'


async def test_nothing_is_taken_before_the_namespace_was_entered(server, thing):
    async with opened(server.address, 4) as app:
        await app.carrier.send('42/v2,["subscribe",{}]')

        assert await app.next() == "1"


@pytest.mark.parametrize("packet", ['44/v2,"no"', '451-/v2,["subscribe",{}]', "47"])
async def test_what_only_a_server_sends_ends_the_connection(server, packet):
    async with in_namespace(server.address, 4) as app:
        await app.carrier.send(packet)

        assert await app.next() == "1"


async def test_acknowledgements_are_not_minded(server):
    async with in_namespace(server.address, 4) as app:
        await app.carrier.send("43/v2,1[]")

        assert (await app.ask("unsubscribe", {}))["code"] == 400


async def test_who_has_left_the_namespace_is_not_heard_in_it(server):
    async with in_namespace(server.address, 4) as app:
        await app.carrier.send("41/v2,", '42/v2,["unsubscribe",{}]')

        assert await app.next() == "1"


# --- Rights that end ---


@GENERATIONS
@TRANSPORTS
async def test_the_end_of_the_session_ends_its_topics(server, ada, thing, eio, transport):
    await ada.link(thing)
    mine, things = "/me/resources/temperature", f"/things/{thing.token}"
    async with in_namespace(server.address, eio, transport) as app:
        await app.ask("authenticate", {"sessionToken": ada.token})
        await app.ask("subscribe", {"resource": mine})
        await app.ask("subscribe", {"resource": things})
        await ada.ask("DELETE", "/v2/me/sessions/current")

        name, document = await app.event()
        await write(server, thing.token, ("temperature", 1))
        heard, _ = await app.event()
        again = await app.ask("subscribe", {"resource": mine})

    assert (name, document["code"], document["resource"]) == ("unsubscribe", 401, mine)
    assert heard == things
    assert again["code"] == 401


async def test_what_the_next_owner_writes_is_not_heard(server, ada, bob, thing):
    await ada.link(thing)
    async with in_namespace(server.address, 4) as app:
        await app.ask("authenticate", {"sessionToken": ada.token})
        await app.ask("subscribe", {"resource": "/me/resources/a"})
        await ada.ask("DELETE", f"/v2/me/things/{thing.thing.id}")
        await bob.link(thing)
        await write(server, thing.token, ("a", "of bob"))
        await ada.link(mine := await server.new_thing())
        # Rights are looked at again before anything is answered.
        await app.ask("unsubscribe", {"resource": "/me/resources/nothing"})
        await write(server, mine.token, ("a", "of ada"))

        _, entries = await app.event()

    assert [entry["value"] for entry in entries] == ["of ada"]


async def test_what_waited_while_a_right_ended_is_not_heard(server, ada, thing):
    await ada.link(thing)
    async with in_namespace(server.address, 4, "polling") as app:
        await app.ask("authenticate", {"sessionToken": ada.token})
        await app.ask("subscribe", {"resource": "/me/resources/a"})
        # More than may wait for a poll, so that the last ones wait in the topic.
        for number in range(210):
            await write(server, thing.token, ("a", number))
        await ada.ask("DELETE", f"/v2/me/things/{thing.thing.id}")
        await app.emit("unsubscribe", {"resource": "/me/resources/nothing"})

        heard = []
        while (event := await app.event())[0] != "unsubscribe":
            heard.append(event[1][0]["value"])
        await app.ask("unsubscribe", {"resource": "/me/resources/nothing"})

    assert heard == list(range(len(heard)))
    assert 100 < len(heard) < 200


async def test_a_thing_that_is_deleted_ends_its_topic(server, thing):
    topic = f"/things/{thing.token}"
    async with in_namespace(server.address, 4) as app:
        await app.ask("subscribe", {"resource": topic})
        await server.platform.things.delete(thing.thing.id)

        name, document = await app.event()

    assert (name, document["code"], document["resource"]) == ("unsubscribe", 404, topic)


@GENERATIONS
@TRANSPORTS
async def test_leaving_the_namespace_ends_all_topics(server, ada, eio, transport):
    async with in_namespace(server.address, eio, transport) as app:
        await app.ask("authenticate", {"sessionToken": ada.token})
        await app.ask("subscribe", {"resource": "/me/resources/a"})
        await app.carrier.send("41/v2,")
        await joined_namespace(app, eio)

        got = await app.ask("subscribe", {"resource": "/me/resources/a"})

        assert len(server.platform.live) == 0

    assert got["code"] == 401
