"""Linking things to users (`thethings-v2.md` 6.3 to 6.5)."""

import asyncio
from urllib.parse import quote, urlencode

import pytest

from support.app_calls import login, stored, write
from support.in_process import served
from support.wire import ask, connect

pytestmark = pytest.mark.asyncio(loop_scope="module")

THINGS = "/v2/me/things"
PASSWORD = "a long sentence"  # Of the people whom the conftest registers.
UNKNOWN = "A" * 43
NOT_FOUND = b'{"status":"error","code":404,"message":"Thing not found"}'
UNLINKED = b'{"status":"success","message":"unlinked"}'


def linked(thing):
    text = f'{{"status":"success","message":"linked","thingId":"{thing.thing.id}"}}'
    return text.encode()


async def owned(person):
    got = await person.ask("GET", THINGS)
    assert got.status == 200, got.body
    return [one["_id"] for one in got.json]


@pytest.mark.parametrize("time", ["first", "second"])
async def test_a_thing_is_linked_by_its_token_and_once_is_like_twice(ada, thing, time):
    if time == "second":
        await ada.link(thing)

    got = await ada.ask("POST", THINGS, {"thingToken": thing.token})

    assert (got.status, got.body) == (200, linked(thing))
    assert await owned(ada) == [thing.thing.id]


async def test_a_form_links_as_json_does(ada, thing):
    form = urlencode({"thingToken": thing.token}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    got = await ada.ask("POST", THINGS, form, **kind)

    assert (got.status, got.body) == (200, linked(thing))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'"text"',
        b'{"thingToken":null}',
        b'{"thingToken":7}',
        b'{"thingId":["x"]}',
        b'{"linkId":"7 chars"}',
        b'{"linkId":""}',
    ],
    ids=str,
)
async def test_a_body_that_names_no_thing_is_refused(ada, body):
    got = await ada.ask("POST", THINGS, body)

    assert (got.status, got.json["status"]) == (400, "error")


@pytest.mark.parametrize("text", ["x", "", " ", "é", UNKNOWN, "A" * 44, "a/b", "'; DROP TABLE t"])
@pytest.mark.parametrize("member", ["thingToken", "thingId"])
async def test_what_is_no_thing_is_not_found(ada, member, text):
    got = await ada.ask("POST", THINGS, {member: text})

    assert (got.status, got.body) == (404, NOT_FOUND)


@pytest.mark.parametrize("call", ["token", "id as token", "id"])
async def test_somebody_elses_thing_answers_byte_for_byte_like_an_unknown_one(
    ada, bob, thing, call
):
    await ada.link(thing)
    member = "thingId" if call == "id" else "thingToken"
    text = thing.token if call == "token" else thing.thing.id

    foreign = await bob.ask("POST", THINGS, {member: text})
    unknown = await bob.ask("POST", THINGS, {member: UNKNOWN})

    assert foreign.status == 404
    assert foreign.without_date == unknown.without_date
    assert await owned(bob) == []


@pytest.mark.parametrize("member", ["thingId", "thingToken"])
async def test_an_id_links_for_the_last_owner_only(ada, bob, thing, member):
    body = {member: thing.thing.id}
    never_owned = await ada.ask("POST", THINGS, body)
    await ada.link(thing)
    await ada.ask("DELETE", f"{THINGS}/{thing.thing.id}")
    of_another = await bob.ask("POST", THINGS, body)

    again = await ada.ask("POST", THINGS, body)

    assert (never_owned.status, of_another.status) == (404, 404)
    assert (again.status, again.body) == (200, linked(thing))


async def test_an_id_links_no_more_once_somebody_else_owned_the_thing(ada, bob, thing):
    for person in (ada, bob):
        await person.link(thing)
        await person.ask("DELETE", f"{THINGS}/{thing.thing.id}")

    assert (await ada.ask("POST", THINGS, {"thingId": thing.thing.id})).status == 404
    assert (await bob.ask("POST", THINGS, {"thingId": thing.thing.id})).status == 200


async def test_a_token_is_no_id(ada, thing):
    got = await ada.ask("POST", THINGS, {"thingId": thing.token})

    assert (got.status, got.body) == (404, NOT_FOUND)


async def test_of_fifty_users_who_want_one_thing_exactly_one_gets_it(server, new_person, thing):
    people = [await new_person() for _ in range(50)]

    answers = await asyncio.gather(
        *(
            ask(
                server.address,
                "POST",
                THINGS,
                {"thingToken": thing.token},
                {"Authorization": person.token},
            )
            for person in people
        )
    )

    assert sorted(got.status for got in answers) == [200, *[404] * 49]
    owners = [person for person in people if await owned(person)]
    assert [got.status for got in answers].index(200) == people.index(owners[0])
    assert len(owners) == 1


