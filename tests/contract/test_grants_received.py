"""How much of what waits for an address every store of grants lists."""

import pytest

from thingstead.features.sharing.model import MOST_ENTRIES_RECEIVED, Rights

GET = Rights.GET


@pytest.fixture
async def ada(make):
    ada = await make.user("ada")
    await make.owned("one", ada)
    return ada


@pytest.fixture
async def bob(make):
    return await make.user("bob")


def entries(number):
    return [("one", f"resource {count}", GET) for count in range(number)]


async def test_as_many_entries_wait_in_a_list_as_may_and_the_oldest_beyond_are_left_out(
    core, make, ada, bob
):
    eve = await make.user("eve")
    await make.owned("two", eve)
    oldest = await make.grant(ada, "bob", *entries(MOST_ENTRIES_RECEIVED - 1))
    newer = await make.grant(eve, "bob", ("two", "door", GET), at_ms=5_001)
    at_the_limit = await core.grants.received(bob.id, at_ms=6_000)
    newest = await make.grant(eve, "bob", ("two", "door", GET), at_ms=5_002)

    beyond = await core.grants.received(bob.id, at_ms=6_000)

    assert [one.id for one in at_the_limit] == [newer.id, oldest.id]
    assert [one.id for one in beyond] == [newest.id, newer.id]


async def test_what_was_accepted_is_listed_before_what_waits(core, make, ada, bob):
    eve = await make.user("eve")
    await make.owned("two", eve)
    accepted = await make.share(ada, bob, *entries(MOST_ENTRIES_RECEIVED))
    await make.grant(eve, "bob", ("two", "door", GET), at_ms=5_001)

    assert [one.id for one in await core.grants.received(bob.id, at_ms=6_000)] == [accepted.id]
