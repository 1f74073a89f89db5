"""Users and their password hashes in SQL: the port `AccountStore`.

That an address is an account of an app once is left to the table's constraint, which concurrent
calls cannot pass. Knows no engine (`database.py`), no password, and no letter's text.
"""

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.mail.model import SealedLetter
from thingstead.features.users.model import Account, LinkPurpose, MailLink, NewSession, Proof, User
from thingstead.kernel.ids import AppId, SessionId, UserId
from thingstead.storage.sql.changes import announce_about
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.grant_rows import drop_entries, passed_on_from, settle
from thingstead.storage.sql.mail_links import insert_mail_link, void_mail_links
from thingstead.storage.sql.outbox import put_letter
from thingstead.storage.sql.ownership import disown_all
from thingstead.storage.sql.purge import note_user_for_purging
from thingstead.storage.sql.sessions import end_sessions, has_session, insert_session
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
        session: NewSession | None,
        *,
        mail_link: MailLink | None,
        letter: SealedLetter | None,
    ) -> bool:
        """Add the user, with a first session or with none.

        Returns False, adding nothing, when the app has a user with this address. Of any number
        of concurrent calls one succeeds.
        """
        user = account.user
        try:
            async with self._database.writing() as connection:
                await _insert_user(connection, account)
                if session is not None:
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
        voids_resets: bool,
        letter: SealedLetter | None,
        at_ms: int,
    ) -> bool:
        """Replace the hash, end every session but `keep`, and void links that reset, if asked to.

        Returns False, changing nothing, when there is no such user, or when `keep` is no
        session of theirs any more. Announced to other processes.
        """
        statement = (
            update(APP_USER).where(APP_USER.c.id == user_id).values(password_hash=password_hash)
        )
        async with self._database.writing() as connection:
            if keep is not None and not await has_session(connection, user_id, keep, at_ms):
                return False
            if (await connection.execute(statement)).rowcount == 0:
                return False
            await end_sessions(connection, user_id, keep)
            if voids_resets:
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

    async def delete_user(self, user_id: UserId, *, at_ms: int, proof: Proof | None = None) -> bool:
        """Delete the user with all that is theirs, in one transaction.

        Returns False, deleting nothing, when there is no such user, or when the session or
        the password of `proof` is not theirs any more.
        Sessions, settings, mail links and collections go; things are unlinked, and what they
        wrote in the user's epochs is noted for purging, as is the user for their objects;
        grants given, those passed on from them, and grants received go. Announced to other
        processes. Things do not take statements of their own: everybody waits for the transaction.
        """
        async with self._database.writing() as connection:
            user = await locked_user(connection, user_id)
            if user is None:
                return False
            if proof is not None and not await _still_holds(connection, user_id, proof, at_ms):
                return False
            users = await disown_all(connection, user_id)
            users |= await _end_grants(connection, user)
            await announce_about(connection, users={user_id, *users})
            await note_user_for_purging(connection, user_id, at_ms)
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


async def _still_holds(
    connection: AsyncConnection, user_id: UserId, proof: Proof, at_ms: int
) -> bool:
    """Return whether neither the session has ended nor the password changed."""
    statement = select(APP_USER.c.id).where(
        APP_USER.c.id == user_id, APP_USER.c.password_hash == proof.password_hash
    )
    if (await connection.execute(statement)).one_or_none() is None:
        return False
    return await has_session(connection, user_id, proof.session_id, at_ms)


async def _end_grants(connection: AsyncConnection, user: User) -> set[UserId]:
    """End what the user gave and received, and what was passed on from it.

    Returns the users concerned.
    """
    of_user = USER_GRANT.c.giver_id == user.id
    if user.confirmed_at_ms is not None:
        # What waits for an address is nothing to who never showed that it is theirs.
        to_address = (USER_GRANT.c.app_id == user.app_id) & (USER_GRANT.c.email == user.email)
        of_user = or_(of_user, to_address)
    ended = GRANT_ENTRY.c.grant_id.in_(select(USER_GRANT.c.id).where(of_user))
    passed_on = await passed_on_from(connection, ended)
    users, grants = await drop_entries(connection, ended)
    return users | await settle(connection, passed_on.without(grants))


def _account(row: Row[*tuple[object, ...]] | None) -> Account | None:
    return None if row is None else Account(user_of(row), row.password_hash)
