"""Registering and logging in, and what they tell about other people's accounts."""

import asyncio
from dataclasses import replace

import pytest

from thingstead.features.apps.errors import AppNotFoundError
from thingstead.features.users.errors import (
    InvalidEmailError,
    InvalidPasswordError,
    InvalidSessionError,
    UserExistsError,
    WrongPasswordError,
)
from thingstead.kernel.changes import Kind
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError, TooManyRequestsError
from thingstead.kernel.ids import is_session_shaped, is_token_shaped

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


async def test_a_new_user_is_logged_in(rig):
    logged_in = await rig.register("Ada@Example.org", label="Phone")

    caller = logged_in.caller
    assert is_session_shaped(logged_in.token)
    assert await rig.authenticate(logged_in.token) == caller
    assert (caller.user.email, caller.app) == ("ada@example.org", rig.app)
    assert caller.user.created_at_ms == rig.clock.now_ms()
    assert caller.user.confirmed_at_ms is None
    (session,) = await rig.sessions.list(caller)
    assert (session.id, session.label) == (caller.session_id, "Phone")


async def test_a_new_user_gets_a_letter_that_confirms_the_address(rig, ada):
    ((occasion, reader, facts),) = rig.post()

    assert (occasion, reader, facts["app"]) == ("confirm-address", "ada@example.org", "Greenhouse")
    assert facts["link"] == "/confirm/email/" + rig.link()
    assert is_token_shaped(rig.link())
    assert (await rig.recovery.confirm_user(rig.link(), address=HERE)) == ada.user


async def test_the_password_is_kept_as_a_hash_only(rig, ada):
    (account,) = rig.store.accounts.values()

    assert account.password_hash == "v1:correct horse"


async def test_an_address_can_register_in_two_apps(rig, ada):
    other = await rig.apps.create("Other")

    logged_in = await rig.register(app=other)

    assert logged_in.caller.user.id != ada.user.id


async def test_a_registered_address_is_refused_after_the_same_work(rig, ada):
    before = rig.hasher.hashed

    with pytest.raises(UserExistsError):
        await rig.register("ADA@example.org", "another password")

    assert rig.hasher.hashed == before + 1
    assert len(rig.post()) == 1


@pytest.mark.parametrize(
    ("email", "password", "error"),
    [
        ("ada", "correct horse", InvalidEmailError),
        ("ada@example.org", "short", InvalidPasswordError),
        ("ada@example.org", "password123", InvalidPasswordError),
    ],
)
async def test_what_cannot_be_registered_costs_no_hash(rig, email, password, error):
    with pytest.raises(error):
        await rig.register(email, password)

    assert rig.hasher.hashed == 0


@pytest.mark.parametrize("call", ["register", "login"])
async def test_an_unknown_app_is_refused(rig, call):
    with pytest.raises(AppNotFoundError):
        await getattr(rig, call)(app=replace(rig.app, id="unknown"))

    assert (rig.hasher.hashed, rig.hasher.verified) == (0, 0)


async def test_so_many_can_register_from_one_address(rig):
    for number in range(4):
        await rig.register(f"user{number}@example.org")

    with pytest.raises(TooManyRequestsError, match="at most 4 registrations in an hour"):
        await rig.register()
    await rig.register(address=ELSEWHERE)


async def test_an_address_that_got_many_letters_registers_without_one(rig):
    for _ in range(2):
        caller = (await rig.register()).caller
        await rig.store.delete_user(caller.user.id, at_ms=0)

    await rig.register()

    assert len(rig.post()) == 2


async def test_registering_somebody_again_takes_no_letter_away(rig, ada):
    for _ in range(3):
        with pytest.raises(UserExistsError):
            await rig.register()

    await rig.recovery.request_confirmation(ada)

    assert len(rig.post()) == 2


async def test_registering_again_without_a_letter_left_is_refused_alike(rig, ada):
    await rig.recovery.request_confirmation(ada)

    with pytest.raises(UserExistsError):
        await rig.register()


