"""What every store of grants promises."""

import asyncio
from dataclasses import replace

import pytest

from thingstead.features.sharing.model import Entry, GrantOutcome, Rights
from thingstead.kernel.ids import GrantId, digest

GET, POST, GRANT = Rights.GET, Rights.POST, Rights.GRANT


@pytest.fixture
async def ada(make):
    """The owner of `one` and `two`."""
    ada = await make.user("ada")
    for name in ("one", "two"):
        await make.owned(name, ada)
    return ada


@pytest.fixture
async def bob(make):
    return await make.user("bob")


@pytest.fixture
async def eve(make):
    return await make.user("eve")


async def rights(core, user, thing="one", resource="door"):
    return (await core.reach.reach(user.id)).rights(thing, resource)


async def test_a_new_grant_waits_and_gives_nothing(core, make, ada, bob):
    grant = await make.grant(ada, "bob", ("two", "lamp", GET), ("one", "door", GET | POST))

    ordered = replace(grant, entries=(Entry("one", "door", GET | POST), Entry("two", "lamp", GET)))
    assert await core.grants.given(ada.id, at_ms=6_000) == [ordered]
    assert await core.grants.received(bob.id, at_ms=6_000) == [ordered]
    assert await rights(core, bob) is Rights.NONE
    assert len(await core.outbox.due(at_ms=5_000, limit=9)) == 1


async def test_grants_come_newest_first(core, make, ada, bob):
    made = [
        await make.grant(ada, "bob", ("one", "door", GET), at_ms=at_ms)
        for at_ms in (5_000, 7_000, 6_000)
    ]
    expected = [made[1], made[2], made[0]]

    assert await core.grants.given(ada.id, at_ms=8_000) == expected
    assert await core.grants.received(bob.id, at_ms=8_000) == expected


async def test_grants_of_others_are_not_listed(core, make, ada, bob, eve):
    await make.grant(ada, "bob", ("one", "door", GET))

    assert await core.grants.given(bob.id, at_ms=6_000) == []
    assert await core.grants.received(eve.id, at_ms=6_000) == []
    assert await core.grants.received(ada.id, at_ms=6_000) == []


async def test_an_address_of_another_app_receives_nothing(core, make, ada):
    stranger = await make.user("zoe", "other")
    grant = await make.grant(ada, "zoe", ("one", "door", GET))

    assert await core.grants.received(stranger.id, at_ms=6_000) == []
    assert not await core.grants.accept(stranger.id, grant.id, at_ms=6_000)
    assert await core.grants.accept_by_link(digest(f"link {grant.id}"), at_ms=6_000)
    assert await rights(core, stranger) is Rights.NONE


async def test_an_unaccepted_grant_is_gone_when_it_has_expired(core, make, ada, bob):
    grant = await make.grant(ada, "bob", ("one", "door", GET), at_ms=5_000, lasts_ms=1_000)
    link = digest(f"link {grant.id}")

    assert len(await core.grants.given(ada.id, at_ms=5_999)) == 1
    assert await core.grants.given(ada.id, at_ms=6_000) == []
    assert await core.grants.received(bob.id, at_ms=6_000) == []
    assert await core.grants.grant_of_link(link, at_ms=6_000) is None
    assert await core.grants.accept_by_link(link, at_ms=6_000) is None
    assert not await core.grants.accept(bob.id, grant.id, at_ms=6_000)


async def test_an_accepted_grant_does_not_expire(core, make, ada, bob):
    await make.share(ada, bob, ("one", "door", GET))

    assert len(await core.grants.given(ada.id, at_ms=10**9)) == 1
    assert len(await core.grants.received(bob.id, at_ms=10**9)) == 1
    assert await rights(core, bob) is GET


async def test_as_many_grants_as_may_be_are_added_and_one_more_is_not(core, make, ada):
    grant = await make.grant(ada, "bob", ("one", "door", GET))

    added = []
    for number, most in (("a", 2), ("b", 2)):
        one_more = replace(grant, id=GrantId(number))
        added.append(
            await core.grants.add_grant(
                one_more, digest(number), make.letter(), max_grants=most, max_entries=9
            )
        )

    assert added == [GrantOutcome.ADDED, GrantOutcome.TOO_MANY_GRANTS]
    assert len(await core.grants.given(ada.id, at_ms=6_000)) == 2
    assert len(await core.outbox.letters(limit=9)) == 2


