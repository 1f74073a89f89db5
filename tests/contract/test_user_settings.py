"""What every store of users' settings promises."""

import asyncio

import pytest

from thingstead.features.users.errors import SettingsTooLargeError
from thingstead.kernel.ids import UserId


@pytest.fixture
async def ada(make):
    return await make.user("ada")


async def merge(core, user_id, members, *, max_bytes=1_000, max_members=100):
    await core.user_settings.merge_settings(
        user_id, members, max_bytes=max_bytes, max_members=max_members
    )


async def test_a_user_has_no_settings_at_first(core, ada):
    assert await core.user_settings.settings(ada.id) == {}


async def test_members_that_are_not_named_stay_in_their_order(core, ada):
    await merge(core, ada.id, {"b": 1, "a": {"x": [None, True, 1.5, "ü 🌡"]}})

    await merge(core, ada.id, {"c": 2**60, "b": "one"})

    settings = await core.user_settings.settings(ada.id)
    assert list(settings.items()) == [
        ("b", "one"),
        ("a", {"x": [None, True, 1.5, "ü 🌡"]}),
        ("c", 2**60),
    ]


async def test_settings_are_each_users_own(core, make, ada):
    bob = await make.user("bob")

    await merge(core, ada.id, {"a": 1})

    assert await core.user_settings.settings(bob.id) == {}


async def test_of_many_parallel_merges_none_is_lost(open_again, core, ada):
    other = await open_again()

    await asyncio.gather(
        *(
            merge(process, ada.id, {f"m{number}": number})
            for number, process in enumerate([core, other] * 25)
        )
    )

    expected = {f"m{number}": number for number in range(50)}
    assert await core.user_settings.settings(ada.id) == expected


async def test_as_many_members_as_may_be_are_stored_and_one_more_is_refused(core, ada):
    await merge(core, ada.id, {"a": 1, "b": 2}, max_members=2)

    with pytest.raises(SettingsTooLargeError):
        await merge(core, ada.id, {"a": 3, "c": 3}, max_members=2)

    assert await core.user_settings.settings(ada.id) == {"a": 1, "b": 2}


async def test_settings_as_large_as_may_be_are_stored_and_one_byte_more_is_refused(core, ada):
    await merge(core, ada.id, {"a": "ü"}, max_bytes=len('{"a":"ü"}'.encode()))

    with pytest.raises(SettingsTooLargeError):
        await merge(core, ada.id, {"a": "üx"}, max_bytes=len('{"a":"ü"}'.encode()))

    assert await core.user_settings.settings(ada.id) == {"a": "ü"}


async def test_a_user_who_is_gone_gets_no_settings(core):
    await merge(core, UserId("nobody"), {"a": 1})

    assert await core.user_settings.settings(UserId("nobody")) == {}
