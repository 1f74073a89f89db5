"""Links in letters: forgotten passwords and addresses to confirm."""

from dataclasses import replace

import pytest

from thingstead.features.apps.errors import AppNotFoundError
from thingstead.features.users.errors import (
    InvalidPasswordError,
    InvalidSessionError,
    MailLinkNotFoundError,
    WrongPasswordError,
)
from thingstead.kernel.errors import TooManyRequestsError

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
NEW = "battery staple"
MINUTE = 60
DAY = 24 * 60 * MINUTE
UNKNOWN = "x" * 43


async def request(rig, email="ada@example.org", *, app=None, address=HERE):
    return await rig.request_reset(email, app=app, address=address)


async def test_a_letter_with_a_link_is_sent_to_the_account(rig, ada):
    await request(rig, " Ada@Example.org")

    occasion, reader, facts = rig.post()[-1]
    assert (occasion, reader, facts["app"]) == ("reset-password", "ada@example.org", "Greenhouse")
    assert facts["link"] == "/confirm/password/" + rig.link()
    assert await rig.recovery.reset_user(rig.link(), address=HERE) == ada.user


@pytest.mark.parametrize("email", ["ada@example.org", "bob@example.org", "no address"])
async def test_the_answer_tells_nothing_of_accounts_and_neither_does_its_time(rig, ada, email):
    assert await request(rig, email) is None

    assert rig.sleep.slept == [0.25]


@pytest.mark.parametrize("email", ["bob@example.org", "no address"])
async def test_nobody_else_gets_a_letter(rig, ada, email):
    await request(rig, email)

    assert len(rig.post()) == 1


async def test_the_answer_does_not_wait_for_the_letter(rig, ada):
    await rig.recovery.request_reset(rig.app.id, "ada@example.org", address=HERE)

    assert (len(rig.post()), rig.sleep.slept) == (1, [0.25])
    await rig.errands.do_waiting()
    assert len(rig.post()) == 2


async def test_a_stranger_who_uses_the_letters_up_leaves_the_owner_theirs(rig, ada):
    for _ in range(3):
        await request(rig, address=ELSEWHERE)
    of_stranger = len(rig.post())

    for _ in range(3):
        await request(rig, address=HERE)

    assert (of_stranger, len(rig.post())) == (3, 5)


async def test_resets_in_an_unknown_app_are_refused(rig, ada):
    with pytest.raises(AppNotFoundError):
        await request(rig, app=replace(rig.app, id="unknown"))


async def test_so_many_resets_can_be_asked_for_from_one_address(rig, ada):
    for number in range(4):
        await request(rig, f"user{number}@example.org")

    with pytest.raises(TooManyRequestsError, match="at most 4 password resets in an hour"):
        await request(rig)
    await request(rig, address=ELSEWHERE)


async def test_an_account_gets_so_many_letters_in_a_day_and_nobody_is_told(rig, ada):
    for _ in range(3):
        assert await request(rig) is None
    within_a_day = len(rig.post())

    rig.clock.advance(DAY / 2)
    await request(rig)

    assert (within_a_day, len(rig.post())) == (3, 4)


async def test_a_reset_sets_the_password_and_confirms_the_address(rig, ada):
    await request(rig)

    user = await rig.recovery.reset(rig.link(), NEW, address=HERE)

    assert user == replace(ada.user, confirmed_at_ms=rig.clock.now_ms())
    assert await rig.login(password=NEW)
    with pytest.raises(WrongPasswordError):
        await rig.login()


async def test_a_reset_ends_every_session_at_once(rig):
    token = (await rig.register()).token
    await rig.authenticate(token)
    await request(rig)

    await rig.recovery.reset(rig.link(), NEW, address=HERE)

    assert rig.sessions.known(token) is None
    with pytest.raises(InvalidSessionError):
        await rig.authenticate(token)


async def test_the_user_hears_of_the_new_password(rig, ada):
    await request(rig)

    await rig.recovery.reset(rig.link(), NEW, address=HERE)

    assert rig.post()[-1] == ("password-changed", "ada@example.org", {"app": "Greenhouse"})


async def test_a_reset_link_works_once(rig, ada):
    await request(rig)
    link = rig.link()
    await rig.recovery.reset(link, NEW, address=HERE)

    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.reset(link, "third password", address=HERE)
    assert await rig.login(password=NEW)


async def test_of_two_who_use_a_link_at_once_one_succeeds(rig, ada):
    await request(rig)
    link = rig.link()

    async def be_second():
        rig.store.before.clear()
        await rig.recovery.reset(link, "third password", address=HERE)

    rig.store.before["reset_password"] = be_second

    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.reset(link, NEW, address=HERE)
    assert await rig.login(password="third password")


async def test_a_password_that_cannot_be_used_leaves_the_link_good(rig, ada):
    await request(rig)
    link = rig.link()

    with pytest.raises(InvalidPasswordError):
        await rig.recovery.reset(link, "short", address=HERE)

    assert await rig.recovery.reset(link, NEW, address=HERE)


