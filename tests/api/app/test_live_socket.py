"""`GET /v2/live`: who may listen to what, over a real WebSocket."""

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from support.app_calls import write
from support.live_socket import authenticated, live_socket
from support.wire import ask, values

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEMPERATURE = "/me/resources/temperature"


async def put(server, thing, *members):
    """Write as a thing does, all at once."""
    got = await ask(server.address, "POST", f"/v2/things/{thing.token}", values(*members))
    assert got.status == 201, got.body


async def test_a_user_hears_a_resource_of_their_things(server, ada, thing):
    await ada.link(thing)
    async with authenticated(server.address, ada.token) as client:
        subscribed = await client.subscribe(TEMPERATURE, id="t")
        await put(server, thing, ("temperature", 21.5), ("other", 1))

        heard = await client.hear()

    assert subscribed == {
        "type": "subscribed",
        "id": "t",
        "resource": TEMPERATURE,
        "cursor": subscribed["cursor"],
    }
    [value] = heard.pop("values")
    assert heard == {"type": "values", "id": "t", "cursor": heard["cursor"]}
    assert value == {
        "thingId": thing.thing.id,
        "datetime": value["datetime"],
        "key": "temperature",
        "value": 21.5,
    }


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_thing_hears_all_of_its_own_writes(server, thing, is_named):
    name = f"/things/{thing.token}"
    async with authenticated(server.address, thing.token) as client:
        subscribed = await client.subscribe(name if is_named else None)
        await put(server, thing, ("a", 1), ("b", "é"))

        heard = await client.hear()

    assert subscribed["resource"] == name
    assert [(one["key"], one["value"]) for one in heard["values"]] == [("a", 1), ("b", "é")]


async def test_a_user_hears_of_their_collections(server, ada):
    async with authenticated(server.address, ada.token) as client:
        await client.subscribe("/classes/me/rooms", id="r")
        await ada.ask("POST", "/v2/classes/me/rooms", {"_id": "hall", "color": "réd"})

        heard = await client.hear()

    assert heard == {
        "type": "object",
        "id": "r",
        "cursor": heard["cursor"],
        "object": {
            "action": "create",
            "collection": "rooms",
            "_id": "hall",
            "object": {"_id": "hall", "color": "réd"},
        },
    }


async def test_subscriptions_on_one_socket_have_their_own_ids(server, thing):
    async with authenticated(server.address, thing.token) as client:
        await client.subscribe(id="one")
        await client.subscribe(id='two"\\')
        await put(server, thing, ("a", 1))

        heard = [await client.hear(), await client.hear()]

    assert {one["id"] for one in heard} == {"one", 'two"\\'}
    assert heard[0]["values"] == heard[1]["values"]


async def test_what_was_missed_comes_first_and_then_what_happens(server, thing):
    async with authenticated(server.address, thing.token) as client:
        cursor = (await client.subscribe())["cursor"]
    for value in range(3):
        await put(server, thing, ("a", value))

    async with authenticated(server.address, thing.token) as client:
        again = await client.subscribe(since=cursor)
        missed = [await client.hear() for _ in range(3)]
        await put(server, thing, ("a", 3))
        live = await client.hear()
    async with authenticated(server.address, thing.token) as client:
        await client.subscribe(since=missed[1]["cursor"])
        rest = [await client.hear(), await client.hear()]

    assert again["cursor"] == cursor
    assert [one["values"][0]["value"] for one in [*missed, live]] == [0, 1, 2, 3]
    assert [one["values"][0]["value"] for one in rest] == [2, 3]


async def test_missed_changes_of_objects_come_again(server, ada):
    async with authenticated(server.address, ada.token) as client:
        cursor = (await client.subscribe("/classes/me/rooms"))["cursor"]
    await ada.ask("POST", "/v2/classes/me/rooms", {"_id": "attic", "color": "grey"})

    async with authenticated(server.address, ada.token) as client:
        await client.subscribe("/classes/me/rooms", since=cursor)
        heard = await client.hear()

    assert heard["object"]["_id"] == "attic"


async def test_a_cursor_of_another_history_tells_of_a_gap(server, thing):
    async with authenticated(server.address, thing.token) as client:
        await client.subscribe(id="s", since="vfffffffffff")

        heard = await client.hear()

    assert (heard["type"], heard["id"]) == ("gap", "s")