async def test_an_app_that_hides_accounts_answers_a_registered_address_as_a_new_one(rig):
    hiding = await rig.hiding_app()

    answers = [await rig.register(app=hiding), await rig.register(app=hiding, password="x" * 8)]
    await rig.errands.do_waiting()

    for got in answers:
        assert is_session_shaped(got.token)
        assert got.caller is None
        with pytest.raises(InvalidSessionError):
            await rig.authenticate(got.token)
    assert rig.post()[1:] == [("registered-again", "ada@example.org", {"app": "Hidden"})]


async def test_an_app_that_hides_accounts_opens_no_session_before_the_address_is_confirmed(rig):
    hiding = await rig.hiding_app()
    await rig.register(app=hiding)

    with pytest.raises(WrongPasswordError) as caught:
        await rig.login(app=hiding)
    await rig.recovery.confirm(rig.link(), address=HERE)

    assert str(caught.value) == "Invalid email or password"
    assert rig.hasher.verified == 1
    assert rig.store.open == {}
    assert await rig.login(app=hiding)


async def test_the_answer_does_not_wait_for_the_letter_that_only_an_owner_gets(rig):
    hiding = await rig.hiding_app()
    await rig.register(app=hiding)

    await rig.register(app=hiding)

    assert len(rig.post()) == 1
    await rig.errands.do_waiting()
    assert len(rig.post()) == 2


async def test_an_app_that_hides_accounts_takes_as_long_for_both(rig):
    hiding = await rig.hiding_app()

    await rig.register(app=hiding)
    await rig.register(app=hiding)

    assert rig.sleep.slept == [0.25, 0.25]


async def test_the_owner_hears_of_it_once_a_day(rig):
    hiding = await rig.hiding_app()
    for _ in range(3):
        await rig.register(app=hiding)
        await rig.errands.do_waiting()
    within_a_day = len(rig.post())

    rig.clock.advance(86_401)
    await rig.register(app=hiding)
    await rig.errands.do_waiting()

    assert (within_a_day, len(rig.post())) == (2, 3)


async def test_a_login_alone_is_no_change_of_the_user(rig, ada):
    told = []
    rig.changes.listen(Kind.USER, told.append)

    await rig.login()

    assert told == []


async def test_a_login_opens_a_session_of_its_own(rig, ada):
    logged_in = await rig.login(" ADA@example.org", label="Tablet")

    assert logged_in.caller.user == ada.user
    assert logged_in.caller.session_id != ada.session_id
    assert await rig.authenticate(logged_in.token) == logged_in.caller
    assert [session.label for session in await rig.sessions.list(ada)] == ["Tablet", ""]


async def test_a_password_may_be_typed_in_parts(rig):
    await rig.register(password="p\u00e4sswords")

    assert await rig.login(password="pa\u0308sswords")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.org", "wrong horse"),
        ("bob@example.org", "correct horse"),
        ("no address", "correct horse"),
    ],
)
async def test_a_wrong_login_says_the_same_after_the_same_work(rig, ada, email, password):
    with pytest.raises(WrongPasswordError) as caught:
        await rig.login(email, password)

    assert str(caught.value) == "Invalid email or password"
    assert rig.hasher.verified == 1


async def test_a_password_that_nobody_can_have_is_wrong_without_work(rig, ada):
    with pytest.raises(WrongPasswordError):
        await rig.login(password="x" * 129)

    assert rig.hasher.verified == 0


async def test_a_user_of_one_app_is_none_of_another(rig, ada):
    other = await rig.apps.create("Other")

    with pytest.raises(WrongPasswordError):
        await rig.login(app=other)


@pytest.mark.parametrize("email", ["ada@example.org", "bob@example.org", "no address"])
async def test_too_many_wrong_logins_are_refused_without_work(rig, ada, email):
    for _ in range(3):
        with pytest.raises(WrongPasswordError):
            await rig.login(email, "wrong horse")

    with pytest.raises(TooManyRequestsError):
        await rig.login(email)

    assert rig.hasher.verified == 3


async def test_the_owner_gets_in_from_elsewhere_while_somebody_guesses(rig, ada):
    for _ in range(3):
        with pytest.raises(WrongPasswordError):
            await rig.login(password="wrong horse")

    assert await rig.login(address=ELSEWHERE)


