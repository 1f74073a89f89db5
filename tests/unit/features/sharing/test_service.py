"""The rules of sharing: who may grant what, what is mailed, and how a grant comes into force."""

import pytest

from doubles.callers import a_caller, thing_id
from thingstead.features.mail.model import Occasion
from thingstead.features.sharing.errors import (
    AddressNotConfirmedError,
    GrantForbiddenError,
    GrantNotFoundError,
    InvalidGrantError,
    TooManyGrantsError,
)
from thingstead.features.sharing.model import Entry, Rights
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.users.errors import InvalidEmailError, MailLinkNotFoundError
from thingstead.kernel.errors import TooManyRequestsError
from thingstead.kernel.ids import GrantId, digest

ADA = a_caller("ada")
BOB = a_caller("bob")
CARL = a_caller("carl")
TO_CARL = "carl@example.org"
DAY_S = 24 * 3_600


def permissions(number=1, resource="temperature", **rights):
    return {resource: {thing_id(number): rights or {"get": True}}}


async def test_an_owner_grants_a_right(sharing, rig):
    grant = await sharing.grant(ADA, TO_CARL, permissions())

    assert grant.entries == (Entry(thing_id(1), "temperature", Rights.GET),)
    assert (grant.giver_id, grant.giver_email) == ("ada", "ada@example.org")
    assert (grant.app_id, grant.email, grant.accepted_at_ms) == ("app", TO_CARL, None)
    assert grant.expires_at_ms - grant.created_at_ms == 72 * 3_600 * 1_000
    assert rig.store.grants == {grant.id: grant}


async def test_the_mail_names_the_giver_the_rights_and_the_link(sharing, rig):
    await rig.describe(1, {"name": "Roof"})

    grant = await sharing.grant(ADA, TO_CARL, permissions(get=True, grant=True))

    (letter,) = rig.letters()
    link = letter.facts["link"]
    assert (letter.occasion, letter.to) == (Occasion.GRANT, TO_CARL)
    assert letter.facts == {
        "app": "Greenhouse",
        "giver": "ada@example.org",
        "rights": "temperature of Roof: read, pass on",
        "link": link,
    }
    assert link.startswith("/confirm/grant/")
    assert rig.store.links == {digest(link.removeprefix("/confirm/grant/")): grant.id}


async def test_the_mail_names_no_thing_whose_description_the_giver_may_not_read(sharing, rig):
    await rig.describe(1, {"name": "Roof"})

    await sharing.grant(BOB, TO_CARL, permissions())

    (letter,) = rig.letters()
    assert letter.facts["rights"] == f"temperature of {thing_id(1)}: read"


async def test_an_address_is_one_however_it_is_typed(sharing):
    first = await sharing.grant(ADA, " Carl@EXAMPLE.org ", permissions())
    again = await sharing.grant(ADA, TO_CARL, permissions())

    assert first.email == TO_CARL
    assert again is None


@pytest.mark.parametrize("email", ["", "carl", "carl@example.org\r\nBcc: all@example.org"])
async def test_what_is_no_address_gets_nothing(sharing, rig, email):
    with pytest.raises(InvalidEmailError):
        await sharing.grant(ADA, email, permissions())

    assert rig.store.grants == {}


async def test_nobody_grants_to_themselves(sharing):
    with pytest.raises(InvalidGrantError, match="your own address"):
        await sharing.grant(ADA, "ADA@example.org", permissions())


async def test_wrong_permissions_are_refused(sharing):
    with pytest.raises(InvalidGrantError, match="permissions: expected an object"):
        await sharing.grant(ADA, TO_CARL, [])


async def test_a_request_has_as_many_entries_as_it_may(sharing):
    three = {name: {thing_id(1): {"get": True}} for name in ("a", "b", "c")}

    assert await sharing.grant(ADA, TO_CARL, three) is not None
    with pytest.raises(InvalidGrantError, match="more than 3"):
        await sharing.grant(ADA, TO_CARL, three | permissions())


@pytest.mark.parametrize("caller", [ADA, CARL])
@pytest.mark.parametrize("right", [True, False])
async def test_a_thing_out_of_reach_is_answered_like_an_unknown_one(sharing, caller, right):
    with pytest.raises(ThingNotFoundError):
        await sharing.grant(caller, "dora@example.org", permissions(3, get=right))


async def test_a_holder_of_grant_passes_on_what_they_hold(sharing):
    grant = await sharing.grant(BOB, TO_CARL, permissions(get=True, grant=True))

    assert grant.entries == (Entry(thing_id(1), "temperature", Rights.GET | Rights.GRANT),)


