"""Writes on every road: stored when acknowledged, as a whole or not at all, within limits."""

from datetime import UTC, datetime, timedelta

import pytest

from contract.transports.conftest import accepted
from contract.transports.driver import Can, Kind, Refused
from contract.transports.roads import each_road

pytestmark = pytest.mark.asyncio(loop_scope="module")
VALUES, BYTES, KEYS = 5, 128, 4
NAN = float("nan")


@pytest.fixture(scope="module")
def limits():
    # Small enough for the smallest datagrams.
    return {"values_per_write": VALUES, "value_bytes": BYTES, "keys_per_thing": KEYS}


def ago(**span):
    return (datetime.now(UTC) - timedelta(**span)).strftime("%Y%m%d%H%M%S")


def one(value=1, key="t", **members):
    return [{"key": key, "value": value, **members}]


@each_road(Can.WRITE)
async def test_what_is_acknowledged_can_be_read_at_once(road, server, thing, stored):
    async with road.open(server, thing.token) as driver:
        for number in range(5):
            accepted(
                await driver.write([{"key": "n", "value": number}, {"key": "t", "value": "x"}])
            )

            assert await stored(thing) == {
                "n": list(range(number, -1, -1)),
                "t": ["x"] * (number + 1),
            }


WRONG = {
    "key": {"key": "no key", "value": 1},
    "date": {"key": "c", "value": 1, "datetime": "yesterday"},
    "position": {"key": "c", "value": 1, "geo": {"lat": 91, "long": 0}},
    "magic": {"key": "$nothing", "value": 1},
}


@each_road(Can.WRITE)
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("place", [0, 2])
async def test_one_wrong_member_of_three_and_none_is_stored(
    road, server, thing, stored, wrong, place
):
    members = [{"key": "a", "value": 1}, {"key": "$settings.name", "value": "x"}]
    members.insert(place, WRONG[wrong])
    async with road.open(server, thing.token) as driver:
        refused = await driver.write(members)

    assert isinstance(refused, Refused)
    assert refused.kind is road.kind(Kind.INVALID)
    if Can.SAY_WHY in road.can:
        assert f"values[{place}]" in refused.text
    assert await stored(thing) == {}
    assert await server.platform.magic.read(thing.thing, "$settings.name") is None


# Of each limit: what is just within it, what is just beyond it, and how the refusal names it.
BOUNDS = {
    "values": (one() * VALUES, one() * (VALUES + 1), f"more than {VALUES} in one request"),
    "key": (one(key="k" * 64), one(key="k" * 65), "1 to 64 letters"),
    "empty key": (one(key="k"), one(key=""), "1 to 64 letters"),
    "value": (
        one("x" * (BYTES - 2)),
        one("x" * (BYTES - 1)),
        f"larger than {BYTES} bytes of JSON",
    ),
    "past": (
        one(datetime=ago(days=3_653, hours=-1)),
        one(datetime=ago(days=3_653, minutes=1)),
        "more than 3653 days ago",
    ),
    "future": (
        one(datetime=ago(hours=-23)),
        one(datetime=ago(hours=-25)),
        "more than 24 hours ahead",
    ),
    "whole number": (one(2**63 - 1), one(2**63), "values[0].value"),
    "keys": (
        [{"key": f"k{number}", "value": 1} for number in range(KEYS)],
        [{"key": f"k{number}", "value": 1} for number in range(KEYS + 1)],
        f"a thing may have {KEYS} different keys",
    ),
}
# A datagram that is no JSON document of values is bytes, which are stored as such (docs/udp.md).
BYTES_OVER_UDP = {"whole number"}


@each_road(Can.WRITE)
@pytest.mark.parametrize("bound", BOUNDS)
async def test_what_is_within_a_limit_is_stored(road, server, thing, stored, bound):
    within, _, _ = BOUNDS[bound]
    async with road.open(server, thing.token) as driver:
        accepted(await driver.write(within))

    values = [value for values in (await stored(thing)).values() for value in values]
    assert values == [member["value"] for member in within]


@each_road(Can.WRITE)
@pytest.mark.parametrize("bound", BOUNDS)
async def test_what_is_beyond_a_limit_is_refused_by_its_name(road, server, thing, stored, bound):
    _, beyond, name = BOUNDS[bound]
    async with road.open(server, thing.token) as driver:
        refused = await driver.write(beyond)

    if road.name == "udp" and bound in BYTES_OVER_UDP:
        assert refused is None or refused.kind is Kind.INVALID
        return
    assert isinstance(refused, Refused)
    assert refused.kind is road.kind(Kind.INVALID)
    if Can.SAY_WHY in road.can:
        assert name in refused.text
    assert thing.token.encode() not in refused.said
    assert await stored(thing) == {}


@each_road(Can.WRITE)
async def test_what_is_no_number_in_json_is_no_value(road, server, thing, stored):
    async with road.open(server, thing.token) as driver:
        refused = await driver.write(one(NAN))

    if road.name == "udp":
        assert refused is None
        [(key, [value])] = (await stored(thing)).items()
        assert (key, bytes.fromhex(value)) == ("data", b'{"values":[{"key":"t","value":NaN}]}')
        return
    assert isinstance(refused, Refused)
    assert refused.kind is road.kind(Kind.INVALID)
    if Can.SAY_WHY in road.can:
        assert refused.text.startswith("Invalid JSON")
    assert await stored(thing) == {}


@each_road(Can.WRITE)
async def test_no_values_at_all_are_no_write(road, server, thing, stored):
    async with road.open(server, thing.token) as driver:
        refused = await driver.write([])

    # A provider's message may hold nothing to store (docs/callbacks.md).
    assert (refused is None) == (road.name == "callback")
    if refused is not None and Can.SAY_WHY in road.can:
        assert "values: empty" in refused.text
    assert await stored(thing) == {}


@each_road(Can.WRITE)
async def test_a_road_goes_on_after_a_refusal(road, server, thing, stored):
    async with road.open(server, thing.token) as driver:
        assert isinstance(await driver.write(one(key="no key")), Refused)

        accepted(await driver.write(one(2)))

    assert await stored(thing) == {"t": [2]}


@each_road(Can.WRITE)
async def test_the_same_value_of_the_same_time_is_stored_once(road, server, thing, stored):
    again = one(3, datetime=ago(days=1))
    async with road.open(server, thing.token) as driver:
        for _ in range(2):
            accepted(await driver.write(again))

    assert await stored(thing) == {"t": [3]}
