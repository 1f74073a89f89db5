"""Settings, and the password among them."""

import pytest

from thingstead.features.apps.model import AppChange, AppSettings
from thingstead.features.users.errors import (
    CurrentPasswordError,
    InvalidPasswordError,
    InvalidSessionError,
    InvalidUserSettingsError,
    SettingsTooLargeError,
)

HERE = "192.0.2.1"
NEW = "battery staple"
CANARY = "canary canary"


async def change(rig, caller, members):
    await rig.settings.change(caller, members, address=HERE)


async def test_a_new_user_has_no_settings(rig, ada):
    assert await rig.settings.of(ada) == {}


async def test_members_named_are_set_and_others_kept(rig, ada):
    await change(rig, ada, {"language": "en", "thing": 1})

    await change(rig, ada, {"thing": {"id": 2}})

    assert await rig.settings.of(ada) == {"language": "en", "thing": {"id": 2}}


async def test_settings_are_the_users_own(rig, ada):
    bob = (await rig.register("bob@example.org")).caller

    await change(rig, ada, {"language": "en"})

    assert await rig.settings.of(bob) == {}


@pytest.mark.parametrize(
    "name",
    ["roles", "email", "verified", "confirmed", "token", "appId", "app", "userId", "_id"],
)
async def test_what_names_the_account_is_dropped(rig, ada, name):
    await change(rig, ada, {name: "admin", "language": "en"})

    assert await rig.settings.of(ada) == {"language": "en"}


async def test_the_password_among_the_settings_becomes_the_users(rig, ada):
    await change(rig, ada, {"password": NEW, "language": "en"})

    assert await rig.login(password=NEW)
    assert await rig.settings.of(ada) == {"language": "en"}
    assert rig.post()[-1][0] == "password-changed"


@pytest.mark.parametrize("name", ["password", "currentPassword", "confirmationPassword"])
async def test_no_password_is_ever_returned(rig, ada, name):
    rig.store.settings_of[ada.user.id] = {name: "imported", "language": "en"}

    assert await rig.settings.of(ada) == {"language": "en"}


async def test_no_password_is_ever_kept_among_the_settings(rig, ada):
    await change(rig, ada, {"currentPassword": CANARY, "confirmationPassword": CANARY})
    await change(
        rig,
        ada,
        {"password": NEW, "currentPassword": "correct horse", "confirmationPassword": NEW},
    )

    assert rig.store.settings_of == {}
    assert await rig.login(password=NEW)


async def test_the_current_password_is_checked_when_it_is_sent(rig, ada):
    with pytest.raises(CurrentPasswordError):
        await change(rig, ada, {"password": NEW, "currentPassword": "wrong horse"})

    assert await rig.login()


async def test_an_app_can_call_for_the_current_password(rig):
    settings = AppSettings(needs_current_password=True)
    await rig.apps.change(rig.app.id, AppChange(settings=settings))
    ada = (await rig.register()).caller

    with pytest.raises(CurrentPasswordError):
        await change(rig, ada, {"password": NEW})
    await change(rig, ada, {"password": NEW, "currentPassword": "correct horse"})

    assert await rig.login(password=NEW)


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"password": None}, InvalidPasswordError),
        ({"password": 12345678}, InvalidPasswordError),
        ({"password": [CANARY]}, InvalidPasswordError),
        ({"password": "canary"}, InvalidPasswordError),
        ({"password": CANARY, "confirmationPassword": NEW}, InvalidPasswordError),
        ({"password": CANARY, "confirmationPassword": None}, InvalidPasswordError),
        ({"password": NEW, "currentPassword": [CANARY]}, CurrentPasswordError),
        ({"password": NEW, "currentPassword": CANARY}, CurrentPasswordError),
        ({"password": CANARY, "": 1}, InvalidUserSettingsError),
        ({"password": CANARY, "x": "x" * 300}, SettingsTooLargeError),
    ],
)
async def test_what_is_refused_stores_nothing_and_quotes_no_password(rig, ada, members, error):
    with pytest.raises(error) as caught:
        await change(rig, ada, {"language": "en", **members})

    assert "canary" not in str(caught.value)
    assert await rig.settings.of(ada) == {}
    assert rig.store.accounts[ada.user.id].password_hash == "v1:correct horse"


async def test_a_name_has_1_to_128_characters(rig, ada):
    await change(rig, ada, {"x" * 128: 1})
    with pytest.raises(InvalidUserSettingsError, match="1 to 128"):
        await change(rig, ada, {"x" * 129: 1})
    with pytest.raises(InvalidUserSettingsError, match="1 to 128"):
        await change(rig, ada, {"": 1})


async def test_the_limits_are_passed_to_the_store(rig, ada):
    await change(rig, ada, {"a": 1, "b": 2, "c": 3})

    with pytest.raises(SettingsTooLargeError):
        await change(rig, ada, {"d": 4})


async def test_settings_are_stored_when_the_password_can_no_longer_be(rig, ada):
    rig.store.before["set_password"] = lambda: rig.store.delete_user(ada.user.id, at_ms=0)

    with pytest.raises(InvalidSessionError):
        await change(rig, ada, {"password": NEW, "language": "en"})

    assert await rig.settings.of(ada) == {"language": "en"}