@pytest.mark.parametrize(
    ("wish", "lacks"),
    [
        (permissions(post=True), "temperature: you lack post$"),
        (permissions(get=True, put=True), "temperature: you lack put$"),
        (permissions(resource="humidity"), "humidity: you lack grant$"),
        (permissions(resource="pressure"), "pressure: you lack get, grant$"),
    ],
)
async def test_nobody_passes_on_what_they_lack(sharing, rig, wish, lacks):
    with pytest.raises(GrantForbiddenError, match=lacks):
        await sharing.grant(BOB, TO_CARL, wish)

    assert rig.store.grants == {}


async def test_one_forbidden_entry_keeps_all_others_back(sharing, rig):
    with pytest.raises(GrantForbiddenError):
        await sharing.grant(BOB, TO_CARL, permissions() | permissions(resource="pressure"))

    assert rig.store.grants == {}


async def test_nothing_is_granted_beyond_what_the_app_reaches(sharing):
    narrow = a_caller("ada", resources=["humidity"])

    await sharing.grant(narrow, TO_CARL, permissions(resource="humidity"))
    await sharing.grant(narrow, TO_CARL, permissions(resource="description"))
    with pytest.raises(GrantForbiddenError, match="temperature: the app does not reach it"):
        await sharing.grant(narrow, TO_CARL, permissions())


async def test_granting_again_sends_no_further_mail(sharing, rig):
    first = await sharing.grant(ADA, TO_CARL, permissions())
    waiting = await sharing.grant(ADA, TO_CARL, permissions())
    await sharing.accept(CARL, first.id)
    accepted = await sharing.grant(ADA, TO_CARL, permissions())

    assert (waiting, accepted) == (None, None)
    assert len(rig.store.letters) == 1


async def test_only_what_is_new_is_granted(sharing):
    await sharing.grant(ADA, TO_CARL, permissions())
    grant = await sharing.grant(ADA, TO_CARL, permissions(get=True, post=True))
    nothing = await sharing.grant(ADA, TO_CARL, permissions(get=True, post=True))

    assert grant.entries == (Entry(thing_id(1), "temperature", Rights.POST),)
    assert nothing is None


@pytest.mark.parametrize(
    ("first", "second", "added"),
    [
        ({"get": True}, {"grant": True}, Rights.GET | Rights.GRANT),
        ({"get": True, "grant": True}, {"post": True}, Rights.GET | Rights.POST | Rights.GRANT),
        ({"get": True}, {"grant": True, "get": False}, Rights.GRANT),
        ({"get": True, "grant": True}, {"post": True, "grant": False}, Rights.POST),
    ],
)
async def test_the_right_to_pass_on_comes_with_what_it_is_good_for(sharing, first, second, added):
    await sharing.grant(ADA, TO_CARL, permissions(**first))

    grant = await sharing.grant(ADA, TO_CARL, permissions(**second))

    assert grant.entries == (Entry(thing_id(1), "temperature", added),)


async def test_the_answer_is_what_the_store_has_kept(sharing, rig):
    rig.store.leaves_out = Rights.POST

    grant = await sharing.grant(ADA, TO_CARL, permissions(get=True, post=True))

    assert grant == rig.store.grants[grant.id]
    assert grant.entries == (Entry(thing_id(1), "temperature", Rights.GET),)


async def test_a_grant_of_which_nothing_was_kept_is_forbidden_and_costs_no_mail(sharing, rig):
    await sharing.grant(BOB, "dora@example.org", permissions())
    rig.store.leaves_out = Rights.ALL

    for _ in range(4):
        with pytest.raises(GrantForbiddenError, match="you lack grant"):
            await sharing.grant(BOB, TO_CARL, permissions())
    assert len(rig.store.letters) == 1


async def test_a_grant_that_expired_can_be_given_again(sharing, rig):
    await sharing.grant(ADA, TO_CARL, permissions())
    rig.clock.advance(3 * DAY_S)

    assert await sharing.grant(ADA, TO_CARL, permissions()) is not None


async def test_what_another_address_was_granted_does_not_count(sharing):
    await sharing.grant(ADA, "dora@example.org", permissions())

    assert await sharing.grant(ADA, TO_CARL, permissions()) is not None


