"""Grants, the mail that accepts them, and what each right allows (`thethings-v2.md` 6.8)."""

from urllib.parse import urlsplit

import pytest

from support.app_calls import grant, grants, stored, write
from support.wire import compact

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRANT = "/v2/me/grant"
UNKNOWN = "A" * 43
GRANTED = b'{"status":"success","message":"granted"}'
READ = {"get": True}
ALL = {"get": True, "post": True, "put": True, "grant": True}


def of(thing, rights=None, resource="temperature"):
    return {resource: {thing.thing.id: READ if rights is None else rights}}


@pytest.fixture
def may_read(thing):
    async def read_by(person):
        got = await person.ask("GET", f"/v2/me/resources/temperature/{thing.thing.id}")
        assert got.status in (200, 404), got.body
        return got.status == 200

    return read_by


@pytest.fixture
def granted_link(mailbox):
    """The path to which the next mail to an address links."""

    async def path(address):
        return urlsplit((await mailbox.letter_to(address)).link).path

    return path


@pytest.fixture
def shared_thing(ada, thing):
    async def linked():
        await ada.link(thing)
        await write(ada, thing, "temperature", 20)
        return thing

    return linked


async def test_a_grant_gives_nothing_before_the_mails_page_accepts_it(
    wire, ada, bob, confirm, shared_thing, granted_link, may_read
):
    thing = await shared_thing()
    await confirm(bob)
    await grant(ada, bob.email, of(thing))
    page = await granted_link(bob.email)
    before = await may_read(bob)
    shown = [await wire.ask(method, page) for method in ("GET", "HEAD", "GET")]
    after_looking = await may_read(bob)

    accepted = await wire.ask("POST", page)

    assert (before, after_looking, await may_read(bob)) == (False, False, True)
    assert [got.status for got in (*shown, accepted)] == [200] * 4
    assert ada.email.encode() in shown[0].body
    assert (await wire.ask("POST", page)).status == 404
    assert (await wire.ask("GET", page)).status == 404


async def test_the_mail_names_who_shares_what_and_no_token(
    mailbox, ada, bob, confirm, shared_thing
):
    thing = await shared_thing()
    await confirm(bob)
    await ada.ask("PUT", f"/v2/me/resources/description/{thing.thing.id}", {"name": "Roof"})

    await grant(ada, bob.email, of(thing, {"get": True, "grant": True}))

    letter = await mailbox.letter_to(bob.email)
    assert ada.email in letter.text
    assert "temperature of Roof: read, pass on" in letter.text
    assert thing.token.encode() not in letter.raw
    assert letter.link.startswith("https://things.example/confirm/grant/")


async def test_the_page_warns_of_an_account_that_anybody_could_have_registered(
    wire, ada, bob, shared_thing, granted_link
):
    thing = await shared_thing()
    confirming = await granted_link(bob.email)
    await grant(ada, bob.email, of(thing))
    page = await granted_link(bob.email)

    unconfirmed = await wire.ask("GET", page)
    await wire.ask("POST", confirming)
    confirmed = await wire.ask("GET", page)

    registered = (await bob.ask("GET", "/v2/me")).json["createdAt"][:10]
    assert f"was registered on {registered}".encode() in unconfirmed.body
    assert b"accept only if you opened it yourself" in unconfirmed.body
    assert b"was registered on" not in confirmed.body


async def test_a_grant_waits_for_an_address_that_nobody_has(
    wire, ada, app, email, shared_thing, granted_link, may_read, new_person, confirm
):
    thing = await shared_thing()
    await grant(ada, email, of(thing))
    assert (await wire.ask("POST", await granted_link(email))).status == 200

    friend = await new_person(email=email)
    unconfirmed = await may_read(friend)
    await confirm(friend)

    assert (unconfirmed, await may_read(friend)) == (False, True)


async def test_a_session_accepts_with_a_confirmed_address_only(
    ada, bob, shared_thing, confirm, may_read
):
    thing = await shared_thing()
    await grant(ada, bob.email, of(thing))
    accept = f"/v2/me/grants/{(await grants(ada))['given'][0]['_id']}/accept"
    unconfirmed = await bob.ask("POST", accept)
    await confirm(bob)

    confirmed = await bob.ask("POST", accept)

    assert unconfirmed.status == 403
    assert unconfirmed.message.startswith("Address not confirmed: open the link in the mail")
    assert (confirmed.status, confirmed.body) == (
        200,
        b'{"status":"success","message":"accepted"}',
    )
    assert await may_read(bob)


