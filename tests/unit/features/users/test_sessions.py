"""Sessions: whose they are, how long they last, how they end."""

from dataclasses import replace

import pytest

from thingstead.features.apps.model import AppChange
from thingstead.features.users.errors import InvalidSessionError, SessionNotFoundError
from thingstead.features.users.limits import UserLimits
from thingstead.features.users.model import SessionUse
from thingstead.features.users.sessions import _MOST_TO_NOTE, new_session
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.errors import StoreUnavailableError, TooManyRequestsError
from thingstead.kernel.ids import digest

HOUR = 3_600
DAY = 24 * HOUR


@pytest.fixture
async def token(rig):
    return (await rig.register()).token


async def test_a_token_is_known_once_it_was_looked_up(rig, token):
    before = rig.sessions.known(token)

    caller = await rig.authenticate(token)

    assert before is None
    assert rig.sessions.known(token) == caller
    await rig.authenticate(token)
    assert rig.store.reads == 1


@pytest.mark.parametrize("wrong", ["", "us_", "x" * 43, "us_" + "x" * 43])
async def test_an_unknown_token_is_refused(rig, token, wrong):
    with pytest.raises(InvalidSessionError):
        await rig.authenticate(wrong)


async def test_what_cannot_be_a_token_is_not_looked_up(rig):
    with pytest.raises(InvalidSessionError):
        await rig.authenticate("x" * 43)

    assert rig.store.reads == 0


async def test_unknown_tokens_cost_their_address(rig):
    for _ in range(2):
        with pytest.raises(InvalidSessionError):
            await rig.authenticate("us_" + "x" * 43)

    with pytest.raises(TooManyRequestsError, match="unknown session tokens"):
        await rig.authenticate("us_" + "x" * 43)


async def test_a_stream_that_checks_again_pays_nothing(rig):
    for _ in range(5):
        with pytest.raises(InvalidSessionError):
            await rig.authenticate("us_" + "x" * 43, address=None)


async def test_a_session_lasts_30_days_after_its_last_use(rig, token):
    await rig.authenticate(token)
    rig.clock.advance(30 * DAY - 1)
    await rig.authenticate(token)
    await rig.sessions.flush_seen()

    rig.clock.advance(30 * DAY - 1)
    await rig.authenticate(token)
    await rig.sessions.flush_seen()
    rig.clock.advance(30 * DAY)

    with pytest.raises(InvalidSessionError):
        await rig.authenticate(token)


async def test_a_session_never_lasts_longer_than_180_days(rig, token):
    for _ in range(8):
        rig.clock.advance(20 * DAY)
        await rig.authenticate(token)
        await rig.sessions.flush_seen()
    rig.clock.advance(20 * DAY - 1)

    await rig.authenticate(token)
    await rig.sessions.flush_seen()
    rig.clock.advance(1.001)

    assert rig.sessions.known(token) is None
    with pytest.raises(InvalidSessionError):
        await rig.authenticate(token)


async def test_use_is_noted_once_an_hour(rig, token):
    await rig.authenticate(token)
    await rig.sessions.flush_seen()
    within_the_hour = list(rig.store.noted)

    rig.clock.advance(HOUR)
    for _ in range(3):
        caller = rig.sessions.known(token)
    await rig.sessions.flush_seen()
    rig.sessions.known(token)
    await rig.sessions.flush_seen()

    assert within_the_hour == []
    assert rig.store.noted == [caller.session_id]
    (session,) = await rig.sessions.list(caller)
    assert session.seen_at_ms == rig.clock.now_ms()
    assert session.expires_at_ms == rig.clock.now_ms() + 30 * DAY * 1_000


async def test_a_session_used_when_it_is_looked_up_is_noted_too(rig, token):
    rig.clock.advance(HOUR)

    caller = await rig.authenticate(token)
    await rig.sessions.flush_seen()

    assert rig.store.noted == [caller.session_id]


async def test_what_cannot_be_written_is_written_the_next_time(rig, token):
    async def fail():
        raise StoreUnavailableError

    rig.clock.advance(HOUR)
    await rig.authenticate(token)
    rig.store.before["note_seen"] = fail
    with pytest.raises(StoreUnavailableError):
        await rig.sessions.flush_seen()
    rig.store.before.clear()

    await rig.sessions.flush_seen()

    assert len(rig.store.noted) == 1


async def test_a_use_noted_while_an_earlier_one_is_written_is_kept(rig, token):
    async def use_again():
        rig.clock.advance(HOUR)
        rig.sessions.known(token)
        rig.store.before.clear()

    rig.clock.advance(HOUR)
    await rig.authenticate(token)
    rig.store.before["note_seen"] = use_again
    await rig.sessions.flush_seen()

    await rig.sessions.flush_seen()

    assert len(rig.store.noted) == 2


@pytest.mark.parametrize(("used", "at_once"), [(500, [500]), (501, [500, 1])])
async def test_uses_are_written_many_at_once(rig, used, at_once):
    rig.sessions._uses.update({number: SessionUse(number, 1, 2) for number in range(used)})

    await rig.sessions.flush_seen()

    assert rig.store.noted_at_once == at_once
    assert rig.sessions._uses == {}