async def test_false_withdraws_what_was_granted_before(sharing, rig):
    grant = await sharing.grant(ADA, TO_CARL, permissions(get=True, post=True))
    await sharing.accept(CARL, grant.id)
    rig.told.clear()

    answer = await sharing.grant(ADA, TO_CARL, permissions(post=False))

    assert answer is None
    assert rig.store.grants[grant.id].entries == (Entry(thing_id(1), "temperature", Rights.GET),)
    assert rig.told == ["carl"]


async def test_withdrawing_concerns_that_address_thing_and_resource_only(sharing, rig):
    both = permissions() | permissions(resource="humidity")
    carls = await sharing.grant(ADA, TO_CARL, both)
    doras = await sharing.grant(ADA, "dora@example.org", both)

    await sharing.grant(ADA, TO_CARL, permissions(get=False))
    await sharing.grant(ADA, TO_CARL, permissions(2, get=False))

    assert [one.resource for one in rig.store.grants[carls.id].entries] == ["humidity"]
    assert rig.store.grants[doras.id] == doras


async def test_withdrawing_needs_no_right_any_more(sharing, rig):
    grant = await sharing.grant(BOB, TO_CARL, permissions())
    rig.reach_store.of_user["bob"].shared[thing_id(1)].rights["temperature"] = Rights.GET

    await sharing.grant(BOB, TO_CARL, permissions(get=False))

    assert grant.id not in rig.store.grants


async def test_one_call_grants_and_withdraws(sharing, rig):
    first = await sharing.grant(ADA, TO_CARL, permissions())

    second = await sharing.grant(ADA, TO_CARL, permissions(get=False, post=True))

    assert first.id not in rig.store.grants
    assert second.entries == (Entry(thing_id(1), "temperature", Rights.POST),)


async def test_what_is_revoked_meanwhile_is_no_change(sharing, rig):
    await sharing.grant(ADA, TO_CARL, permissions())
    rig.told.clear()
    rig.store.somebody_is_faster = True

    assert await sharing.grant(ADA, TO_CARL, permissions(get=False)) is None
    assert rig.told == []


async def test_mails_to_one_address_are_limited_by_the_day(sharing, rig):
    await sharing.grant(ADA, TO_CARL, permissions())
    await sharing.grant(ADA, TO_CARL, permissions(resource="a"))

    with pytest.raises(TooManyRequestsError, match="2 new grants to one address") as refused:
        await sharing.grant(ADA, TO_CARL, permissions(resource="b"))

    assert refused.value.retry_after_s > 3_600
    assert len(rig.store.letters) == 2
    assert await sharing.grant(ADA, "dora@example.org", permissions()) is not None


async def test_mails_of_one_giver_are_limited_by_the_hour(sharing):
    for name in ("dora", "emil", "fred"):
        await sharing.grant(ADA, f"{name}@example.org", permissions())

    with pytest.raises(TooManyRequestsError, match="3 new grants in an hour"):
        await sharing.grant(ADA, TO_CARL, permissions())
    assert await sharing.grant(BOB, TO_CARL, permissions()) is not None


async def test_a_refused_call_withdraws_nothing(sharing, rig):
    grant = await sharing.grant(ADA, TO_CARL, permissions())
    await sharing.grant(ADA, TO_CARL, permissions(resource="a"))

    with pytest.raises(TooManyRequestsError):
        await sharing.grant(ADA, TO_CARL, permissions(get=False) | permissions(resource="b"))

    assert rig.store.grants[grant.id] == grant


async def test_a_user_gives_as_many_grants_as_they_may_and_no_more(sharing, rig):
    for number in range(4):
        await sharing.grant(ADA, f"friend{number}@example.org", permissions())
        rig.clock.advance(3_600)

    with pytest.raises(TooManyGrantsError, match="4"):
        await sharing.grant(ADA, TO_CARL, permissions())
    assert len(rig.store.letters) == 4


async def test_a_user_gives_as_many_entries_in_all_grants_as_they_may_and_no_more(sharing, rig):
    three = {resource: {thing_id(1): {"get": True}} for resource in "abc"}
    await sharing.grant(ADA, "dora@example.org", three)
    await sharing.grant(ADA, "emil@example.org", three)
    rig.clock.advance(3_600)

    with pytest.raises(TooManyGrantsError, match="6 entries"):
        await sharing.grant(ADA, TO_CARL, permissions())
    assert len(rig.store.letters) == 2
    assert await sharing.grant(BOB, TO_CARL, permissions()) is not None


async def test_a_grant_that_was_one_too_many_cost_no_mail(sharing, rig):
    for number in range(4):
        await sharing.grant(ADA, f"friend{number}@example.org", permissions())
        rig.clock.advance(3_600)

    for _ in range(4):
        with pytest.raises(TooManyGrantsError):
            await sharing.grant(ADA, TO_CARL, permissions())