@pytest.mark.parametrize("since", ["", "x", "c1", "v", "vg"])
async def test_what_is_no_cursor_is_refused_and_leaves_no_subscription(server, thing, since):
    async with authenticated(server.address, thing.token) as client:
        refused = await client.ask("subscribe", id="s", since=since)
        await client.subscribe(id="s")

    assert (refused["type"], refused["id"], refused["code"]) == ("error", "s", 400)


async def test_an_unsubscribed_id_is_silent_and_free_again(server, thing):
    async with authenticated(server.address, thing.token) as client:
        await client.subscribe(id="s")
        unsubscribed = await client.ask("unsubscribe", id="s")
        await put(server, thing, ("a", 1))
        nothing = await client.ask("ping")
        await client.subscribe(id="s")

    assert unsubscribed == {"type": "unsubscribed", "id": "s"}
    assert nothing == {"type": "pong"}


@pytest.mark.parametrize(
    ("kind", "members", "code"),
    [
        ("subscribe", {}, 400),
        ("subscribe", {"id": 1}, 400),
        ("subscribe", {"id": "x" * 65}, 400),
        ("unsubscribe", {"id": "nobody"}, 404),
        ("authenticate", {"token": "again"}, 409),
        ("dance", {}, 400),
    ],
)
async def test_a_wrong_request_is_answered_and_the_socket_stays(server, thing, kind, members, code):
    async with authenticated(server.address, thing.token) as client:
        refused = await client.ask(kind, **members)
        still_there = await client.ask("ping")

    assert (refused["type"], refused["code"]) == ("error", code)
    assert still_there == {"type": "pong"}


async def test_an_id_may_have_64_characters(server, thing):
    async with authenticated(server.address, thing.token) as client:
        assert (await client.subscribe(id="x" * 64))["id"] == "x" * 64


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"type":1}', "[" * 60_000])
async def test_what_is_no_request_is_refused(server, thing, text):
    async with authenticated(server.address, thing.token) as client:
        await client.socket.send(text)
        refused = await client.hear()

    assert (refused["type"], refused["code"]) == ("error", 400)


async def test_binary_messages_end_the_socket(server, thing):
    async with authenticated(server.address, thing.token) as client:
        await client.socket.send(b"{}")

        assert (await client.end())[0] == 1003


# --- Who may ---


async def test_a_header_authenticates(server, ada):
    headers = {"Authorization": f"Bearer {ada.token}"}
    async with live_socket(server.address, additional_headers=headers) as client:
        assert await client.hear() == {"type": "authenticated"}
        await client.subscribe(TEMPERATURE)


async def test_a_ticket_authenticates_once(server, ada):
    issued = await ada.ask("POST", "/v2/me/tickets")
    ticket = issued.json["ticket"]

    async with live_socket(server.address, query=f"?ticket={ticket}") as client:
        assert await client.hear() == {"type": "authenticated"}
        await client.subscribe(TEMPERATURE)
    async with live_socket(server.address, query=f"?ticket={ticket}") as client:
        refused = await client.hear()
        ended = await client.end()

    assert issued.status == 201
    assert issued.json == {"status": "created", "ticket": ticket, "expiresIn": 30}
    assert refused == {"type": "error", "code": 401, "message": "Invalid token"}
    assert ended[0] == 1008


async def test_a_ticket_authenticates_in_a_message_too(server, ada):
    ticket = (await ada.ask("POST", "/v2/me/tickets")).json["ticket"]

    async with authenticated(server.address, ticket) as client:
        await client.subscribe(TEMPERATURE)


async def test_a_session_token_in_the_address_is_no_ticket(server, ada):
    async with live_socket(server.address, query=f"?ticket={ada.token}") as client:
        assert (await client.hear())["code"] == 401


async def test_an_eleventh_waiting_ticket_is_refused(new_person):
    person = await new_person()

    answers = [(await person.ask("POST", "/v2/me/tickets")).status for _ in range(11)]

    assert answers == [201] * 10 + [429]


@pytest.mark.parametrize("token", ["", "x", "us_" + "x" * 43, "x" * 43, "tk_" + "x" * 43])
async def test_an_unknown_token_ends_the_socket(server, token):
    async with live_socket(server.address) as client:
        refused = await client.ask("authenticate", token=token)
        ended = await client.end()

    assert refused == {"type": "error", "code": 401, "message": "Invalid token"}
    assert ended[0] == 1008


@pytest.mark.parametrize("kind", ["subscribe", "ping", "dance"])
async def test_the_first_message_must_authenticate(server, kind):
    async with live_socket(server.address) as client:
        refused = await client.ask(kind, id="s")
        ended = await client.end()

    assert (refused["type"], refused["code"]) == ("error", 401)
    assert ended == (1008, "Not authenticated")


