"""What every store promises about what users may do."""

import pytest

from thingstead.features.links.model import LinkedThing
from thingstead.features.sharing.model import Reach, Rights, SharedThing
from thingstead.features.users.model import LinkPurpose, MailLink
from thingstead.kernel.ids import UserId, digest

GET, POST, GRANT = Rights.GET, Rights.POST, Rights.GRANT


@pytest.fixture
async def ada(make):
    return await make.user("ada")


@pytest.fixture
async def bob(make):
    return await make.user("bob")


async def test_a_user_without_things_may_do_nothing(core, ada):
    assert await core.reach.reach(ada.id) == Reach({}, {})


async def test_a_user_who_is_gone_may_do_nothing(core):
    assert await core.reach.reach(UserId("nobody")) == Reach({}, {})


async def test_an_owner_may_do_everything_with_all_their_epochs(core, make, ada, bob):
    await make.owned("one", ada)
    await core.links.unlink(ada.id, "one", at_ms=4_000)
    await core.links.link(ada.id, "one", at_ms=5_000, max_things=9)
    await make.owned("two", bob)

    reach = await core.reach.reach(ada.id)

    thing = await core.things.thing("one")
    assert thing.epochs == (0, 1)
    assert reach == Reach({"one": LinkedThing(thing, 5_000)}, {})


async def test_a_grant_gives_its_rights_on_the_owners_epochs(core, make, ada, bob):
    await make.owned("one", bob)
    await core.links.unlink(bob.id, "one", at_ms=3_500)
    for at_ms in (4_000, 5_000):
        await core.links.link(ada.id, "one", at_ms=at_ms, max_things=9)
        if at_ms == 4_000:
            await core.links.unlink(ada.id, "one", at_ms=4_500)
    await make.share(ada, bob, ("one", "door", GET), ("one", "lamp", GET | POST))

    reach = await core.reach.reach(bob.id)

    thing = await core.things.thing("one")
    assert thing.epochs == (1, 2)
    assert reach == Reach({}, {"one": SharedThing(thing, {"door": GET, "lamp": GET | POST})})


async def test_rights_of_several_grants_add_up(core, make, ada, bob):
    eve = await make.user("eve")
    await make.owned("one", ada)
    await make.share(ada, eve, ("one", "door", GET | POST | GRANT))
    await make.share(ada, bob, ("one", "door", GET))
    await make.share(eve, bob, ("one", "door", POST))

    assert (await core.reach.reach(bob.id)).rights("one", "door") == GET | POST


async def test_a_grant_that_was_not_accepted_gives_nothing(core, make, ada, bob):
    await make.owned("one", ada)
    await make.grant(ada, "bob", ("one", "door", GET))

    assert await core.reach.reach(bob.id) == Reach({}, {})


async def test_a_grant_gives_nothing_before_the_address_is_confirmed(core, make, ada):
    await make.owned("one", ada)
    grant = await make.grant(ada, "carl", ("one", "door", GET))
    await core.grants.accept_by_link(digest(f"link {grant.id}"), at_ms=6_000)
    carl = await make.user("carl", is_confirmed=False)
    before = await core.reach.reach(carl.id)
    link = MailLink(digest("c"), LinkPurpose.CONFIRM, carl.id, 9_000)
    await core.mail_links.add_mail_link(link, make.letter(), at_ms=7_000)

    await core.mail_links.confirm_address(digest("c"), at_ms=8_000)

    assert before.shared == {}
    assert (await core.reach.reach(carl.id)).rights("one", "door") is GET


async def test_ones_own_thing_does_not_stand_among_the_shared(core, make, ada, bob):
    await make.owned("one", ada)
    await make.share(ada, bob, ("one", "door", GET | GRANT))
    await make.share(bob, ada, ("one", "door", GET))

    reach = await core.reach.reach(ada.id)

    assert set(reach.owned) == {"one"}
    assert reach.shared == {}


async def test_what_the_next_owner_has_is_not_reached_by_earlier_grants(core, make, ada, bob):
    eve = await make.user("eve")
    await make.owned("one", ada)
    await make.share(ada, bob, ("one", "door", GET))

    await core.links.unlink(ada.id, "one", at_ms=7_000)
    await core.links.link(eve.id, "one", at_ms=8_000, max_things=9)

    for user in (ada, bob):
        assert await core.reach.reach(user.id) == Reach({}, {})