async def test_nobody_accepts_for_another(ada, bob, new_person, shared_thing, confirm, may_read):
    thing = await shared_thing()
    stranger = await confirm(await new_person())
    await grant(ada, bob.email, of(thing))
    accept = f"/v2/me/grants/{(await grants(ada))['given'][0]['_id']}/accept"
    await confirm(ada)

    foreign = [await person.ask("POST", accept) for person in (stranger, ada)]
    unknown = await stranger.ask("POST", f"/v2/me/grants/{'0' * 30}/accept")

    assert [got.status for got in foreign] == [404, 404]
    assert foreign[0].without_date == unknown.without_date
    assert not await may_read(stranger)


ALLOWED_BY = {
    "get": {"read", "read all", "public description"},
    "post": {"write", "public description"},
    "put": {"public description"},
    "grant": {"public description"},
    "description get": {"read description", "read descriptions", "public description"},
    "description put": {"write description", "public description"},
    "description post": {"public description"},
}


@pytest.mark.parametrize("right", ALLOWED_BY)
async def test_a_right_allows_its_calls_and_no_others(ada, bob, share, shared_thing, right):
    thing = await shared_thing()
    place = f"/v2/me/resources/description/{thing.thing.id}"
    await ada.ask("PUT", place, {"name": "Roof"})
    *resource, name = right.split()
    await share(ada, bob, of(thing, {name: True}, *resource or ["temperature"]))
    value = {"values": [{"value": 1}]}
    resource_place = f"/v2/me/resources/temperature/{thing.thing.id}"
    calls = {
        "read": ("GET", resource_place, None),
        "read all": ("GET", "/v2/me/resources/temperature", None),
        "write": ("POST", resource_place, value),
        "read description": ("GET", place, None),
        "read descriptions": ("GET", "/v2/me/resources/description", None),
        "write description": ("PUT", place, {"name": "Cellar"}),
        "public description": (
            "GET",
            f"/v2/me/resources/publicDescription/{thing.thing.id}",
            None,
        ),
        "delete": ("DELETE", resource_place, None),
        "another resource": ("GET", f"/v2/me/resources/humidity/{thing.thing.id}", None),
        "pass on": ("PUT", GRANT, {"email": "carl@example.org", "permissions": of(thing)}),
        "settings": ("GET", f"/v2/me/resources/$settings/{thing.thing.id}", None),
    }

    answers = {what: await bob.ask(*call) for what, call in calls.items()}

    refused = {what for what, got in answers.items() if got.status in (403, 404)}
    empty = {what for what, got in answers.items() if got.body == b"[]"}
    assert calls.keys() - refused - empty == ALLOWED_BY[right]
    assert all(got.status in (200, 201, 403, 404) for got in answers.values())


async def test_who_holds_grant_passes_on_what_they_hold(
    ada, bob, new_person, share, shared_thing, may_read
):
    thing = await shared_thing()
    carl = await new_person()
    await share(ada, bob, of(thing, {"get": True, "grant": True}))

    more = await bob.ask(
        "PUT", GRANT, {"email": carl.email, "permissions": of(thing, {"post": True})}
    )
    other = await bob.ask(
        "PUT", GRANT, {"email": carl.email, "permissions": of(thing, READ, "humidity")}
    )
    await share(bob, carl, of(thing))

    assert (more.status, more.message) == (403, "Forbidden: temperature: you lack post")
    assert other.status == 403
    assert await may_read(carl)


async def test_who_lacks_grant_passes_nothing_on(ada, bob, share, shared_thing):
    thing = await shared_thing()
    await share(ada, bob, of(thing, {"get": True, "post": True, "put": True}))

    got = await bob.ask("PUT", GRANT, {"email": "carl@example.org", "permissions": of(thing)})

    assert (got.status, got.message) == (403, "Forbidden: temperature: you lack grant")


