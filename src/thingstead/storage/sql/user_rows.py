"""What several stores ask of the table of users, each within a transaction of its own."""

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.users.model import User
from thingstead.kernel.ids import AppId, UserId
from thingstead.storage.sql.user_tables import APP_USER

USER_COLUMNS = (
    APP_USER.c.id,
    APP_USER.c.app_id,
    APP_USER.c.email,
    APP_USER.c.created_at_ms,
    APP_USER.c.confirmed_at_ms,
)


def user_of(row: Row[*tuple[object, ...]]) -> User:
    """Return the user that a row with `USER_COLUMNS` holds."""
    return User(
        UserId(row.id), AppId(row.app_id), row.email, row.created_at_ms, row.confirmed_at_ms
    )


async def has_user(connection: AsyncConnection, user_id: UserId) -> bool:
    """Return whether there is such a user; nobody else changes them until the transaction ends."""
    statement = select(APP_USER.c.id).where(APP_USER.c.id == user_id).with_for_update()
    return (await connection.execute(statement)).one_or_none() is not None


async def locked_user(connection: AsyncConnection, user_id: UserId) -> User | None:
    """Return the user; nobody else changes them until the transaction ends."""
    statement = select(*USER_COLUMNS).where(APP_USER.c.id == user_id).with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else user_of(row)
