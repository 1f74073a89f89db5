"""The links that mails to users carry, in SQL: the port `MailLinkStore`.

A link is used up by the statement that finds it, so that it works once. Knows no engine
(`database.py`).
"""

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.mail.model import SealedLetter
from thingstead.features.users.model import LinkPurpose, MailLink, User
from thingstead.kernel.ids import UserId
from thingstead.storage.sql.changes import announce_about
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.outbox import put_letter
from thingstead.storage.sql.user_rows import USER_COLUMNS, has_user, user_of
from thingstead.storage.sql.user_tables import APP_USER, MAIL_LINK, SESSION


class SQLMailLinkStore:
    """Keeps links that mails carry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_mail_link(self, link: MailLink, letter: SealedLetter, *, at_ms: int) -> None:
        """Add a link and its letter; earlier links of the same purpose and user are void.

        For a user who was deleted meanwhile nothing is added.
        """
        async with self._database.writing() as connection:
            if not await has_user(connection, link.user_id):
                return
            await void_mail_links(connection, link.user_id, link.purpose)
            await insert_mail_link(connection, link)
            await put_letter(connection, letter, at_ms)

    async def user_of_link(self, digest: bytes, purpose: LinkPurpose, *, at_ms: int) -> User | None:
        """Return whose link it is, changing nothing; None when used, expired or unknown."""
        statement = (
            select(*USER_COLUMNS)
            .join_from(MAIL_LINK, APP_USER, MAIL_LINK.c.user_id == APP_USER.c.id)
            .where(
                MAIL_LINK.c.digest == digest,
                MAIL_LINK.c.purpose == purpose.value,
                MAIL_LINK.c.expires_at_ms > at_ms,
            )
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else user_of(row)

    async def confirm_address(self, digest: bytes, *, at_ms: int) -> User | None:
        """Use the link up and note that the address is the user's. Announced."""
        async with self._database.writing() as connection:
            user_id = await _use_up(connection, digest, LinkPurpose.CONFIRM, at_ms)
            if user_id is None:
                return None
            return await _confirm(connection, user_id, at_ms=at_ms)

    async def reset_password(
        self, digest: bytes, password_hash: str, *, letter: SealedLetter, at_ms: int
    ) -> User | None:
        """Use the link up, replace the hash, end every session; the address is confirmed too.

        Announced to other processes.
        """
        async with self._database.writing() as connection:
            user_id = await _use_up(connection, digest, LinkPurpose.RESET, at_ms)
            if user_id is None:
                return None
            await connection.execute(
                update(APP_USER).where(APP_USER.c.id == user_id).values(password_hash=password_hash)
            )
            await connection.execute(delete(SESSION).where(SESSION.c.user_id == user_id))
            await put_letter(connection, letter, at_ms)
            return await _confirm(connection, user_id, at_ms=at_ms)


async def insert_mail_link(connection: AsyncConnection, link: MailLink) -> None:
    """Add the link as part of the transaction."""
    await connection.execute(
        insert(MAIL_LINK).values(
            digest=link.digest,
            purpose=link.purpose.value,
            user_id=link.user_id,
            expires_at_ms=link.expires_at_ms,
        )
    )


async def void_mail_links(
    connection: AsyncConnection, user_id: UserId, purpose: LinkPurpose
) -> None:
    """Make the user's links of that purpose useless, as part of the transaction."""
    await connection.execute(
        delete(MAIL_LINK).where(
            MAIL_LINK.c.user_id == user_id, MAIL_LINK.c.purpose == purpose.value
        )
    )


async def _use_up(
    connection: AsyncConnection, digest: bytes, purpose: LinkPurpose, at_ms: int
) -> UserId | None:
    """Delete the link and return whose it was; None when it does not work."""
    statement = (
        delete(MAIL_LINK)
        .where(
            MAIL_LINK.c.digest == digest,
            MAIL_LINK.c.purpose == purpose.value,
            MAIL_LINK.c.expires_at_ms > at_ms,
        )
        .returning(MAIL_LINK.c.user_id)
    )
    found = (await connection.execute(statement)).scalar_one_or_none()
    return None if found is None else UserId(found)


async def _confirm(connection: AsyncConnection, user_id: UserId, *, at_ms: int) -> User:
    statement = (
        update(APP_USER)
        .where(APP_USER.c.id == user_id)
        .values(confirmed_at_ms=func.coalesce(APP_USER.c.confirmed_at_ms, at_ms))
        .returning(*USER_COLUMNS)
    )
    user = user_of((await connection.execute(statement)).one())
    await announce_about(connection, users=[user_id])
    return user