@pytest.mark.parametrize("end", ["owner revokes", "holder gives back", "owner withdraws", "unlink"])
async def test_what_is_taken_back_is_taken_from_everybody_it_was_passed_on_to(
    ada, bob, new_person, share, shared_thing, may_read, end
):
    thing = await shared_thing()
    carl = await new_person()
    rights = {"get": True, "grant": True}
    await share(ada, bob, of(thing, rights))
    await share(bob, carl, of(thing))
    assert await may_read(carl)
    first = (await grants(ada))["given"][0]["_id"]
    taken = {"email": bob.email, "permissions": of(thing, {"get": False, "grant": False})}
    person, *call = {
        "owner revokes": (ada, "DELETE", f"/v2/me/grants/{first}"),
        "holder gives back": (bob, "DELETE", f"/v2/me/grants/{first}"),
        "owner withdraws": (ada, "PUT", GRANT, taken),
        "unlink": (ada, "DELETE", f"/v2/me/things/{thing.thing.id}"),
    }[end]

    assert (await person.ask(*call)).status == 200

    assert not await may_read(bob)
    assert not await may_read(carl)
    assert (await grants(carl)) == {"given": [], "received": []}
    assert (await grants(bob)) == {"given": [], "received": []}


async def test_unlinking_ends_grants_for_good(ada, bob, share, shared_thing, may_read):
    thing = await shared_thing()
    await share(ada, bob, of(thing))
    await ada.ask("DELETE", f"/v2/me/things/{thing.thing.id}")

    await ada.link(thing)

    assert not await may_read(bob)
    assert (await grants(ada))["given"] == []


async def test_false_takes_back_one_right_and_leaves_the_others(ada, bob, share, shared_thing):
    thing = await shared_thing()
    await share(ada, bob, of(thing, {"get": True, "post": True}))

    await grant(ada, bob.email, of(thing, {"post": False}))

    assert [one["permissions"] for one in (await grants(bob))["received"]] == [of(thing)]
    assert await stored(bob, thing, "temperature") == [20]
    place = f"/v2/me/resources/temperature/{thing.thing.id}"
    refused = await bob.ask("POST", place, {"values": [{"value": 1}]})
    assert (refused.status, refused.message) == (403, "Forbidden: temperature: post is missing")


@pytest.mark.parametrize("spelling", [str, str.upper, " {} ".format], ids=["as", "upper", "blank"])
async def test_nobody_grants_to_themselves(ada, shared_thing, spelling):
    thing = await shared_thing()

    got = await ada.ask("PUT", GRANT, {"email": spelling(ada.email), "permissions": of(thing, ALL)})

    assert got.status == 400
    assert (await grants(ada))["given"] == []


async def test_somebody_elses_thing_is_like_one_that_does_not_exist(ada, bob, shared_thing):
    thing = await shared_thing()
    email = "carl@example.org"

    foreign = await bob.ask("PUT", GRANT, {"email": email, "permissions": of(thing)})
    unknown = await bob.ask(
        "PUT", GRANT, {"email": email, "permissions": {"temperature": {UNKNOWN: READ}}}
    )

    assert foreign.status == 404
    assert foreign.without_date == unknown.without_date


WRONG_PERMISSIONS = [
    None,
    [],
    {},
    "temperature",
    {"temperature": {}},
    {"temperature": []},
    {"temperature": {UNKNOWN: {}}},
    {"temperature": {UNKNOWN: True}},
    {"temperature": {UNKNOWN: {"get": 1}}},
    {"temperature": {UNKNOWN: {"get": "true"}}},
    {"temperature": {UNKNOWN: {"admin": True}}},
    {"temperature": {UNKNOWN: {"__proto__": True}}},
    {"$settings": {UNKNOWN: READ}},
    {"*": {UNKNOWN: READ}},
    {"a b": {UNKNOWN: READ}},
    {"": {UNKNOWN: READ}},
    {"<script>": {UNKNOWN: READ}},
    {"x" * 65: {UNKNOWN: READ}},
]


@pytest.mark.parametrize("permissions", WRONG_PERMISSIONS, ids=lambda given: str(given)[:40])
async def test_permissions_of_another_shape_are_refused(ada, permissions):
    got = await ada.ask("PUT", GRANT, {"email": "f@example.org", "permissions": permissions})

    assert (got.status, got.json["status"]) == (400, "error")