@pytest.mark.parametrize("hides_accounts", [False, True])
async def test_the_address_of_the_registration_is_familiar(rig, hides_accounts):
    app = await rig.hiding_app() if hides_accounts else rig.app
    await rig.register(app=app)
    await rig.recovery.confirm(rig.link(), address=HERE)
    for number in range(6):
        with pytest.raises(WrongPasswordError):
            await rig.login(app=app, password="wrong horse", address=f"203.0.113.{number}")
    rig.sleep.slept.clear()

    await rig.login(app=app)
    at_home = list(rig.sleep.slept)
    await rig.login(app=app, address=ELSEWHERE)

    assert (at_home, rig.sleep.slept) == ([], [0.25])


async def test_asking_for_unknown_apps_is_paid_for(rig):
    unknown = replace(rig.app, id="unknown")
    for _ in range(3):
        with pytest.raises(AppNotFoundError):
            await rig.login(app=unknown)

    with pytest.raises(TooManyRequestsError):
        await rig.login(app=unknown)


async def test_a_busy_hasher_costs_the_client_nothing(rig, ada):
    rig.hasher.is_overloaded = True
    for _ in range(5):
        with pytest.raises(OverloadedError):
            await rig.login()

    rig.hasher.is_overloaded = False

    assert await rig.login()


async def test_an_old_hash_is_made_anew(rig, ada):
    rig.hasher.version = 2

    await rig.login()

    assert rig.store.accounts[ada.user.id].password_hash == "v2:correct horse"
    assert rig.hasher.verified == 1


async def test_a_busy_hasher_leaves_an_old_hash_for_another_time(rig, ada):
    rig.hasher.version = 2
    rig.hasher.hash_is_overloaded = True

    assert await rig.login()
    assert rig.store.accounts[ada.user.id].password_hash == "v1:correct horse"


async def test_beyond_the_most_sessions_the_longest_unused_ends_at_once(rig):
    first = await rig.register()
    await rig.authenticate(first.token)
    rig.clock.advance(1)

    others = [await rig.login() for _ in range(3)]

    assert rig.sessions.known(first.token) is None
    with pytest.raises(InvalidSessionError):
        await rig.authenticate(first.token)
    for other in others:
        assert await rig.authenticate(other.token)


async def change_meanwhile(rig, user_id, password_hash):
    await rig.store.set_password(
        user_id, password_hash, keep=None, voids_resets=True, letter=None, at_ms=0
    )


async def test_a_password_changed_during_a_login_leaves_no_session_behind(rig, ada):
    rig.hasher.during_verify = lambda: change_meanwhile(rig, ada.user.id, "v1:new password")

    with pytest.raises(WrongPasswordError):
        await rig.login()

    assert rig.store.open == {}


async def test_a_user_deleted_during_a_login_is_not_logged_in(rig, ada):
    rig.hasher.during_verify = lambda: rig.store.delete_user(ada.user.id, at_ms=0)

    with pytest.raises(WrongPasswordError):
        await rig.login()

    assert rig.store.open == {}


async def test_a_hash_made_anew_by_another_login_disturbs_none(rig, ada):
    rehash = rig.store.rehash(ada.user.id, old="v1:correct horse", new="v2:correct horse")
    rig.hasher.during_verify = lambda: rehash

    logged_in = await rig.login()

    assert await rig.authenticate(logged_in.token)


async def test_a_store_that_fails_during_a_login_costs_the_client_nothing(rig, ada):
    async def fail():
        raise StoreUnavailableError

    rig.store.before["add_session"] = fail
    for _ in range(5):
        with pytest.raises(StoreUnavailableError):
            await rig.login()
    rig.store.before.clear()

    assert await rig.login()


async def test_of_two_registrations_of_one_address_one_succeeds(rig):
    results = await asyncio.gather(rig.register(), rig.register(), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["LoggedIn", "UserExistsError"]


async def test_hashing_is_paid_for_by_the_callers_address(rig):
    caller = (await rig.register(address="a")).caller
    rig.hasher.version = 2
    await rig.login(address="b")
    await rig.account_changes.change_password(
        caller, "battery staple", current="correct horse", must_have_current=False, address="c"
    )
    await rig.request_reset(address="d")
    await rig.recovery.reset(rig.link(), "third password", address="e")

    assert rig.hasher.payers == ["a", "b", "b", "c", "c", "e"]