async def test_as_many_entries_as_may_be_are_granted_altogether_and_one_more_is_not(
    core, make, ada, bob
):
    first = await make.share(ada, bob, ("one", "door", GET), ("one", "lamp", GET))
    added = []
    for number in ("a", "b"):
        one_more = replace(
            first, id=GrantId(number), email="eve@example.org", entries=(Entry("one", number, GET),)
        )
        added.append(
            await core.grants.add_grant(
                one_more, digest(number), make.letter(), max_grants=9, max_entries=3
            )
        )

    assert added == [GrantOutcome.ADDED, GrantOutcome.TOO_MANY_ENTRIES]
    assert [len(grant.entries) for grant in await core.grants.given(ada.id, at_ms=6_000)] == [2, 1]
    assert len(await core.outbox.letters(limit=9)) == 2


async def test_what_was_granted_to_one_address_is_listed_alone(core, make, ada, bob):
    to_bob = await make.grant(ada, "bob", ("one", "door", GET))
    await make.grant(ada, "eve", ("one", "door", GET))

    assert await core.grants.given(ada.id, at_ms=6_000, email="bob@example.org") == [to_bob]
    assert await core.grants.given(bob.id, at_ms=6_000, email="bob@example.org") == []


async def test_rights_are_taken_where_many_people_share_one_place(core, make, ada, bob, eve):
    first = await make.share(ada, bob, ("one", "door", GET | POST | GRANT), ("one", "lamp", GET))
    await make.share(ada, eve, ("one", "door", POST))
    await make.share(bob, eve, ("one", "door", GET | POST))

    await core.grants.revoke(
        ada.id, first.id, [Entry("one", "door", GET), Entry("one", "door", POST)]
    )

    assert await rights(core, bob) is GRANT
    assert await rights(core, eve) is POST
    assert await rights(core, bob, resource="lamp") is GET


async def test_expired_grants_do_not_count(core, make, ada):
    await make.grant(ada, "bob", ("one", "door", GET), at_ms=5_000, lasts_ms=1_000)
    late = replace(
        await make.grant(ada, "eve", ("one", "door", GET)), id=GrantId("late"), created_at_ms=6_000
    )

    outcome = await core.grants.add_grant(
        late, digest("late"), make.letter(), max_grants=2, max_entries=2
    )

    assert outcome is GrantOutcome.ADDED


async def test_nobody_grants_what_they_do_not_hold(core, make, ada, bob):
    await make.grant(bob, "eve", ("one", "door", GET))

    assert await core.grants.given(bob.id, at_ms=6_000) == []
    assert await core.outbox.letters(limit=9) == []


async def test_entries_that_may_not_be_passed_on_are_left_out(core, make, ada, bob):
    await make.share(ada, bob, ("one", "door", GET | GRANT), ("one", "lamp", GET))

    await make.grant(
        bob,
        "eve",
        ("one", "door", GET | POST | GRANT),
        ("one", "lamp", GET),
        ("one", "other", GET),
        ("two", "door", GET),
    )

    (given,) = await core.grants.given(bob.id, at_ms=6_000)
    assert given.entries == (Entry("one", "door", GET | GRANT),)


async def test_what_two_grants_give_together_may_be_passed_on(core, make, ada, bob):
    await make.share(ada, bob, ("one", "door", GET))
    await make.share(ada, bob, ("one", "door", GRANT))

    await make.grant(bob, "eve", ("one", "door", GET))

    (given,) = await core.grants.given(bob.id, at_ms=6_000)
    assert given.entries == (Entry("one", "door", GET),)


async def test_a_waiting_grant_cannot_be_passed_on(core, make, ada, bob):
    await make.grant(ada, "bob", ("one", "door", GET | GRANT))

    await make.grant(bob, "eve", ("one", "door", GET))

    assert await core.grants.given(bob.id, at_ms=6_000) == []


