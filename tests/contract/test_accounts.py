"""What every store of accounts promises."""

import asyncio
from dataclasses import replace

import pytest

from thingstead.features.collections.model import CollectionLimits, Place
from thingstead.features.sharing.model import Rights
from thingstead.features.users.model import LinkPurpose, MailLink, Proof
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import AppId, SessionId, UserId, digest

GET = Rights.GET


def mail_link(user_id, purpose, name):
    return MailLink(digest(name), purpose, user_id, 10**9)


@pytest.fixture
async def ada(make):
    return await make.user("ada")


async def test_a_user_is_found_by_address_and_by_id(core, make, ada):
    account = make.account("ada")

    assert await core.accounts.account(AppId("home"), "ada@example.org") == account
    assert await core.accounts.account_of(ada.id) == account


async def test_an_unknown_user_is_none(core, make, ada):
    assert await core.accounts.account(AppId("home"), "bob@example.org") is None
    assert await core.accounts.account(AppId("other"), "ada@example.org") is None
    assert await core.accounts.account_of(UserId("bob")) is None


async def test_a_new_user_comes_with_session_mail_link_and_letter(core, make):
    await make.app()
    link, letter = mail_link("eve", LinkPurpose.CONFIRM, "confirm"), make.letter()

    is_added = await core.accounts.add_user(
        make.account("eve"), make.session("eve", "s"), mail_link=link, letter=letter
    )

    assert is_added
    assert (await core.sessions.session(digest("session s"), at_ms=1))[1].id == "eve"
    assert await core.mail_links.user_of_link(digest("confirm"), LinkPurpose.CONFIRM, at_ms=1)
    assert [one.letter for one in await core.outbox.due(at_ms=1_500, limit=9)] == [letter]


async def test_an_address_registers_once_and_nothing_of_the_second_try_stays(core, make, ada):
    again = replace(make.account("ada"), user=replace(ada, id=UserId("ada 2")))

    is_added = await core.accounts.add_user(
        again,
        make.session("ada 2", "s"),
        mail_link=mail_link("ada 2", LinkPurpose.CONFIRM, "c"),
        letter=make.letter(),
    )

    assert not is_added
    assert await core.accounts.account_of(UserId("ada 2")) is None
    assert await core.sessions.session(digest("session s"), at_ms=1) is None
    assert await core.outbox.letters(limit=9) == []


async def test_one_address_registers_in_several_apps(core, make, ada):
    await make.app("other")
    account = make.account("ada", "other")
    account = replace(account, user=replace(account.user, id=UserId("ada 2")))

    assert await core.accounts.add_user(
        account, make.session("ada 2", "s"), mail_link=None, letter=None
    )


async def test_of_many_concurrent_registrations_of_an_address_one_succeeds(open_again, core, make):
    await make.app()
    other = await open_again()
    account = make.account("ada")

    added = await asyncio.gather(
        *(
            process.accounts.add_user(
                replace(account, user=replace(account.user, id=UserId(f"u{number}"))),
                make.session(f"u{number}", f"s{number}"),
                mail_link=None,
                letter=None,
            )
            for number, process in enumerate([core, other] * 25)
        )
    )

    assert added.count(True) == 1


async def test_a_new_password_ends_the_other_sessions_and_voids_links_that_reset(core, make, ada):
    await core.sessions.add_session(make.session("ada", "kept"), max_sessions=9)
    for purpose in LinkPurpose:
        await core.mail_links.add_mail_link(
            mail_link(ada.id, purpose, purpose.value), make.letter(), at_ms=1
        )
    core.change_signal.changes()

    is_set = await core.accounts.set_password(
        ada.id,
        "new hash",
        keep=SessionId("kept"),
        voids_resets=True,
        letter=make.letter(),
        at_ms=5_000,
    )

    assert is_set
    assert (await core.accounts.account_of(ada.id)).password_hash == "new hash"
    assert [one.id for one in await core.sessions.sessions(ada.id, at_ms=1)] == ["kept"]
    reset = await core.mail_links.user_of_link(digest("reset"), LinkPurpose.RESET, at_ms=1)
    confirm = await core.mail_links.user_of_link(digest("confirm"), LinkPurpose.CONFIRM, at_ms=1)
    assert (reset, confirm) == (None, ada)
    assert len(await core.outbox.due(at_ms=5_000, limit=9)) == 3
    assert Change(Kind.USER, "ada") in core.change_signal.changes()


async def test_a_new_password_leaves_the_sessions_of_others_alone(core, make, ada):
    bob = await make.user("bob")

    await core.accounts.set_password(
        ada.id, "new", keep=None, voids_resets=True, letter=None, at_ms=5_000
    )

    assert await core.sessions.sessions(ada.id, at_ms=1) == []
    assert len(await core.sessions.sessions(bob.id, at_ms=1)) == 1
    assert (await core.accounts.account_of(bob.id)).password_hash == "hash of bob"


async def test_an_unknown_user_gets_no_password_and_no_letter(core, make):
    is_set = await core.accounts.set_password(
        UserId("nobody"), "new", keep=None, voids_resets=True, letter=make.letter(), at_ms=1
    )

    assert not is_set
    assert await core.outbox.letters(limit=9) == []