@pytest.mark.parametrize(
    "email",
    [
        "",
        "x",
        "a@b@c.org",
        "a b@example.org",
        "f@example.org\r\nBcc: all@example.org",
        "<f@example.org>",
        "f@example.org,g@example.org",
        "f@exa\u0000mple.org",
        7,
        None,
        ["f@example.org"],
        f"{'x' * 300}@example.org",
    ],
    ids=ascii,
)
async def test_what_is_no_address_is_refused(mailbox, ada, shared_thing, email):
    thing = await shared_thing()
    before = len(mailbox.letters)

    got = await ada.ask("PUT", GRANT, {"email": email, "permissions": of(thing)})

    assert got.status == 400
    assert all("all@example.org" not in letter.to for letter in mailbox.letters[before:])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", {"email": "f@example.org"}], ids=str)
async def test_a_body_without_its_members_is_refused(ada, body):
    assert (await ada.ask("PUT", GRANT, body)).status == 400


async def test_the_answer_is_the_same_whether_or_not_the_address_has_an_account(
    ada, bob, email, shared_thing
):
    thing = await shared_thing()

    known = await ada.ask("PUT", GRANT, {"email": bob.email, "permissions": of(thing)})
    unknown = await ada.ask("PUT", GRANT, {"email": email, "permissions": of(thing)})

    assert (known.status, known.body) == (200, GRANTED)
    assert known.without_date == unknown.without_date
    given = (await grants(ada))["given"]
    assert [one["accepted"] for one in given] == [False, False]
    assert len({tuple(sorted(one)) for one in given}) == 1


async def test_granting_the_same_again_sends_no_second_mail(mailbox, ada, email, shared_thing):
    thing = await shared_thing()
    for _ in range(2):
        await grant(ada, email, of(thing))

    # Of what comes after the second grant, the first mail is that of the third.
    await grant(ada, email, of(thing, {"post": True}))

    await mailbox.letter_to(email)
    second = await mailbox.letter_to(email)
    assert "write" in second.text
    assert len(mailbox.letters_to(email)) == 2
    assert len((await grants(ada))["given"]) == 2


async def test_both_sides_list_a_grant(ada, bob, share, shared_thing):
    thing = await shared_thing()
    await share(ada, bob, of(thing, {"get": True, "grant": True}))

    given, received = (await grants(ada))["given"], (await grants(bob))["received"]

    assert given == received
    assert len(given) == 1
    assert compact(given[0]["permissions"]) == compact(of(thing, {"get": True, "grant": True}))
    assert {**given[0], "_id": "", "createdAt": "", "permissions": {}} == {
        "_id": "",
        "from": ada.email,
        "email": bob.email,
        "accepted": True,
        "permissions": {},
        "createdAt": "",
    }


async def test_an_unconfirmed_address_sees_no_grants(ada, bob, shared_thing):
    thing = await shared_thing()

    await grant(ada, bob.email, of(thing))

    assert await grants(bob) == {"given": [], "received": []}


@pytest.mark.parametrize("grant_id", ["x", "0" * 30, "%20", "a%2Fb", "x" * 500])
async def test_what_is_no_grant_is_not_found(ada, grant_id):
    answers = [
        await ada.ask("DELETE", f"/v2/me/grants/{grant_id}"),
        await ada.ask("POST", f"/v2/me/grants/{grant_id}/accept"),
    ]

    assert {got.status for got in answers} <= {400, 403, 404}


async def test_a_third_user_ends_no_grant(ada, bob, new_person, share, shared_thing, may_read):
    thing = await shared_thing()
    carl = await new_person()
    await share(ada, bob, of(thing))
    grant_id = (await grants(ada))["given"][0]["_id"]

    foreign = await carl.ask("DELETE", f"/v2/me/grants/{grant_id}")
    unknown = await carl.ask("DELETE", f"/v2/me/grants/{'0' * 30}")

    assert foreign.status == 404
    assert foreign.without_date == unknown.without_date
    assert await may_read(bob)


async def test_an_address_of_another_app_receives_nothing(
    server, ada, new_person, shared_thing, open_mail, may_read, confirm
):
    thing = await shared_thing()
    elsewhere = await confirm(await new_person(app=(await server.new_app()).id))
    await grant(ada, elsewhere.email, of(thing))

    await open_mail(elsewhere.email)

    assert not await may_read(elsewhere)
    assert (await grants(elsewhere))["received"] == []