async def test_an_unconfirmed_account_passes_nothing_on(core, make, ada):
    grant = await make.grant(ada, "carl", ("one", "door", GET | GRANT))
    await core.grants.accept_by_link(digest(f"link {grant.id}"), at_ms=6_000)
    carl = await make.user("carl", is_confirmed=False)

    await make.grant(carl, "eve", ("one", "door", GET))

    assert await core.grants.given(carl.id, at_ms=6_000) == []


async def test_a_mails_link_shows_its_grant_and_changes_nothing(core, make, ada, bob):
    grant = await make.grant(ada, "bob", ("one", "door", GET))
    link = digest(f"link {grant.id}")

    assert await core.grants.grant_of_link(link, at_ms=6_000) == grant
    assert await core.grants.grant_of_link(link, at_ms=6_000) == grant
    assert await rights(core, bob) is Rights.NONE


async def test_an_unknown_link_has_no_grant(core, make, ada):
    await make.share(ada, await make.user("bob"), ("one", "door", GET))

    assert await core.grants.grant_of_link(digest("wrong"), at_ms=6_000) is None
    assert await core.grants.accept_by_link(digest("wrong"), at_ms=6_000) is None


async def test_a_link_accepts_once_and_confirms_the_account(core, make, ada):
    carl = await make.user("carl", is_confirmed=False)
    grant = await make.grant(ada, "carl", ("one", "door", GET))
    link = digest(f"link {grant.id}")

    accepted = await core.grants.accept_by_link(link, at_ms=6_000)

    assert accepted == replace(grant, accepted_at_ms=6_000)
    assert (await core.accounts.account_of(carl.id)).user.confirmed_at_ms == 6_000
    assert await rights(core, carl) is GET
    assert await core.grants.accept_by_link(link, at_ms=6_000) is None
    assert await core.grants.grant_of_link(link, at_ms=6_000) is None


async def test_a_link_keeps_the_time_of_an_earlier_confirmation(core, make, ada, bob):
    grant = await make.grant(ada, "bob", ("one", "door", GET))

    await core.grants.accept_by_link(digest(f"link {grant.id}"), at_ms=6_000)

    assert (await core.accounts.account_of(bob.id)).user == bob


async def test_of_many_concurrent_acceptances_one_succeeds(core, make, ada, bob):
    grant = await make.grant(ada, "bob", ("one", "door", GET))
    link = digest(f"link {grant.id}")

    accepted = await asyncio.gather(
        *(core.grants.accept_by_link(link, at_ms=6_000) for _ in range(10)),
        *(core.grants.accept(bob.id, grant.id, at_ms=6_000) for _ in range(10)),
    )

    assert len([one for one in accepted if one]) == 1


async def test_a_grant_for_an_address_nobody_has_waits_for_its_account(core, make, ada):
    grant = await make.grant(ada, "dora", ("one", "door", GET))
    await core.grants.accept_by_link(digest(f"link {grant.id}"), at_ms=6_000)

    dora = await make.user("dora")

    assert await rights(core, dora) is GET


async def test_an_unconfirmed_address_neither_sees_nor_accepts_nor_declines(core, make, ada):
    carl = await make.user("carl", is_confirmed=False)
    grant = await make.grant(ada, "carl", ("one", "door", GET))

    assert await core.grants.received(carl.id, at_ms=6_000) == []
    assert not await core.grants.accept(carl.id, grant.id, at_ms=6_000)
    assert not await core.grants.revoke(carl.id, grant.id)
    assert await core.grants.given(ada.id, at_ms=6_000) == [grant]


async def test_only_the_receiver_accepts(core, make, ada, bob, eve):
    grant = await make.grant(ada, "bob", ("one", "door", GET))

    for user in (ada, eve):
        assert not await core.grants.accept(user.id, grant.id, at_ms=6_000)
    assert await core.grants.accept(bob.id, grant.id, at_ms=6_000)
    assert not await core.grants.accept(bob.id, grant.id, at_ms=6_000)
    assert await core.grants.grant_of_link(digest(f"link {grant.id}"), at_ms=6_000) is None