async def test_a_new_password_may_leave_links_that_reset_as_they_are(core, make, ada):
    link = mail_link(ada.id, LinkPurpose.RESET, "reset")
    await core.mail_links.add_mail_link(link, make.letter(), at_ms=1)

    await core.accounts.set_password(
        ada.id, "new", keep=None, voids_resets=False, letter=None, at_ms=5_000
    )

    assert await core.mail_links.user_of_link(link.digest, LinkPurpose.RESET, at_ms=1) == ada


@pytest.mark.parametrize("kept", ["unknown", "old", "first of bob"])
async def test_a_session_that_is_not_the_users_any_more_sets_no_password(core, make, ada, kept):
    await make.user("bob")
    await core.sessions.add_session(make.session("ada", "old", expires_at_ms=5_000), max_sessions=9)

    is_set = await core.accounts.set_password(
        ada.id,
        "new",
        keep=SessionId(kept),
        voids_resets=True,
        letter=make.letter(),
        at_ms=5_000,
    )

    assert not is_set
    assert (await core.accounts.account_of(ada.id)).password_hash == "hash of ada"
    assert "first of ada" in [one.id for one in await core.sessions.sessions(ada.id, at_ms=1)]
    assert await core.outbox.letters(limit=9) == []


@pytest.mark.parametrize(
    ("session", "password_hash", "is_deleted"),
    [
        ("first of ada", "hash of ada", True),
        ("first of ada", "another hash", False),
        ("unknown", "hash of ada", False),
        ("old", "hash of ada", False),
        ("first of bob", "hash of ada", False),
    ],
)
async def test_a_user_is_deleted_only_if_session_and_password_are_still_theirs(
    core, make, ada, session, password_hash, is_deleted
):
    await make.user("bob")
    await core.sessions.add_session(make.session("ada", "old", expires_at_ms=9_000), max_sessions=9)
    proof = Proof(SessionId(session), password_hash)

    assert await core.accounts.delete_user(ada.id, at_ms=9_000, proof=proof) is is_deleted

    assert (await core.accounts.account_of(ada.id) is None) is is_deleted


@pytest.mark.parametrize(("old", "kept"), [("hash of ada", "new"), ("stale", "hash of ada")])
async def test_a_hash_is_renewed_only_if_it_is_still_the_old_one(core, ada, old, kept):
    await core.accounts.rehash(ada.id, old=old, new="new")

    assert (await core.accounts.account_of(ada.id)).password_hash == kept


async def test_a_letter_of_its_own_is_due_at_once(core, make):
    letter = make.letter()

    await core.accounts.note_letter(letter, at_ms=5_000)

    assert await core.outbox.due(at_ms=4_999, limit=9) == []
    assert [one.letter for one in await core.outbox.due(at_ms=5_000, limit=9)] == [letter]


async def test_a_deleted_user_leaves_nothing_that_stands_for_them(core, make, ada):
    await core.user_settings.merge_settings(ada.id, {"a": 1}, max_bytes=99, max_members=9)
    await core.mail_links.add_mail_link(
        mail_link(ada.id, LinkPurpose.RESET, "r"), make.letter(), at_ms=1
    )

    deleted = await core.accounts.delete_user(ada.id, at_ms=9_000)

    assert deleted
    assert await core.accounts.account_of(ada.id) is None
    assert await core.sessions.session(digest("session first of ada"), at_ms=1) is None
    assert await core.user_settings.settings(ada.id) == {}
    assert await core.mail_links.user_of_link(digest("r"), LinkPurpose.RESET, at_ms=1) is None


async def test_deleting_an_unknown_user_says_so(core):
    assert not await core.accounts.delete_user(UserId("nobody"), at_ms=1)
    assert not core.change_signal.changes()


async def test_a_deleted_users_address_is_free_again(core, make, ada):
    await core.accounts.delete_user(ada.id, at_ms=9_000)

    again = await make.user("ada")

    assert await core.links.linked(again.id) == []


async def test_a_deleted_users_collections_go(core, make, ada):
    place = Place(ada.id, "rooms", "kitchen")
    await core.objects.create(place, "{}", at_ms=1, limits=CollectionLimits())

    await core.accounts.delete_user(ada.id, at_ms=9_000)

    assert await core.objects.collections(ada.id) == []


async def test_a_deleted_user_is_noted_until_their_objects_are_gone(core, make, ada):
    bob = await make.user("bob")
    for owner in (ada, bob):
        for name in ("a", "b", "c"):
            place = Place(owner.id, "rooms", name)
            await core.objects.create(place, "{}", at_ms=1, limits=CollectionLimits())
    await core.accounts.delete_user(ada.id, at_ms=9_000)

    noted = await core.purge_list.pending_users(9)
    deleted = [await core.purge_list.delete_objects(ada.id, limit=2) for _ in range(3)]
    for _ in range(2):
        await core.purge_list.user_done(ada.id)

    assert (noted, deleted) == ([ada.id], [2, 1, 0])
    assert await core.purge_list.pending_users(9) == []
    assert await core.objects.get(Place(ada.id, "rooms", "a")) is None
    assert await core.objects.get(Place(bob.id, "rooms", "a")) is not None
    assert await core.objects.collections(bob.id) == ["rooms"]


