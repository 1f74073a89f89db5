"""What every store of links in mails promises."""

import asyncio
from dataclasses import replace

import pytest

from thingstead.features.users.model import LinkPurpose, MailLink
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import UserId, digest

CONFIRM, RESET = LinkPurpose.CONFIRM, LinkPurpose.RESET
USE_UP = {
    CONFIRM: lambda core, make, name, at_ms: core.mail_links.confirm_address(
        digest(name), at_ms=at_ms
    ),
    RESET: lambda core, make, name, at_ms: core.mail_links.reset_password(
        digest(name), "new hash", letter=make.letter(), at_ms=at_ms
    ),
}


@pytest.fixture
async def ada(make):
    return await make.user("ada", is_confirmed=False)


async def add(core, make, user, purpose, name="link"):
    link = MailLink(digest(name), purpose, user.id, 9_000)
    await core.mail_links.add_mail_link(link, make.letter(), at_ms=3_000)


@pytest.mark.parametrize("purpose", LinkPurpose)
async def test_looking_at_a_link_uses_nothing_up(core, make, ada, purpose):
    await add(core, make, ada, purpose)

    seen = [
        await core.mail_links.user_of_link(digest("link"), purpose, at_ms=8_999) for _ in range(2)
    ]

    assert seen == [ada, ada]
    assert len(await core.outbox.due(at_ms=3_000, limit=9)) == 1


@pytest.mark.parametrize("purpose", LinkPurpose)
async def test_an_expired_link_does_not_work(core, make, ada, purpose):
    await add(core, make, ada, purpose)

    assert await core.mail_links.user_of_link(digest("link"), purpose, at_ms=9_000) is None
    assert await USE_UP[purpose](core, make, "link", 9_000) is None


@pytest.mark.parametrize(("purpose", "other"), [(CONFIRM, RESET), (RESET, CONFIRM)])
async def test_a_link_of_one_purpose_does_not_serve_another(core, make, ada, purpose, other):
    await add(core, make, ada, purpose)

    assert await core.mail_links.user_of_link(digest("link"), other, at_ms=4_000) is None
    assert await USE_UP[other](core, make, "link", 4_000) is None
    assert await USE_UP[purpose](core, make, "link", 4_000) is not None


@pytest.mark.parametrize("purpose", LinkPurpose)
async def test_a_later_link_voids_the_earlier_one_of_its_purpose(core, make, ada, purpose):
    await add(core, make, ada, purpose, "earlier")

    await add(core, make, ada, purpose, "later")

    assert await USE_UP[purpose](core, make, "earlier", 4_000) is None
    assert await USE_UP[purpose](core, make, "later", 4_000) is not None


async def test_links_of_other_purposes_and_users_stay(core, make, ada):
    bob = await make.user("bob")
    await add(core, make, ada, RESET, "ada reset")
    await add(core, make, bob, CONFIRM, "bob confirm")

    await add(core, make, ada, CONFIRM, "ada confirm")

    for name, purpose in (("ada reset", RESET), ("bob confirm", CONFIRM)):
        assert await core.mail_links.user_of_link(digest(name), purpose, at_ms=1) is not None


async def test_a_confirmed_address_is_the_users_and_that_is_announced(core, make, ada):
    await add(core, make, ada, CONFIRM)
    core.change_signal.changes()

    user = await core.mail_links.confirm_address(digest("link"), at_ms=4_000)

    assert user == replace(ada, confirmed_at_ms=4_000)
    assert (await core.accounts.account_of(ada.id)).user == user
    assert Change(Kind.USER, "ada") in core.change_signal.changes()


async def test_confirming_again_keeps_the_first_time(core, make):
    bob = await make.user("bob")
    await add(core, make, bob, CONFIRM)

    assert await core.mail_links.confirm_address(digest("link"), at_ms=4_000) == bob


@pytest.mark.parametrize("purpose", LinkPurpose)
async def test_of_many_concurrent_uses_of_a_link_one_succeeds(core, make, ada, purpose):
    await add(core, make, ada, purpose)

    used = await asyncio.gather(*(USE_UP[purpose](core, make, "link", 4_000) for _ in range(20)))

    assert len([user for user in used if user is not None]) == 1


async def test_a_reset_replaces_the_hash_ends_every_session_and_confirms(core, make, ada):
    bob = await make.user("bob")
    await add(core, make, ada, RESET)
    core.change_signal.changes()

    user = await core.mail_links.reset_password(
        digest("link"), "new hash", letter=make.letter(), at_ms=4_000
    )

    account = await core.accounts.account_of(ada.id)
    assert account.password_hash == "new hash"
    assert account.user == user == replace(ada, confirmed_at_ms=4_000)
    assert await core.sessions.sessions(ada.id, at_ms=1) == []
    assert len(await core.sessions.sessions(bob.id, at_ms=1)) == 1
    assert len(await core.outbox.due(at_ms=4_000, limit=9)) == 2
    assert Change(Kind.USER, "ada") in core.change_signal.changes()


async def test_a_link_that_does_not_work_changes_nothing(core, make, ada):
    assert await USE_UP[RESET](core, make, "wrong", 4_000) is None

    assert (await core.accounts.account_of(ada.id)).password_hash == "hash of ada"
    assert await core.outbox.letters(limit=9) == []
    assert not core.change_signal.changes()


async def test_a_user_who_is_gone_gets_no_link_and_no_letter(core, make, ada):
    await add(core, make, replace(ada, id=UserId("nobody")), RESET)

    assert await core.outbox.letters(limit=9) == []
