"""The users' settings in SQL: the port `SettingsStore`. Knows no engine (`database.py`).

One JSON text a user. A merge reads and writes it in one transaction that has locked the user.
"""

import json
from collections.abc import Mapping

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.users.errors import SettingsTooLargeError
from thingstead.kernel.ids import UserId
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.user_rows import has_user
from thingstead.storage.sql.user_tables import USER_SETTING


class SQLSettingsStore:
    """Keeps the users' settings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self, user_id: UserId) -> dict[str, object]:
        """Return the user's settings, in the order in which they were first set."""
        async with self._database.reading() as connection:
            return await _members(connection, user_id) or {}

    async def merge_settings(
        self,
        user_id: UserId,
        members: Mapping[str, object],
        *,
        max_bytes: int,
        max_members: int,
    ) -> None:
        """Set the members named, keep the others; of parallel merges none is lost.

        For a user who was deleted meanwhile nothing is stored.

        Raises:
            SettingsTooLargeError: they would become too large or too many; nothing is stored.
        """
        async with self._database.writing() as connection:
            if not await has_user(connection, user_id):
                return
            present = await _members(connection, user_id)
            text = _bounded_text((present or {}) | dict(members), max_bytes, max_members)
            if present is None:
                await connection.execute(insert(USER_SETTING).values(user_id=user_id, members=text))
                return
            await connection.execute(
                update(USER_SETTING).where(USER_SETTING.c.user_id == user_id).values(members=text)
            )


async def _members(connection: AsyncConnection, user_id: UserId) -> dict[str, object] | None:
    statement = select(USER_SETTING.c.members).where(USER_SETTING.c.user_id == user_id)
    text = (await connection.execute(statement)).scalar_one_or_none()
    if text is None:
        return None
    members: dict[str, object] = json.loads(text)
    return members


def _bounded_text(members: Mapping[str, object], max_bytes: int, max_members: int) -> str:
    """Return the members as compact JSON, or raise SettingsTooLargeError."""
    if len(members) > max_members:
        raise SettingsTooLargeError(f"more than {max_members} members")
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if len(text.encode()) > max_bytes:
        raise SettingsTooLargeError(f"more than {max_bytes} bytes")
    return text