async def test_users_of_two_apps_do_not_own_one_thing(server, new_person, ada, thing):
    other = await new_person(app=(await server.new_app()).id)
    await ada.link(thing)

    assert (await other.ask("POST", THINGS, {"thingToken": thing.token})).status == 404


@pytest.mark.parametrize("name", ["id", "token"])
@pytest.mark.parametrize("place", ["path", "query", "body", "form"])
async def test_a_thing_is_unlinked_by_any_of_its_names_anywhere(ada, thing, name, place):
    await ada.link(thing)
    text = thing.thing.id if name == "id" else thing.token
    member = "thingId" if name == "id" else "thingToken"
    calls = {
        "path": (f"{THINGS}/{text}", None, {}),
        "query": (f"{THINGS}?thingId={text}", None, {}),
        "body": (THINGS, {member: text}, {}),
        "form": (
            THINGS,
            urlencode({member: text}).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        ),
    }
    target, body, headers = calls[place]

    got = await ada.ask("DELETE", target, body, **headers)
    again = await ada.ask("DELETE", target, body, **headers)

    assert (got.status, got.body) == (200, UNLINKED)
    assert (again.status, again.body) == (404, NOT_FOUND)
    assert await owned(ada) == []


@pytest.mark.parametrize("body", [None, b"", b"  ", b"{}", b'{"linkId":"12345678"}', b"{", b"[]"])
async def test_unlinking_needs_a_name(ada, thing, body):
    await ada.link(thing)

    got = await ada.ask("DELETE", THINGS, body)

    assert got.status == 400
    assert await owned(ada) == [thing.thing.id]


@pytest.mark.parametrize("suffix", ["", "/everything"])
async def test_neither_a_stranger_nor_who_was_granted_all_rights_ends_a_link(
    ada, bob, share, thing, suffix
):
    await ada.link(thing)
    await write(ada, thing, "temperature", 20)
    rights = {"get": True, "post": True, "put": True, "grant": True}
    await share(ada, bob, {"temperature": {thing.thing.id: rights}})
    unknown = await bob.ask("DELETE", f"{THINGS}/{UNKNOWN}{suffix}")

    granted = await bob.ask("DELETE", f"{THINGS}/{thing.thing.id}{suffix}")

    assert granted.status == 404
    assert granted.without_date == unknown.without_date
    assert await owned(ada) == [thing.thing.id]


@pytest.mark.parametrize("text", ["%20", "a%2Fb", "x" * 300, "%00", "..%2f", quote("Ω")])
@pytest.mark.parametrize("suffix", ["", "/everything"])
async def test_what_is_no_id_unlinks_and_deletes_nothing(ada, text, suffix):
    got = await ada.ask("DELETE", f"{THINGS}/{text}{suffix}")

    assert got.status in (400, 404)
    assert got.json["status"] == "error"


async def left_by(ada, thing):
    """Have a thing write all that it can while it is hers, and leave it."""
    await ada.link(thing)
    await write(ada, thing, "temperature", "of ada")
    await write(ada, thing, "key-of-ada", 1)
    await write(ada, thing, "$geo", [2.15, 41.39])
    await write(ada, thing, "$settings", {"name": "of ada"})
    put = await ada.ask("PUT", f"/v2/me/resources/description/{thing.thing.id}", {"name": "of ada"})
    assert put.status == 200
    assert (await ada.ask("DELETE", f"{THINGS}/{thing.thing.id}")).status == 200


def readings(thing, by):
    """All calls that could show what a thing left; `by` is whose calls they are."""
    if by == "thing":
        base = f"/v2/things/{thing.token}"
        return [
            f"{base}/resources/temperature?limit=100",
            f"{base}/resources/key-of-ada",
            f"{base}/resources/$geo",
            f"{base}/resources/$settings",
            f"{base}/resources/$settings.name",
            f"{base}/resources",
            f"{base}/all_resources?limit=100",
            f"{base}/resources/description",
        ]
    base = "/v2/me/resources"
    return [
        base,
        f"{base}/temperature?limit=100",
        f"{base}/key-of-ada",
        f"{base}/temperature/{thing.thing.id}?limit=100",
        f"{base}/key-of-ada/{thing.thing.id}",
        f"{base}/$geo/{thing.thing.id}",
        f"{base}/$settings/{thing.thing.id}",
        f"{base}/description",
        f"{base}/description/{thing.thing.id}",
        f"{base}/publicDescription",
        f"{base}/publicDescription/{thing.thing.id}",
        "/v2/me/things",
        "/v2/me/export",
    ]


