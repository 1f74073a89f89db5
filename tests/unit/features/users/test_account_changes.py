"""New passwords, and the end of accounts."""

import pytest

from thingstead.features.users.errors import (
    CurrentPasswordError,
    InvalidPasswordError,
    InvalidSessionError,
    MailLinkNotFoundError,
    WrongPasswordError,
)
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.errors import TooManyRequestsError

HERE = "192.0.2.1"
NEW = "battery staple"


async def change(rig, caller, password=NEW, *, current=None, must_have_current=False):
    await rig.account_changes.change_password(
        caller, password, current=current, must_have_current=must_have_current, address=HERE
    )


async def test_the_new_password_is_in_force(rig, ada):
    await change(rig, ada)

    assert await rig.login(password=NEW)
    with pytest.raises(WrongPasswordError):
        await rig.login()


async def test_the_users_other_sessions_end_at_once(rig):
    first, second = await rig.register(), await rig.login()
    caller = await rig.authenticate(first.token)
    await rig.authenticate(second.token)

    await change(rig, caller)

    assert rig.sessions.known(second.token) is None
    with pytest.raises(InvalidSessionError):
        await rig.authenticate(second.token)
    assert await rig.authenticate(first.token) == caller


async def test_the_user_gets_a_letter(rig, ada):
    await change(rig, ada)

    assert rig.post()[1:] == [("password-changed", "ada@example.org", {"app": "Greenhouse"})]


async def test_the_user_does_not_get_such_letters_without_end(rig, ada):
    for _ in range(3):
        await change(rig, ada)

    assert [occasion for occasion, _, _ in rig.post()].count("password-changed") == 2


async def test_the_current_password_is_checked_when_it_is_given(rig, ada):
    await change(rig, ada, current="correct horse")
    with pytest.raises(CurrentPasswordError):
        await change(rig, ada, "third password", current="correct horse")

    assert await rig.login(password=NEW)


async def test_the_current_password_can_be_called_for(rig, ada):
    with pytest.raises(CurrentPasswordError, match="missing"):
        await change(rig, ada, must_have_current=True)

    await change(rig, ada, current="correct horse", must_have_current=True)


async def test_a_current_password_that_nobody_can_have_is_wrong_without_work(rig, ada):
    with pytest.raises(CurrentPasswordError):
        await change(rig, ada, current="x" * 129)

    assert rig.hasher.verified == 0


async def test_wrong_current_passwords_and_wrong_logins_count_together(rig, ada):
    with pytest.raises(WrongPasswordError):
        await rig.login(password="wrong horse")
    for _ in range(2):
        with pytest.raises(CurrentPasswordError):
            await change(rig, ada, current="wrong horse")

    with pytest.raises(TooManyRequestsError):
        await change(rig, ada, current="correct horse")

    assert rig.hasher.verified == 3


async def test_a_password_that_cannot_be_used_is_refused_before_any_work(rig, ada):
    with pytest.raises(InvalidPasswordError):
        await change(rig, ada, "short", current="correct horse")

    assert rig.hasher.verified == 0
    assert await rig.login()


async def test_a_user_deleted_meanwhile_gets_no_password(rig, ada):
    rig.store.before["set_password"] = lambda: rig.store.delete_user(ada.user.id, at_ms=0)

    with pytest.raises(InvalidSessionError):
        await change(rig, ada)


async def reset_meanwhile(rig, password):
    """The owner asks for a link and sets another password, which ends every session."""
    await rig.request_reset()
    await rig.recovery.reset(rig.link(), password, address=HERE)


async def test_a_session_that_ends_while_the_password_is_hashed_changes_nothing(rig, ada):
    prepared = await rig.account_changes.prepare_password(
        ada, "thiefs password", current=None, must_have_current=False, address=HERE
    )
    await reset_meanwhile(rig, NEW)

    with pytest.raises(InvalidSessionError):
        await rig.account_changes.set_password(ada, prepared)

    assert await rig.login(password=NEW)


async def test_without_the_current_password_a_link_that_resets_goes_on_working(rig, ada):
    await rig.request_reset()
    link = rig.link()

    await change(rig, ada, "thiefs password")

    assert await rig.recovery.reset(link, NEW, address=HERE)


async def test_with_the_current_password_a_link_that_resets_is_void(rig, ada):
    await rig.request_reset()
    link = rig.link()

    await change(rig, ada, current="correct horse")

    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.reset(link, "third password", address=HERE)


@pytest.mark.parametrize("password", [NEW, "correct horse"])
async def test_a_session_that_ends_while_the_password_is_checked_deletes_nothing(
    rig, ada, password
):
    rig.hasher.during_verify = lambda: reset_meanwhile(rig, password)

    with pytest.raises(InvalidSessionError):
        await rig.account_changes.delete(ada, password="correct horse", address=HERE)

    assert await rig.login(password=password)


async def test_a_deleted_user_is_gone_at_once(rig):
    token = (await rig.register()).token
    caller = await rig.authenticate(token)

    await rig.account_changes.delete(caller, password="correct horse", address=HERE)

    assert rig.sessions.known(token) is None
    with pytest.raises(InvalidSessionError):
        await rig.authenticate(token)
    with pytest.raises(WrongPasswordError):
        await rig.login()


async def test_others_whom_a_deletion_concerns_hear_of_it_at_once(rig, ada):
    heard = []
    rig.changes.listen(Kind.THING, heard.append)
    rig.signal.waiting.append(Change(Kind.THING, "a thing of ada"))

    await rig.account_changes.delete(ada, password="correct horse", address=HERE)

    assert heard == ["a thing of ada"]


async def test_deleting_needs_the_right_password(rig, ada):
    with pytest.raises(CurrentPasswordError):
        await rig.account_changes.delete(ada, password="wrong horse", address=HERE)

    assert await rig.login()


async def test_guesses_at_the_password_for_deleting_are_counted(rig, ada):
    for _ in range(3):
        with pytest.raises(CurrentPasswordError):
            await rig.account_changes.delete(ada, password="wrong horse", address=HERE)

    with pytest.raises(TooManyRequestsError):
        await rig.account_changes.delete(ada, password="correct horse", address=HERE)


async def test_what_a_deleted_user_asks_is_refused(rig, ada):
    await rig.store.delete_user(ada.user.id, at_ms=0)

    with pytest.raises(CurrentPasswordError):
        await rig.account_changes.delete(ada, password="correct horse", address=HERE)


async def test_of_two_calls_that_delete_one_finds_the_user(rig, ada):
    rig.hasher.during_verify = lambda: rig.store.delete_user(ada.user.id, at_ms=0)

    with pytest.raises(InvalidSessionError):
        await rig.account_changes.delete(ada, password="correct horse", address=HERE)
