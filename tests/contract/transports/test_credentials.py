"""Who may come in: whoever is unknown is refused, on every road, and all of them alike."""

import pytest
import pytest_asyncio

from contract.transports.conftest import accepted
from contract.transports.driver import Can, Kind, Refused, only_ears
from contract.transports.roads import each_road

pytestmark = pytest.mark.asyncio(loop_scope="module")
UNKNOWN = "Unknown-" + "x" * 35
MALFORMED = "no.token" + "." * 35
SHORT = "short.token"


@pytest_asyncio.fixture(loop_scope="module")
async def things_tokens(server, thing):
    """Tokens that open nothing, by what is wrong with them; `thing` has another by now."""
    platform = server.platform
    deleted = await server.new_thing()
    await platform.things.delete(deleted.thing.id)
    await platform.things.rotate_token(thing.thing.id, overlap_ms=0)
    return {
        "unknown": UNKNOWN,
        "malformed": MALFORMED,
        "short": SHORT,
        "deleted": deleted.token,
        "rotated": thing.token,
    }


@pytest_asyncio.fixture(loop_scope="module")
async def users_tokens(people):
    """Session tokens that open nothing."""
    leaver = await people.new()
    await leaver.expect(200, "DELETE", "/v2/me/sessions/current")
    return {"unknown": f"us_{UNKNOWN}", "logged out": leaver.token}


def refused_alike(refusals, road):
    """Fail unless all were refused, as unknown, in the same words, and without their token."""
    for name, (token, refused) in refusals.items():
        assert isinstance(refused, Refused), name
        assert token.encode() not in refused.said, name
    assert {refused.kind for _, refused in refusals.values()} == {road.kind(Kind.UNKNOWN)}
    assert len({refused.text for _, refused in refusals.values()}) == 1, refusals


async def asked(road, server, tokens, ask):
    """What each of the tokens was answered."""
    answers = {}
    for name, token in tokens.items():
        async with road.open(server, token) as driver:
            answers[name] = (token, await ask(driver))
    return answers


@each_road(Can.WRITE)
async def test_the_right_token_writes(road, server, thing, stored):
    async with road.open(server, thing.token) as driver:
        accepted(await driver.write([{"key": "t", "value": 21.5}]))

    assert await stored(thing) == {"t": [21.5]}


@each_road(Can.WRITE)
async def test_a_wrong_token_writes_nothing(road, server, thing, things_tokens, stored):
    answers = await asked(
        road, server, things_tokens, lambda driver: driver.write([{"key": "t", "value": 1}])
    )

    refused_alike(answers, road)
    new = await server.platform.things.rotate_token(thing.thing.id)
    assert await stored(thing, token=new) == {}


@each_road(Can.READ)
async def test_a_wrong_token_reads_nothing(road, server, tell, thing, things_tokens):
    new = await server.platform.things.rotate_token(thing.thing.id)
    await tell(thing, token=new, t=1)

    answers = await asked(road, server, things_tokens, lambda driver: driver.read("t", 1))

    refused_alike(answers, road)


@each_road(Can.HEAR)
async def test_a_wrong_token_hears_nothing(road, server, things_tokens):
    answers = await asked(road, server, things_tokens, lambda driver: driver.hear())

    refused_alike(answers, road)


@each_road(Can.HEAR_RESOURCE)
async def test_a_wrong_session_hears_nothing(road, server, users_tokens):
    answers = await asked(road, server, users_tokens, lambda driver: driver.hear("t"))

    refused_alike(answers, road)


@each_road(Can.HEAR_RESOURCE)
@pytest.mark.parametrize("token", [MALFORMED, f"us_{MALFORMED}"])
async def test_what_can_be_no_session_hears_nothing(road, server, token):
    # MQTT has one place for tokens of all kinds, and calls this one no thing's.
    async with road.open(server, token) as driver:
        refused = await driver.hear("t")

    assert refused.kind is road.kind(Kind.UNKNOWN)
    assert token.encode() not in refused.said


@each_road(Can.WRITE)
async def test_a_session_is_no_things_token_to_write_with(
    road, server, people, user, thing, stored
):
    await people.link(user, thing)
    async with road.open(server, user.token) as driver:
        refused = await driver.write([{"key": "t", "value": 1}])

    assert refused.kind is road.kind(Kind.UNKNOWN)
    assert user.token.encode() not in refused.said
    assert await stored(thing) == {}


@each_road(Can.HEAR)
async def test_a_session_is_no_things_token_to_hear_with(road, server, user):
    async with road.open(server, user.token) as driver:
        refused = await driver.hear()

    assert refused.kind is road.kind(Kind.UNKNOWN)
    assert user.token.encode() not in refused.said


@each_road(Can.HEAR_RESOURCE)
async def test_a_things_token_is_no_session(road, server, thing):
    async with road.open(server, thing.token) as driver:
        refused = await driver.hear("t")

    assert refused.kind is road.kind(Kind.UNKNOWN)
    assert thing.token.encode() not in refused.said


@each_road(Can.HEAR)
async def test_a_token_within_its_overlap_still_works(road, server, thing, tell):
    new = await server.platform.things.rotate_token(thing.thing.id)
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        await tell(thing, token=new, t=1)

        assert b'"value":1' in await ears.next()