@pytest.mark.parametrize("by", ["thing", "user"])
async def test_the_next_owner_sees_nothing_of_the_one_before(ada, bob, thing, by):
    await left_by(ada, thing)
    await bob.link(thing)

    for target in readings(thing, by):
        got = await bob.ask("GET", target)
        assert b"ada" not in got.body, target
        assert b"41.39" not in got.body, target


async def test_the_next_owner_deletes_nothing_of_the_one_before(ada, bob, thing):
    await left_by(ada, thing)
    await bob.link(thing)
    await write(bob, thing, "temperature", "of bob")

    got = await bob.ask("DELETE", f"/v2/me/resources/temperature/{thing.thing.id}")
    await bob.ask("DELETE", f"{THINGS}/{thing.thing.id}")
    await ada.link(thing)

    assert got.json["deleted"] == 1
    assert await stored(ada, thing, "temperature") == ["of ada"]


async def test_who_links_a_thing_again_has_its_history_back(ada, bob, thing):
    await left_by(ada, thing)
    await bob.link(thing)
    await write(bob, thing, "temperature", "of bob")
    await bob.ask("DELETE", f"{THINGS}/{thing.thing.id}")

    await ada.link(thing)

    assert await stored(ada, thing, "temperature") == ["of ada"]
    described = await ada.ask("GET", f"/v2/me/resources/description/{thing.thing.id}")
    assert described.json[0]["value"] == {"name": "of ada"}


async def test_the_first_owner_has_what_was_written_before(ada, thing):
    await write(ada, thing, "temperature", "before")

    await ada.link(thing)

    assert await stored(ada, thing, "temperature") == ["before"]


async def test_what_is_written_while_nobody_owns_it_is_the_next_owners(ada, bob, thing):
    await left_by(ada, thing)
    await write(ada, thing, "temperature", "of nobody")

    await bob.link(thing)

    assert await stored(bob, thing, "temperature") == ["of nobody"]
    assert await stored(bob, thing, "temperature", by_token=True) == ["of nobody"]


async def test_a_deleted_thing_is_gone_with_its_token_and_noted_for_purging(server, ada, thing):
    await ada.link(thing)
    await write(ada, thing, "temperature", 20)

    got = await ada.ask("DELETE", f"{THINGS}/{thing.thing.id}/everything")

    assert (got.status, got.body) == (200, b'{"status":"success","message":"deleted"}')
    assert (await ada.ask("GET", f"/v2/things/{thing.token}/resources")).status == 404
    assert (await ada.ask("POST", THINGS, {"thingToken": thing.token})).status == 404
    assert (await ada.ask("POST", THINGS, {"thingId": thing.thing.id})).status == 404
    assert (await ada.ask("GET", "/v2/me/resources/temperature")).status == 404
    assert await owned(ada) == []
    pending = await server.platform.administration.core.purge_list.pending(100)
    assert thing.thing.id in pending


async def test_things_are_listed_with_what_their_owner_may_know(ada, thing):
    await ada.link(thing)
    undescribed = (await ada.ask("GET", THINGS)).json[0]
    await ada.ask("PUT", f"/v2/me/resources/description/{thing.thing.id}", {"name": "Kitchen"})

    described = (await ada.ask("GET", THINGS)).json[0]

    assert list(described) == ["_id", "productId", "description", "linkedAt", "createdAt"]
    assert undescribed["description"] is None
    assert described["description"] == {"name": "Kitchen"}
    assert described["productId"] == thing.thing.product_id


async def test_no_answer_to_a_user_contains_a_things_token(ada, thing):
    await ada.link(thing)
    await write(ada, thing, "temperature", 20)

    answers = [
        await ada.ask("GET", target)
        for target in (THINGS, "/v2/me/resources", "/v2/me/resources/temperature", "/v2/me/export")
    ]
    logged_in = await login(ada, PASSWORD)

    assert thing.thing.id in logged_in.json["roles"]["temperature"]
    for got in (*answers, logged_in):
        assert got.status == 200
        assert thing.thing.id.encode() in got.body
        assert thing.token.encode() not in got.body


@pytest.mark.parametrize("by", ["thing", "user"])
async def test_history_may_follow_the_thing(tmp_path, new_person, by):
    async with (
        served(tmp_path / "folder", history_follows_thing=True) as server,
        connect(server.address) as wire,
    ):
        app = (await server.new_app()).id
        ada, bob = [await new_person(app=app, wire=wire) for _ in range(2)]
        thing = await server.new_thing()
        await left_by(ada, thing)
        await bob.link(thing)

        assert await stored(bob, thing, "temperature", by_token=by == "thing") == ["of ada"]
        described = await bob.ask("GET", readings(thing, by)[-1 if by == "thing" else 8])
        assert described.json[0]["value"] == {"name": "of ada"}
