"""What every engine promises about announced changes."""

from thingstead.features.sharing.model import Rights
from thingstead.features.things.model import SealedToken
from thingstead.kernel.changes import Change, Kind


def users(*names):
    return {Change(Kind.USER, name) for name in names}


def things(*names):
    return {Change(Kind.THING, name) for name in names}


async def test_nothing_has_changed_at_first(core):
    assert not core.change_signal.changes()


async def test_a_deletion_is_told_to_another_process_once(open_again, core, make):
    thing = await make.thing("one")
    other = await open_again()

    await core.things.delete_thing(thing.id, at_ms=4_000)

    assert list(other.change_signal.changes()) == [Change(Kind.THING, "one")]
    assert not other.change_signal.changes()


async def test_the_process_that_announces_is_told_too(core, make):
    thing = await make.thing("one")

    await core.things.delete_thing(thing.id, at_ms=4_000)

    assert list(core.change_signal.changes()) == [Change(Kind.THING, "one")]


async def test_a_new_token_is_announced(core, make):
    thing = await make.thing("one")

    await core.things.replace_token(
        thing.id, SealedToken(b"new", b"sealed"), at_ms=4_000, old_expires_at_ms=5_000
    )

    assert list(core.change_signal.changes()) == [Change(Kind.THING, "one")]


async def test_announcements_come_in_their_order(core, make):
    for name in ("b", "c", "a"):
        thing = await make.thing(name)
        await core.things.delete_thing(thing.id, at_ms=4_000)

    assert [change.subject for change in core.change_signal.changes()] == ["b", "c", "a"]


async def test_a_process_that_opens_later_has_missed_nothing(open_again, core, make):
    thing = await make.thing("one")
    await core.things.delete_thing(thing.id, at_ms=4_000)

    later = await open_again()

    assert not later.change_signal.changes()


async def test_other_writes_are_no_announcement(open_again, core, make):
    other = await open_again()

    await make.thing("one")
    await make.user("ada")

    assert not other.change_signal.changes()


async def test_a_link_concerns_the_thing_and_the_user(core, make):
    ada = await make.user("ada")

    await make.owned("one", ada)

    assert set(core.change_signal.changes()) == things("one") | users("ada")


async def test_an_unlink_concerns_everyone_with_a_grant_on_the_thing(core, make):
    ada, bob = await make.user("ada"), await make.user("bob")
    await make.owned("one", ada)
    await make.share(ada, bob, ("one", "door", Rights.GET))
    core.change_signal.changes()

    await core.links.unlink(ada.id, "one", at_ms=9_000)

    assert set(core.change_signal.changes()) == things("one") | users("ada", "bob")


async def test_a_deleted_thing_concerns_its_owner_and_everyone_with_a_grant(core, make):
    ada, bob = await make.user("ada"), await make.user("bob")
    await make.owned("one", ada)
    await make.share(ada, bob, ("one", "door", Rights.GET))
    core.change_signal.changes()

    await core.things.delete_thing("one", at_ms=9_000)

    assert set(core.change_signal.changes()) == things("one") | users("ada", "bob")


async def test_a_revoked_grant_concerns_everyone_down_the_chain(core, make):
    ada, bob, eve = [await make.user(name) for name in ("ada", "bob", "eve")]
    await make.owned("one", ada)
    first = await make.share(ada, bob, ("one", "door", Rights.GET | Rights.GRANT))
    await make.share(bob, eve, ("one", "door", Rights.GET))
    core.change_signal.changes()

    await core.grants.revoke(ada.id, first.id)

    assert set(core.change_signal.changes()) == users("ada", "bob", "eve")


async def test_an_accepted_grant_concerns_giver_and_receiver(core, make):
    ada, bob = await make.user("ada"), await make.user("bob")
    await make.owned("one", ada)
    grant = await make.grant(ada, "bob", ("one", "door", Rights.GET))
    core.change_signal.changes()

    await core.grants.accept(bob.id, grant.id, at_ms=6_000)

    assert set(core.change_signal.changes()) == users("ada", "bob")


async def test_a_deleted_user_concerns_their_things_and_everyone_they_shared_with(core, make):
    ada, bob = await make.user("ada"), await make.user("bob")
    await make.owned("one", ada)
    await make.share(ada, bob, ("one", "door", Rights.GET))
    core.change_signal.changes()

    await core.accounts.delete_user(ada.id, at_ms=9_000)

    assert set(core.change_signal.changes()) == things("one") | users("ada", "bob")


async def test_a_letter_is_announced_to_who_delivers(open_again, core, make):
    other = await open_again()
    letter = make.letter()

    await core.accounts.note_letter(letter, at_ms=1)

    assert list(other.change_signal.changes()) == [Change(Kind.LETTER, letter.id)]