async def test_a_reset_link_lasts_30_minutes(rig, ada):
    await request(rig)
    link = rig.link()

    rig.clock.advance(30 * MINUTE - 1)
    assert await rig.recovery.reset_user(link, address=HERE)
    rig.clock.advance(1)
    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.reset_user(link, address=HERE)


async def test_a_newer_link_voids_the_older_one(rig, ada):
    await request(rig)
    older = rig.link()

    await request(rig)

    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.reset(older, NEW, address=HERE)
    assert await rig.recovery.reset(rig.link(), NEW, address=HERE)


@pytest.mark.parametrize("token", ["", "short", UNKNOWN])
@pytest.mark.parametrize("call", ["reset_user", "reset", "confirm_user", "confirm"])
async def test_unknown_links_are_refused(rig, ada, call, token):
    password = [NEW] if call == "reset" else []

    with pytest.raises(MailLinkNotFoundError):
        await getattr(rig.recovery, call)(token, *password, address=HERE)


@pytest.mark.parametrize("call", ["reset_user", "reset", "confirm_user", "confirm"])
async def test_so_many_unknown_links_are_tried_from_one_address(rig, ada, call):
    password = [NEW] if call == "reset" else []
    for _ in range(2):
        with pytest.raises(MailLinkNotFoundError):
            await rig.recovery.confirm(UNKNOWN, address=HERE)

    with pytest.raises(TooManyRequestsError, match="at most 60 links in a minute"):
        await getattr(rig.recovery, call)(UNKNOWN, *password, address=HERE)
    with pytest.raises(MailLinkNotFoundError):
        await getattr(rig.recovery, call)(UNKNOWN, *password, address=ELSEWHERE)


async def test_an_unknown_link_never_asks_to_write(rig, ada):
    async def fail():
        raise AssertionError

    rig.store.before = dict.fromkeys(["confirm_address", "reset_password"], fail)

    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.confirm(UNKNOWN, address=HERE)
    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.reset(UNKNOWN, NEW, address=HERE)


async def test_of_two_who_confirm_with_one_link_at_once_one_succeeds(rig, ada):
    link = rig.link()

    async def be_second():
        rig.store.before.clear()
        await rig.recovery.confirm(link, address=HERE)

    rig.store.before["confirm_address"] = be_second

    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.confirm(link, address=HERE)


async def test_an_account_is_unconfirmed_until_its_address_is_shown_to_be_its_users(rig, ada):
    before = await rig.recovery.unconfirmed_account(rig.app.id, "ada@example.org")
    await rig.recovery.confirm(rig.link(), address=HERE)

    assert before == ada.user
    assert await rig.recovery.unconfirmed_account(rig.app.id, "ada@example.org") is None
    assert await rig.recovery.unconfirmed_account(rig.app.id, "bob@example.org") is None


async def test_an_unknown_link_costs_no_hash(rig, ada):
    before = rig.hasher.hashed

    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.reset(UNKNOWN, NEW, address=HERE)

    assert rig.hasher.hashed == before


async def test_a_link_is_good_for_its_own_purpose_only(rig, ada):
    confirming = rig.link()
    await request(rig)

    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.reset(confirming, NEW, address=HERE)
    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.confirm(rig.link(), address=HERE)


async def test_a_link_confirms_the_address_once(rig):
    token = (await rig.register()).token
    caller = await rig.authenticate(token)
    link = rig.link()

    user = await rig.recovery.confirm(link, address=HERE)

    assert user == replace(caller.user, confirmed_at_ms=rig.clock.now_ms())
    assert (await rig.authenticate(token)).user == user
    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.confirm(link, address=HERE)


async def test_looking_at_a_link_changes_nothing(rig, ada):
    link = rig.link()

    assert await rig.recovery.confirm_user(link, address=HERE) == ada.user
    assert await rig.recovery.confirm_user(link, address=HERE) == ada.user


async def test_a_link_to_confirm_lasts_a_day(rig, ada):
    link = rig.link()

    rig.clock.advance(DAY - 1)
    assert await rig.recovery.confirm_user(link, address=HERE)
    rig.clock.advance(1)
    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.confirm(link, address=HERE)


async def test_another_letter_to_confirm_can_be_asked_for(rig, ada):
    older = rig.link()

    await rig.recovery.request_confirmation(ada)

    assert rig.post()[-1][0] == "confirm-address"
    with pytest.raises(MailLinkNotFoundError):
        await rig.recovery.confirm(older, address=HERE)
    assert await rig.recovery.confirm(rig.link(), address=HERE)


async def test_letters_to_confirm_have_an_end(rig, ada):
    await rig.recovery.request_confirmation(ada)

    with pytest.raises(TooManyRequestsError, match="at most 2 letters to confirm"):
        await rig.recovery.request_confirmation(ada)

    assert len(rig.post()) == 2


async def test_a_confirmed_address_gets_no_letter(rig, ada):
    confirmed = await rig.recovery.confirm(rig.link(), address=HERE)

    for _ in range(5):
        await rig.recovery.request_confirmation(replace(ada, user=confirmed))

    assert len(rig.post()) == 1
