"""A user's settings: members that their app keeps, and the one that changes the password.

`password` among the settings is how the original API changes it (`thethings-v2.md` 6.9). It
is taken out before anything else looks at the members, so that it can come into no store and
into no error's text. What names the account itself is dropped: nobody becomes an
administrator by a setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from thingstead.features.users.account_changes import AccountChanges
from thingstead.features.users.errors import (
    CurrentPasswordError,
    InvalidPasswordError,
    InvalidUserSettingsError,
)
from thingstead.features.users.limits import UserLimits
from thingstead.features.users.model import Caller
from thingstead.features.users.passwords import check_confirmation
from thingstead.features.users.ports import SettingsStore

MAX_NAME_CHARACTERS = 128
_PASSWORDS = frozenset({"password", "currentPassword", "confirmationPassword"})
_DROPPED = frozenset(
    {"roles", "email", "verified", "confirmed", "token", "appId", "app", "userId", "_id"}
)


class UserSettings:
    """Reads and changes the settings of users."""

    def __init__(self, store: SettingsStore, accounts: AccountChanges, limits: UserLimits) -> None:
        self._store = store
        self._accounts = accounts
        self._limits = limits

    async def of(self, caller: Caller) -> dict[str, object]:
        """Return the user's settings, in the order in which they were first set."""
        stored = await self._store.settings(caller.user.id)
        return {name: value for name, value in stored.items() if name not in _PASSWORDS}

    async def change(self, caller: Caller, members: Mapping[str, object], *, address: str) -> None:
        """Set the members named and keep the others; `password` changes the password.

        The values were checked for depth and texts. All that can be refused about a password
        is refused first, then the settings are stored, then the password is. If that last
        step fails, the same call may be made again and does the same; the other way round a
        user would be told of a failure and could not log in with the password they know.

        Raises:
            InvalidUserSettingsError, SettingsTooLargeError: the settings are refused.
            InvalidPasswordError, CurrentPasswordError, TooManyRequestsError,
            InvalidSessionError: as for `AccountChanges.change_password`.
        """
        wish = _password_wish(members)
        settings = {
            name: value
            for name, value in members.items()
            if name not in _PASSWORDS and name not in _DROPPED
        }
        _check_names(settings)
        prepared = None
        if wish is not None:
            prepared = await self._accounts.prepare_password(
                caller,
                wish.password,
                current=wish.current,
                must_have_current=caller.app.settings.needs_current_password,
                address=address,
            )
        if settings:
            await self._store.merge_settings(
                caller.user.id,
                settings,
                max_bytes=self._limits.settings_bytes,
                max_members=self._limits.settings_members,
            )
        if prepared is not None:
            await self._accounts.set_password(caller, prepared)


@dataclass(frozen=True, slots=True)
class _PasswordWish:
    password: str
    current: str | None


def _password_wish(members: Mapping[str, object]) -> _PasswordWish | None:
    if "password" not in members:
        return None
    password = members["password"]
    if not isinstance(password, str):
        raise InvalidPasswordError("password: a text is needed")
    if "confirmationPassword" in members:
        check_confirmation(password, members["confirmationPassword"])
    current = members.get("currentPassword")
    if current is not None and not isinstance(current, str):
        raise CurrentPasswordError("currentPassword: a text is needed")
    return _PasswordWish(password, current)


def _check_names(settings: Mapping[str, object]) -> None:
    if any(not 1 <= len(name) <= MAX_NAME_CHARACTERS for name in settings):
        raise InvalidUserSettingsError(f"a name has 1 to {MAX_NAME_CHARACTERS} characters")
