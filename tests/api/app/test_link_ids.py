"""Linking by a text that a thing and an app both present (`thethings-v2.md` 6.3)."""

import itertools
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from support.in_process import served
from support.wire import connect

pytestmark = pytest.mark.asyncio(loop_scope="module")

THINGS = "/v2/me/things"
WAITS_FOR_THE_APP = b'{"status":"success","message":"waiting for the app"}'
WAITS_FOR_THE_THING = b'{"status":"success","message":"waiting for the thing"}'
THING_LINKED = b'{"status":"success","message":"linked"}'
_numbers = itertools.count(1)


@pytest.fixture
def link_id():
    return f"SERIAL-{next(_numbers):04}"


@pytest_asyncio.fixture(loop_scope="module")
async def new_thing(server, app):
    """Make things of a product that takes link ids of the app of ada and bob."""
    product = await server.platform.products.create("takes link ids")
    await server.platform.links.set_link_app(product.id, app)

    async def new():
        return await server.platform.things.create(product.id)

    return new


async def present(wire, thing, link_id):
    return await wire.ask("POST", f"/v2/things/{thing.token}", {"linkId": link_id})


async def claim(person, link_id):
    return await person.ask("POST", THINGS, {"linkId": link_id})


async def owned(person):
    return [one["_id"] for one in (await person.ask("GET", THINGS)).json]


def user_linked(thing):
    text = f'{{"status":"success","message":"linked","thingId":"{thing.thing.id}"}}'
    return text.encode()


async def test_a_thing_that_presents_it_first_waits_for_the_app(wire, ada, new_thing, link_id):
    thing = await new_thing()

    presented = await present(wire, thing, link_id)
    claimed = await claim(ada, link_id)

    assert (presented.status, presented.body) == (200, WAITS_FOR_THE_APP)
    assert (claimed.status, claimed.body) == (200, user_linked(thing))
    assert await owned(ada) == [thing.thing.id]


async def test_a_user_who_presents_it_first_waits_for_the_thing(wire, ada, new_thing, link_id):
    thing = await new_thing()

    claimed = await claim(ada, link_id)
    presented = await present(wire, thing, link_id)

    assert (claimed.status, claimed.body) == (200, WAITS_FOR_THE_THING)
    assert (presented.status, presented.body) == (200, THING_LINKED)
    assert await owned(ada) == [thing.thing.id]


async def test_presenting_it_again_waits_on(wire, ada, new_thing, link_id):
    thing = await new_thing()
    for _ in range(2):
        assert (await present(wire, thing, link_id)).body == WAITS_FOR_THE_APP

    assert (await claim(ada, link_id)).body == user_linked(thing)


async def test_a_product_takes_no_link_ids_until_it_is_told_to(wire, ada, thing, link_id):
    claimed = await claim(ada, link_id)
    presented = await present(wire, thing, link_id)

    assert (claimed.status, claimed.body) == (200, WAITS_FOR_THE_THING)
    assert presented.status == 403
    assert presented.message == "Link ids are switched off"
    assert await owned(ada) == []


async def test_two_users_who_present_one_link_id_get_nothing(wire, ada, bob, new_thing, link_id):
    await claim(ada, link_id)
    await claim(bob, link_id)
    thing = await new_thing()

    presented = await present(wire, thing, link_id)

    assert (presented.status, presented.body) == (200, WAITS_FOR_THE_APP)
    assert (await owned(ada), await owned(bob)) == ([], [])
    assert (await claim(ada, link_id)).body == WAITS_FOR_THE_THING


async def test_of_two_things_that_present_one_link_id_none_is_linked(wire, ada, new_thing, link_id):
    for _ in range(2):
        await present(wire, await new_thing(), link_id)

    claimed = await claim(ada, link_id)

    assert (claimed.status, claimed.body) == (200, WAITS_FOR_THE_THING)
    assert await owned(ada) == []