async def test_foreign_and_unknown_things_are_not_there(server, ada, thing):
    other = await server.new_thing()
    async with authenticated(server.address, thing.token) as client:
        foreign = await client.ask("subscribe", id="s", resource=f"/things/{other.token}")
        nobody = await client.ask("subscribe", id="s", resource=f"/things/{'x' * 43}")
        of_users = await client.ask("subscribe", id="s", resource=TEMPERATURE)
    async with authenticated(server.address, ada.token) as client:
        by_session = await client.ask("subscribe", id="s", resource=f"/things/{other.token}")

    assert foreign == nobody == of_users
    assert foreign["code"] == by_session["code"] == 404


@pytest.mark.parametrize(
    "resource",
    [None, "", "/me/resources/", "/me/resources/a/b", "/me", "/classes/me/", "/classes/you/x"],
)
async def test_a_session_has_no_other_resources(server, ada, resource):
    named = {} if resource is None else {"resource": resource}
    async with authenticated(server.address, ada.token) as client:
        refused = await client.ask("subscribe", id="s", **named)

    assert (refused["id"], refused["code"]) == ("s", 404)


async def test_things_of_others_are_not_heard(server, ada, bob, thing):
    mine = await server.new_thing()
    await bob.link(thing)
    await ada.link(mine)
    async with authenticated(server.address, ada.token) as client:
        await client.subscribe(TEMPERATURE)
        await put(server, thing, ("temperature", 1))
        await put(server, mine, ("temperature", 2))

        heard = await client.hear()

    assert [one["value"] for one in heard["values"]] == [2]


async def test_a_thing_linked_later_is_heard(server, ada, thing):
    async with authenticated(server.address, ada.token) as client:
        await client.subscribe(TEMPERATURE)
        await ada.link(thing)
        heard = asyncio.create_task(client.hear())
        while not heard.done():
            await write(ada, thing, "temperature", 1)

        assert heard.result()["values"][0]["thingId"] == thing.thing.id


# --- How it ends ---


async def test_logging_out_ends_every_subscription_and_the_socket(server, ada):
    async with authenticated(server.address, ada.token) as client:
        await client.subscribe(TEMPERATURE, id="one")
        await client.subscribe("/classes/me/rooms", id="two")
        await ada.ask("DELETE", "/v2/me/sessions/current")

        heard = [await client.hear(), await client.hear()]
        ended = await client.end()

    assert {(one["type"], one["id"], one["code"]) for one in heard} == {
        ("ended", "one", 401),
        ("ended", "two", 401),
    }
    assert "the right to listen has ended" in heard[0]["message"]
    assert ended == (1008, "the right to listen has ended")


async def test_who_has_logged_out_cannot_subscribe_any_more(server, ada):
    async with authenticated(server.address, ada.token) as client:
        await ada.ask("DELETE", "/v2/me/sessions/current")

        refused = await client.ask("subscribe", id="s", resource=TEMPERATURE)
        ended = await client.end()

    assert (refused["code"], ended[0]) == (401, 1008)


async def test_a_closed_socket_leaves_no_subscription_behind(server, ada):
    live = server.platform.live
    before = len(live)
    async with authenticated(server.address, ada.token) as client:
        await client.subscribe(TEMPERATURE, id="one")
        await client.subscribe("/classes/me/rooms", id="two")
        opened = len(live) - before

    async with asyncio.timeout(10):
        while len(live) != before:  # noqa: ASYNC110  # It has no event.
            await asyncio.sleep(0)
    assert opened == 2


# --- Around it ---


async def test_a_plain_request_is_told_to_upgrade(wire):
    got = await wire.ask("GET", "/v2/live")

    assert got.status == 426
    assert got.get("Upgrade") == "websocket"
    assert got.json["message"] == "Upgrade Required"


async def test_two_authorizations_are_refused(server, ada):
    headers = [("Authorization", ada.token), ("Authorization", ada.token)]
    with pytest.raises(InvalidStatus) as refused:
        async with live_socket(server.address, additional_headers=headers):
            pass

    assert refused.value.response.status_code == 400


async def test_compression_is_not_agreed_on(server, thing):
    async with live_socket(server.address, compression="deflate") as client:
        assert "Sec-WebSocket-Extensions" not in client.socket.response.headers
        await client.authenticate(thing.token)
