"""Users and their password hashes in SQL: the port `AccountStore`.

That an address is an account of an app once is left to the table's constraint, which concurrent
calls cannot pass. Knows no engine (`database.py`), no password, and no letter's text.
"""

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.mail.model import SealedLetter
from thingstead.features.users.model import Account, LinkPurpose, MailLink, NewSession, User
from thingstead.kernel.ids import AppId, SessionId, UserId
from thingstead.storage.sql.changes import announce_about
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.grant_rows import drop_entries, settle
from thingstead.storage.sql.mail_links import insert_mail_link, void_mail_links
from thingstead.storage.sql.objects import delete_objects_of
from thingstead.storage.sql.outbox import put_letter
from thingstead.storage.sql.ownership import disown, owned_things
from thingstead.storage.sql.purge import note_epochs_for_purging
from thingstead.storage.sql.sessions import end_sessions, insert_session
from thingstead.storage.sql.sharing_tables import GRANT_ENTRY, LINK_CLAIM, USER_GRANT
from thingstead.storage.sql.user_rows import locked_user, user_of
from thingstead.storage.sql.user_tables import APP_USER, MAIL_LINK, SESSION, USER_SETTING


class SQLAccountStore:
    """Keeps users and their password hashes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_user(
        self,
        account: Account,
        session: NewSession,
        *,
        mail_link: MailLink | None,
        letter: SealedLetter | None,
    ) -> bool:
        """Add the user with a first session.

        Returns False, adding nothing, when the app has a user with this address. Of any number
        of concurrent calls one succeeds.
        """
        user = account.user
        try:
            async with self._database.writing() as connection:
                await _insert_user(connection, account)
                await insert_session(connection, session)
                if mail_link is not None:
                    await insert_mail_link(connection, mail_link)
                if letter is not None:
                    await put_letter(connection, letter, user.created_at_ms)
        except IntegrityError:
            # Another constraint, such as the app's, is a mistake of the caller's.
            if await self.account(user.app_id, user.email) is None:
                raise
            return False
        return True

    async def account(self, app_id: AppId, email: str) -> Account | None:
        """Return the app's user with that address."""
        statement = select(APP_USER).where(APP_USER.c.app_id == app_id, APP_USER.c.email == email)
        async with self._database.reading() as connection:
            return _account((await connection.execute(statement)).one_or_none())

    async def account_of(self, user_id: UserId) -> Account | None:
        """Return the user with that id."""
        statement = select(APP_USER).where(APP_USER.c.id == user_id)
        async with self._database.reading() as connection:
            return _account((await connection.execute(statement)).one_or_none())

    async def set_password(
        self,
        user_id: UserId,
        password_hash: str,
        *,
        keep: SessionId | None,
        letter: SealedLetter | None,
        at_ms: int,
    ) -> bool:
        """Replace the hash, end every session but `keep`, and void links that reset.

        Returns False when there is no such user. Announced to other processes.
        """
        statement = (
            update(APP_USER).where(APP_USER.c.id == user_id).values(password_hash=password_hash)
        )
        async with self._database.writing() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                return False
            await end_sessions(connection, user_id, keep)
            await void_mail_links(connection, user_id, LinkPurpose.RESET)
            if letter is not None:
                await put_letter(connection, letter, at_ms)
            await announce_about(connection, users=[user_id])
        return True

    async def rehash(self, user_id: UserId, *, old: str, new: str) -> None:
        """Replace the hash, if it still is `old`, by another of the same password."""
        statement = (
            update(APP_USER)
            .where(APP_USER.c.id == user_id, APP_USER.c.password_hash == old)
            .values(password_hash=new)
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def note_letter(self, letter: SealedLetter, *, at_ms: int) -> None:
        """Put a letter into the outbox that no other change calls for."""
        async with self._database.writing() as connection:
            await put_letter(connection, letter, at_ms)

    async def delete_user(self, user_id: UserId, *, at_ms: int) -> bool:
        """Delete the user with all that is theirs, in one transaction.

        Sessions, settings, mail links and collections go; things are unlinked, and what they
        wrote in the user's epochs is noted for purging; grants given, those passed on from
        them, and grants received go. Announced to other processes.
        """
        async with self._database.writing() as connection:
            user = await locked_user(connection, user_id)
            if user is None:
                return False
            for thing_id in await owned_things(connection, user_id):
                await disown(connection, user_id, thing_id)
            await note_epochs_for_purging(connection, user_id, at_ms)
            await _end_grants(connection, user)
            await delete_objects_of(connection, user_id)
            for table in (SESSION, MAIL_LINK, USER_SETTING, LINK_CLAIM):
                await connection.execute(delete(table).where(table.c.user_id == user_id))
            await connection.execute(delete(APP_USER).where(APP_USER.c.id == user_id))
        return True


async def _insert_user(connection: AsyncConnection, account: Account) -> None:
    user = account.user
    await connection.execute(
        insert(APP_USER).values(
            id=user.id,
            app_id=user.app_id,
            email=user.email,
            password_hash=account.password_hash,
            created_at_ms=user.created_at_ms,
            confirmed_at_ms=user.confirmed_at_ms,
        )
    )


async def _end_grants(connection: AsyncConnection, user: User) -> None:
    """End what the user gave and received, and what was passed on from it. Announced."""
    of_user = USER_GRANT.c.giver_id == user.id
    if user.confirmed_at_ms is not None:
        # What waits for an address is nothing to who never showed that it is theirs.
        to_address = (USER_GRANT.c.app_id == user.app_id) & (USER_GRANT.c.email == user.email)
        of_user = or_(of_user, to_address)
    grants = select(USER_GRANT.c.id).where(of_user)
    things, users = await drop_entries(connection, GRANT_ENTRY.c.grant_id.in_(grants))
    users |= await settle(connection, things)
    await announce_about(connection, users={user.id, *users})


def _account(row: Row[*tuple[object, ...]] | None) -> Account | None:
    return None if row is None else Account(user_of(row), row.password_hash)