async def test_a_link_id_of_another_apps_user_never_meets_the_thing(
    server, wire, ada, new_person, new_thing, link_id
):
    stranger = await new_person(app=(await server.new_app()).id)
    thing = await new_thing()
    await claim(stranger, link_id)

    presented = await present(wire, thing, link_id)
    claimed = await claim(ada, link_id)

    assert presented.body == WAITS_FOR_THE_APP
    assert claimed.body == user_linked(thing)
    assert await owned(stranger) == []


async def test_a_thing_that_is_owned_is_not_linked_by_a_link_id(wire, ada, bob, new_thing, link_id):
    thing = await new_thing()
    await ada.link(thing)
    await claim(bob, link_id)

    await present(wire, thing, link_id)

    assert await owned(bob) == []
    assert await owned(ada) == [thing.thing.id]


@pytest.mark.parametrize(
    "link_id", ["", "1234567", "x" * 129, "1234567\u0000", "12345678\n9", " 1234567 "], ids=ascii
)
async def test_what_cannot_be_a_link_id_is_refused_on_both_sides(wire, ada, new_thing, link_id):
    claimed = await claim(ada, link_id)
    presented = await present(wire, await new_thing(), link_id)

    assert (claimed.status, presented.status) == (400, 400)


@pytest.mark.parametrize(
    "body",
    [
        {"linkId": 12345678},
        {"linkId": None},
        {"linkId": ["12345678"]},
        ["linkId"],
        b'{"linkId":"12345678"',
        b'{"linkId":"12345678","linkId":"12345679"}',
    ],
    ids=str,
)
async def test_what_holds_neither_values_nor_a_link_id_is_a_wrong_write(wire, new_thing, body):
    thing = await new_thing()

    got = await wire.ask("POST", f"/v2/things/{thing.token}", body)

    assert (got.status, got.json["status"]) == (400, "error")


async def test_a_write_with_a_link_id_beside_its_values_is_a_write(wire, ada, new_thing, link_id):
    thing = await new_thing()
    body = {"linkId": link_id, "values": [{"key": "temperature", "value": 20}]}

    got = await wire.ask("POST", f"/v2/things/{thing.token}", body)

    assert (got.status, got.body) == (201, b'{"status":"created","message":"created"}')
    assert (await claim(ada, link_id)).body == WAITS_FOR_THE_THING


async def test_a_value_named_like_it_is_a_value(wire, new_thing):
    thing = await new_thing()
    body = {"values": [{"key": "linkId", "value": "12345678"}]}

    assert (await wire.ask("POST", f"/v2/things/{thing.token}", body)).status == 201


async def test_a_thing_may_present_it_by_a_form(wire, ada, new_thing, link_id):
    thing = await new_thing()
    form = urlencode({"linkId": link_id}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    got = await wire.ask("POST", f"/v2/things/{thing.token}", form, headers=kind)

    assert (got.status, got.body) == (200, WAITS_FOR_THE_APP)
    assert (await claim(ada, link_id)).body == user_linked(thing)


async def test_an_unknown_thing_presents_nothing(wire, link_id):
    got = await wire.ask("POST", f"/v2/things/{'A' * 43}", {"linkId": link_id})

    assert (got.status, got.message) == (404, "Thing not found")


@pytest.mark.parametrize("has_lane", [True, False], ids=["lane", "plain"])
async def test_a_thing_whose_token_is_known_presents_it_on_either_way(tmp_path, has_lane):
    async with (
        served(tmp_path / "folder", has_lane=has_lane) as server,
        connect(server.address) as wire,
    ):
        app = await server.new_app()
        await server.platform.links.set_link_app(server.product.id, app.id)
        thing = await server.new_thing()
        values = {"values": [{"key": "k", "value": 1}]}
        # From its second write on, the lane takes what it can of a thing.
        for _ in range(2):
            await wire.ask("POST", f"/v2/things/{thing.token}", values)

        got = await present(wire, thing, "SERIAL-0001")

        assert (got.status, got.body) == (200, WAITS_FOR_THE_APP)
        assert (server.taken_by_lane > 0) == has_lane