async def test_users_are_noted_in_the_order_of_their_deletion(core, make, ada):
    bob = await make.user("bob")
    await core.accounts.delete_user(bob.id, at_ms=8_000)
    await core.accounts.delete_user(ada.id, at_ms=9_000)

    assert await core.purge_list.pending_users(1) == [bob.id]
    assert await core.purge_list.pending_users(9) == [bob.id, ada.id]


async def test_nothing_of_a_deleted_user_s_things_stays_and_nothing_of_others_goes(core, make, ada):
    bob = await make.user("bob")
    for name, owner in (("one", ada), ("two", ada), ("other", bob)):
        await make.owned(name, owner)
        await core.tags.add_tags(name, ["roof"], max_tags=9, at_ms=1)
    await make.share(ada, bob, ("one", "door", GET), ("two", "door", GET))
    await make.share(bob, ada, ("other", "door", GET | Rights.GRANT))
    kept = await make.grant(bob, "eve", ("other", "door", GET))

    await core.accounts.delete_user(ada.id, at_ms=6_000)

    assert [await core.tags.tags(name) for name in ("one", "two", "other")] == [[], [], ["roof"]]
    assert [one.thing.id for one in await core.links.linked(bob.id)] == ["other"]
    assert (await core.things.thing("other")).epochs == (0,)
    assert (await core.reach.reach(bob.id)).shared == {}
    assert await core.grants.given(bob.id, at_ms=6_000) == [kept]


async def test_a_deleted_users_things_are_unlinked_and_their_epochs_noted_for_purging(
    core, make, ada
):
    bob = await make.user("bob")
    await make.owned("one", ada)
    await core.links.unlink(ada.id, "one", at_ms=4_000)
    await core.links.link(bob.id, "one", at_ms=4_500, max_things=9)
    await make.owned("two", ada)

    await core.accounts.delete_user(ada.id, at_ms=9_000)

    assert await core.purge_list.pending_epochs(9) == [("one", 0), ("two", 0)]
    assert (await core.things.thing("one")).epochs == (1,)
    assert (await core.things.thing("two")).epochs == (1,)
    assert await core.links.last_owner("one") == bob.id
    assert await core.links.last_owner("two") is None


async def test_after_a_deleted_owner_nobody_earlier_is_the_last_one(core, make, ada):
    bob = await make.user("bob")
    await make.owned("one", ada)
    await core.links.unlink(ada.id, "one", at_ms=4_000)
    await core.links.link(bob.id, "one", at_ms=4_500, max_things=9)

    await core.accounts.delete_user(bob.id, at_ms=9_000)

    assert await core.links.last_owner("one") is None


async def test_a_purged_epoch_is_no_longer_pending(core, make, ada):
    await make.owned("one", ada)
    await core.accounts.delete_user(ada.id, at_ms=9_000)

    await core.purge_list.epoch_done("one", 0)
    await core.purge_list.epoch_done("one", 0)

    assert await core.purge_list.pending_epochs(9) == []


async def test_epochs_are_pending_in_the_order_of_their_deletion(core, make, ada):
    bob = await make.user("bob")
    await make.owned("a", bob)
    await make.owned("b", ada)
    await core.accounts.delete_user(ada.id, at_ms=8_000)
    await core.accounts.delete_user(bob.id, at_ms=9_000)

    assert await core.purge_list.pending_epochs(1) == [("b", 0)]
    assert await core.purge_list.pending_epochs(9) == [("b", 0), ("a", 0)]


async def test_a_deleted_thing_is_purged_as_a_whole(core, make, ada):
    await make.owned("one", ada)
    await core.accounts.delete_user(ada.id, at_ms=8_000)

    await core.things.delete_thing("one", at_ms=9_000)

    assert await core.purge_list.pending_epochs(9) == []
    assert await core.purge_list.pending(9) == ["one"]


async def test_what_a_deleted_user_passed_on_goes_with_them(core, make, ada):
    bob, eve, dan = [await make.user(name) for name in ("bob", "eve", "dan")]
    await make.owned("one", ada)
    await make.share(ada, bob, ("one", "door", GET | Rights.GRANT))
    await make.share(bob, eve, ("one", "door", GET | Rights.GRANT))
    await make.share(eve, dan, ("one", "door", GET))

    await core.accounts.delete_user(bob.id, at_ms=9_000)

    for user in (eve, dan):
        assert (await core.reach.reach(user.id)).shared == {}
    assert await core.grants.given(ada.id, at_ms=9_000) == []


async def test_what_waits_for_an_address_outlives_an_account_that_never_confirmed_it(
    core, make, ada
):
    squatter = await make.user("bob", is_confirmed=False)
    await make.owned("one", ada)
    grant = await make.grant(ada, "bob", ("one", "door", GET))

    await core.accounts.delete_user(squatter.id, at_ms=6_000)

    assert await core.grants.given(ada.id, at_ms=6_000) == [grant]
