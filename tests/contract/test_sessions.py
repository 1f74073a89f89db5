"""What every store of sessions promises."""

import asyncio

import pytest

from thingstead.features.users.model import LinkPurpose, MailLink, SessionUse
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import SessionId, digest


@pytest.fixture
async def ada(make):
    return await make.user("ada")


async def names(core, user):
    return [session.id for session in await core.sessions.sessions(user.id, at_ms=1)]


async def test_a_session_is_found_by_its_digest_until_it_expires(core, make, ada):
    new = make.session("ada", "s", expires_at_ms=5_000)
    await core.sessions.add_session(new, max_sessions=9)

    assert await core.sessions.session(new.digest, at_ms=4_999) == (new.session, ada)
    assert await core.sessions.session(new.digest, at_ms=5_000) is None


async def test_an_unknown_session_is_none(core, ada):
    assert await core.sessions.session(digest("wrong"), at_ms=1) is None


async def test_sessions_come_newest_first_without_expired_ones(core, make, ada):
    for name, at_ms, expires_at_ms in (
        ("b", 4_000, 10**9),
        ("a", 3_000, 10**9),
        ("c", 5_000, 9_000),
    ):
        new = make.session("ada", name, seen_at_ms=at_ms, expires_at_ms=expires_at_ms)
        await core.sessions.add_session(new, max_sessions=9)

    listed = await core.sessions.sessions(ada.id, at_ms=9_000)

    assert [session.id for session in listed] == ["b", "a", "first of ada"]


async def test_as_many_sessions_as_may_be_stay(core, make, ada):
    await core.sessions.add_session(make.session("ada", "s"), max_sessions=2)

    assert set(await names(core, ada)) == {"first of ada", "s"}
    assert not core.change_signal.changes()


async def test_one_session_too_many_ends_the_longest_unseen_one_and_announces_it(core, make, ada):
    await core.sessions.add_session(make.session("ada", "s", seen_at_ms=3_000), max_sessions=2)
    await core.sessions.note_seen([SessionUse(SessionId("first of ada"), 4_000, 10**9)])

    await core.sessions.add_session(make.session("ada", "t", seen_at_ms=5_000), max_sessions=2)

    assert await names(core, ada) == ["t", "first of ada"]
    assert list(core.change_signal.changes()) == [Change(Kind.USER, "ada")]


async def test_the_new_session_stays_even_if_it_is_the_longest_unseen(core, make, ada):
    await core.sessions.add_session(make.session("ada", "s", seen_at_ms=1), max_sessions=1)

    assert await names(core, ada) == ["s"]


async def test_sessions_of_others_do_not_count(core, make, ada):
    bob = await make.user("bob")

    await core.sessions.add_session(make.session("bob", "s"), max_sessions=2)

    assert await names(core, ada) == ["first of ada"]
    assert len(await names(core, bob)) == 2


async def test_expired_sessions_do_not_count(core, make, ada):
    old = make.session("ada", "old", seen_at_ms=4_000, expires_at_ms=4_500)
    await core.sessions.add_session(old, max_sessions=2)

    await core.sessions.add_session(make.session("ada", "s", seen_at_ms=5_000), max_sessions=2)

    assert await names(core, ada) == ["s", "first of ada"]
    assert not core.change_signal.changes()


async def test_concurrent_log_ins_do_not_pass_the_limit(core, make, ada):
    await asyncio.gather(
        *(
            core.sessions.add_session(make.session("ada", f"s{number}"), max_sessions=5)
            for number in range(20)
        )
    )

    assert len(await names(core, ada)) == 5


async def test_a_user_who_is_gone_gets_no_session(core, make):
    await core.sessions.add_session(make.session("nobody", "s"), max_sessions=5)

    assert await core.sessions.session(digest("session s"), at_ms=1) is None


async def test_an_ended_session_works_no_more_and_that_is_announced(core, ada):
    ended = await core.sessions.end_session(ada.id, SessionId("first of ada"))

    assert ended
    assert await core.sessions.session(digest("session first of ada"), at_ms=1) is None
    assert list(core.change_signal.changes()) == [Change(Kind.USER, "ada")]


async def test_a_session_of_another_user_is_not_ended(core, make, ada):
    bob = await make.user("bob")

    ended = await core.sessions.end_session(bob.id, SessionId("first of ada"))

    assert not ended
    assert await names(core, ada) == ["first of ada"]
    assert not core.change_signal.changes()


async def test_all_other_sessions_end_but_those_of_others(core, make, ada):
    bob = await make.user("bob")
    for name in ("s", "t"):
        await core.sessions.add_session(make.session("ada", name), max_sessions=9)

    ended = await core.sessions.end_other_sessions(ada.id, SessionId("s"))

    assert ended == 2
    assert await names(core, ada) == ["s"]
    assert await names(core, bob) == ["first of bob"]
    assert list(core.change_signal.changes()) == [Change(Kind.USER, "ada")]


async def test_ending_no_session_announces_nothing(core, ada):
    assert await core.sessions.end_other_sessions(ada.id, SessionId("first of ada")) == 0
    assert not core.change_signal.changes()


async def test_sessions_that_were_seen_last_longer(core, make, ada):
    new = {name: make.session("ada", name, expires_at_ms=5_000) for name in ("s", "t", "u")}
    for session in new.values():
        await core.sessions.add_session(session, max_sessions=9)

    await core.sessions.note_seen(
        [
            SessionUse(SessionId("s"), 4_000, 7_000),
            SessionUse(SessionId("ended"), 4_000, 7_000),
            SessionUse(SessionId("t"), 4_500, 8_000),
        ]
    )

    found = [
        (await core.sessions.session(session.digest, at_ms=4_999))[0] for session in new.values()
    ]
    assert [one.expires_at_ms for one in found] == [7_000, 8_000, 5_000]
    assert [one.seen_at_ms for one in found][:2] == [4_000, 4_500]


async def test_noting_no_sessions_at_all_changes_nothing(core, make, ada):
    before = await core.sessions.sessions(ada.id, at_ms=1)

    await core.sessions.note_seen([])

    assert await core.sessions.sessions(ada.id, at_ms=1) == before


async def test_expired_sessions_and_mail_links_are_deleted_in_slices(core, make, ada):
    for name in ("s", "t"):
        new = make.session("ada", name, expires_at_ms=5_000)
        await core.sessions.add_session(new, max_sessions=9)
    link = MailLink(digest("link"), LinkPurpose.RESET, ada.id, 5_000)
    await core.mail_links.add_mail_link(link, make.letter(), at_ms=1)

    deleted = [
        await core.sessions.delete_expired(at_ms=at, limit=2) for at in (4_999, *[5_000] * 3)
    ]

    assert deleted == [0, 2, 1, 0]
    assert await names(core, ada) == ["first of ada"]