async def test_grants_are_listed_on_both_sides(sharing):
    grant = await sharing.grant(ADA, TO_CARL, permissions())

    assert await sharing.given(ADA) == [grant]
    assert await sharing.received(CARL) == [grant]
    assert await sharing.given(CARL) == await sharing.received(ADA) == []


async def test_an_address_that_is_not_confirmed_learns_of_nothing(sharing):
    grant = await sharing.grant(ADA, TO_CARL, permissions())
    squatter = a_caller("carl", is_confirmed=False)

    assert await sharing.received(squatter) == []
    with pytest.raises(AddressNotConfirmedError, match="open the link in the mail"):
        await sharing.accept(squatter, grant.id)


async def test_a_receiver_accepts(sharing, rig):
    grant = await sharing.grant(ADA, TO_CARL, permissions())

    await sharing.accept(CARL, grant.id)

    assert rig.store.grants[grant.id].accepted_at_ms == rig.clock.now_ms()
    assert rig.told == ["carl"]


@pytest.mark.parametrize("caller", [ADA, BOB])
async def test_nobody_else_accepts(sharing, caller):
    grant = await sharing.grant(ADA, TO_CARL, permissions())

    with pytest.raises(GrantNotFoundError):
        await sharing.accept(caller, grant.id)


@pytest.mark.parametrize("caller", [ADA, CARL])
async def test_giver_and_receiver_revoke(sharing, rig, caller):
    grant = await sharing.grant(ADA, TO_CARL, permissions())

    await sharing.revoke(caller, grant.id)

    assert rig.store.grants == {}
    assert rig.told == ["carl"]


@pytest.mark.parametrize("caller", [ADA, BOB])
async def test_a_grant_that_is_not_theirs_is_not_found(sharing, caller):
    with pytest.raises(GrantNotFoundError):
        await sharing.revoke(caller, GrantId("unknown"))


async def test_the_link_shows_the_grant_and_changes_nothing(sharing, rig):
    grant = await sharing.grant(ADA, TO_CARL, permissions())
    token = rig.letters()[0].facts["link"].rsplit("/", 1)[1]

    for _ in range(2):
        assert await sharing.grant_of_link(token, address="192.0.2.1") == grant


async def test_the_link_accepts_once(sharing, rig):
    await sharing.grant(ADA, TO_CARL, permissions())
    token = rig.letters()[0].facts["link"].rsplit("/", 1)[1]

    accepted = await sharing.accept_by_link(token, address="192.0.2.1")

    assert accepted.accepted_at_ms == rig.clock.now_ms()
    assert rig.told == ["carl"]
    with pytest.raises(MailLinkNotFoundError):
        await sharing.accept_by_link(token, address="192.0.2.1")


@pytest.mark.parametrize("token", ["", "short", "\ud800", "x" * 43])
async def test_another_link_finds_nothing(sharing, token):
    await sharing.grant(ADA, TO_CARL, permissions())

    with pytest.raises(MailLinkNotFoundError):
        await sharing.grant_of_link(token, address="192.0.2.1")
    with pytest.raises(MailLinkNotFoundError):
        await sharing.accept_by_link(token, address="192.0.2.1")


async def test_a_link_that_does_not_work_never_asks_to_write(sharing, rig):
    with pytest.raises(MailLinkNotFoundError):
        await sharing.accept_by_link("x" * 43, address="192.0.2.1")

    assert rig.store.accept_attempts == 0


async def test_so_many_links_that_do_not_work_are_tried_from_one_address(sharing):
    for _ in range(2):
        with pytest.raises(MailLinkNotFoundError):
            await sharing.accept_by_link("x" * 43, address="192.0.2.1")

    with pytest.raises(TooManyRequestsError, match="at most 60 links in a minute"):
        await sharing.accept_by_link("x" * 43, address="192.0.2.1")
    with pytest.raises(MailLinkNotFoundError):
        await sharing.accept_by_link("x" * 43, address="192.0.2.2")


async def test_an_expired_link_finds_nothing(sharing, rig):
    await sharing.grant(ADA, TO_CARL, permissions())
    token = rig.letters()[0].facts["link"].rsplit("/", 1)[1]
    rig.clock.advance(3 * DAY_S)

    with pytest.raises(MailLinkNotFoundError):
        await sharing.grant_of_link(token, address="192.0.2.1")