async def test_only_so_many_uses_wait_to_be_written(rig, token):
    rig.clock.advance(HOUR)
    rig.sessions._uses.update(dict.fromkeys(range(_MOST_TO_NOTE - 1)))
    caller = await rig.authenticate(token)
    fits = caller.session_id in rig.sessions._uses
    rig.clock.advance(HOUR)
    rig.sessions._uses.clear()
    rig.sessions._uses.update(dict.fromkeys(range(_MOST_TO_NOTE)))

    rig.sessions.known(token)
    is_beyond = caller.session_id not in rig.sessions._uses
    rig.sessions._uses.clear()
    rig.sessions.known(token)

    assert fits
    assert is_beyond
    assert caller.session_id in rig.sessions._uses


async def test_a_change_of_the_user_elsewhere_is_seen_within_50_ms(rig, token):
    caller = await rig.authenticate(token)
    account = rig.store.accounts[caller.user.id]
    confirmed = replace(account.user, confirmed_at_ms=1)
    rig.store.accounts[caller.user.id] = replace(account, user=confirmed)

    rig.signal.waiting.append(Change(Kind.USER, caller.user.id))
    rig.clock.advance(0.051)

    assert rig.sessions.known(token) is None
    assert (await rig.authenticate(token)).user == confirmed


async def test_a_change_of_the_app_is_seen_at_once(rig, token):
    await rig.authenticate(token)

    changed = await rig.apps.change(rig.app.id, AppChange(resources=frozenset({"temperature"})))

    assert rig.sessions.known(token) is None
    assert (await rig.authenticate(token)).app == changed


async def test_a_user_may_make_so_many_calls_at_once(rig, ada):
    for _ in range(3):
        rig.sessions.admit(ada)

    with pytest.raises(
        TooManyRequestsError, match="at most 2 calls of one user in a second"
    ) as caught:
        rig.sessions.admit(ada)
    assert caught.value.retry_after_s == 1


async def test_one_users_calls_cost_no_other_user(rig, ada):
    bob = (await rig.register("bob@example.org")).caller
    for _ in range(3):
        rig.sessions.admit(ada)

    rig.sessions.admit(bob)


async def test_calls_are_admitted_again_as_time_passes(rig, ada):
    for _ in range(3):
        rig.sessions.admit(ada)

    rig.clock.advance(0.5)

    rig.sessions.admit(ada)


async def test_an_ended_session_is_gone_at_once(rig, ada):
    other = await rig.login()
    await rig.authenticate(other.token)

    await rig.sessions.end(ada, other.caller.session_id)

    assert rig.sessions.known(other.token) is None
    assert [one.id for one in await rig.sessions.list(ada)] == [ada.session_id]


async def test_a_session_ends_itself_as_the_current_one(rig, token):
    caller = await rig.authenticate(token)

    await rig.sessions.end(caller, "current")

    assert rig.sessions.known(token) is None
    with pytest.raises(InvalidSessionError):
        await rig.authenticate(token)


async def test_an_ended_session_is_not_noted_any_more(rig, token):
    rig.clock.advance(HOUR)
    caller = await rig.authenticate(token)

    await rig.sessions.end(caller, "current")
    await rig.sessions.flush_seen()

    assert rig.store.noted == []


async def test_another_users_session_cannot_be_ended(rig, ada):
    bob = await rig.register("bob@example.org")

    with pytest.raises(SessionNotFoundError):
        await rig.sessions.end(ada, bob.caller.session_id)

    assert await rig.authenticate(bob.token)


@pytest.mark.parametrize("session_id", ["", "unknown", "x" * 65, "\ud800", "a/b"])
async def test_what_is_no_session_cannot_be_ended(rig, ada, session_id):
    with pytest.raises(SessionNotFoundError):
        await rig.sessions.end(ada, session_id)

    assert len(await rig.sessions.list(ada)) == 1


async def test_all_sessions_but_the_current_one_end(rig, token):
    others = [await rig.login() for _ in range(2)]
    for other in others:
        await rig.authenticate(other.token)
    caller = await rig.authenticate(token)

    ended = await rig.sessions.end_others(caller)

    assert ended == 2
    assert [rig.sessions.known(other.token) for other in others] == [None, None]
    assert await rig.authenticate(token) == caller


async def test_expired_sessions_are_not_listed(rig, ada):
    rig.clock.advance(30 * DAY)

    assert await rig.sessions.list(ada) == []


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("", ""),
        ("Firefox \u2013 K\u00fcche", "Firefox \u2013 K\u00fcche"),
        ("a\r\nb\x00c\x1b[1m", "abc[1m"),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 120),
    ],
)
def test_a_label_is_kept_short_and_printable(rig, label, kept):
    token, new = new_session("user", label, ids=rig.ids, now_ms=7, limits=UserLimits())

    assert new.session.label == kept
    assert new.digest == digest(token)