@pytest.mark.parametrize("by", ["ada", "bob"])
async def test_giver_and_receiver_end_a_grant(core, make, ada, bob, by):
    grant = await make.share(ada, bob, ("one", "door", GET))

    assert await core.grants.revoke(by, grant.id)

    assert await rights(core, bob) is Rights.NONE
    assert await core.grants.given(ada.id, at_ms=6_000) == []
    assert not await core.grants.revoke(by, grant.id)


async def test_nobody_else_ends_a_grant(core, make, ada, bob, eve):
    grant = await make.share(ada, bob, ("one", "door", GET))

    assert not await core.grants.revoke(eve.id, grant.id)
    assert await rights(core, bob) is GET


async def test_some_rights_of_a_grant_are_revoked(core, make, ada, bob):
    grant = await make.share(
        ada, bob, ("one", "door", GET | POST), ("one", "lamp", GET), ("two", "door", GET)
    )

    revoked = await core.grants.revoke(
        ada.id,
        grant.id,
        [Entry("one", "door", POST), Entry("one", "lamp", GET | POST), Entry("one", "x", GET)],
    )

    assert revoked
    (left,) = await core.grants.given(ada.id, at_ms=6_000)
    assert left.entries == (Entry("one", "door", GET), Entry("two", "door", GET))


async def test_a_grant_whose_last_right_is_revoked_is_gone(core, make, ada, bob):
    grant = await make.share(ada, bob, ("one", "door", GET))

    await core.grants.revoke(ada.id, grant.id, [Entry("one", "door", GET)])

    assert await core.grants.received(bob.id, at_ms=6_000) == []
    assert not await core.grants.revoke(ada.id, grant.id)


async def test_revoking_takes_away_what_was_passed_on(core, make, ada, bob, eve):
    first = await make.share(ada, bob, ("one", "door", GET | GRANT))
    await make.share(bob, eve, ("one", "door", GET | GRANT))
    waiting = await make.grant(eve, "dora", ("one", "door", GET))

    await core.grants.revoke(ada.id, first.id)

    assert await rights(core, eve) is Rights.NONE
    assert await core.grants.given(bob.id, at_ms=6_000) == []
    assert await core.grants.grant_of_link(digest(f"link {waiting.id}"), at_ms=6_000) is None


async def test_revoking_one_right_takes_away_that_right_only(core, make, ada, bob, eve):
    first = await make.share(ada, bob, ("one", "door", GET | POST | GRANT))
    await make.share(bob, eve, ("one", "door", GET | POST))

    await core.grants.revoke(ada.id, first.id, [Entry("one", "door", POST)])

    assert await rights(core, eve) is GET


async def test_what_somebody_else_still_supports_stays(core, make, ada, bob, eve):
    first = await make.share(ada, bob, ("one", "door", GET | GRANT))
    await make.share(bob, eve, ("one", "door", GET))
    await make.share(ada, eve, ("one", "door", GET))

    await core.grants.revoke(ada.id, first.id)

    assert await rights(core, eve) is GET


async def test_a_circle_of_grants_does_not_hold_itself(core, make, ada, bob, eve):
    first = await make.share(ada, bob, ("one", "door", GET | GRANT))
    await make.share(bob, eve, ("one", "door", GET | GRANT))
    await make.share(eve, bob, ("one", "door", GET | GRANT))

    await core.grants.revoke(ada.id, first.id)

    assert await rights(core, bob) is Rights.NONE
    assert await rights(core, eve) is Rights.NONE


async def test_a_waiting_grant_of_who_still_holds_the_right_stays(core, make, ada, bob):
    waiting = await make.grant(ada, "eve", ("one", "door", GET))
    other = await make.share(ada, bob, ("one", "door", GET))

    await core.grants.revoke(ada.id, other.id)

    assert await core.grants.given(ada.id, at_ms=6_000) == [waiting]


async def test_many_entries_are_settled_at_once(core, make, ada, bob, eve):
    entries = [("one", f"resource {number:03d}", GET | GRANT) for number in range(600)]
    first = await make.share(ada, bob, *entries)
    await make.share(bob, eve, *entries)

    await core.grants.revoke(ada.id, first.id)

    assert (await core.reach.reach(eve.id)).shared == {}
