"""The mail outbox in SQL: the port of `features/mail/ports.py`.

Other stores put letters in, in the transaction that makes them due. Knows no engine
(`database.py`) and opens no letter.
"""

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.mail.model import LetterState, Occasion, SealedLetter, WaitingLetter
from thingstead.kernel.changes import Change, Kind
from thingstead.storage.sql.changes import announce
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.user_tables import LETTER


class SQLOutbox:
    """Keeps letters until they are delivered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, *, at_ms: int, limit: int) -> list[WaitingLetter]:
        """Return waiting letters whose time has come, the longest due first."""
        statement = (
            select(LETTER)
            .where(LETTER.c.state == LetterState.WAITING.value, LETTER.c.due_at_ms <= at_ms)
            .order_by(LETTER.c.due_at_ms, LETTER.c.id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [_letter(row) for row in (await connection.execute(statement)).all()]

    async def delivered(self, letter_id: str) -> None:
        """Forget the letter; twice is the same as once."""
        async with self._database.writing() as connection:
            await connection.execute(delete(LETTER).where(LETTER.c.id == letter_id))

    async def put_off(
        self, letter_id: str, *, state: LetterState, due_at_ms: int, problem: str | None
    ) -> None:
        """Note one more attempt and what became of it."""
        statement = (
            update(LETTER)
            .where(LETTER.c.id == letter_id)
            .values(
                state=state.value,
                due_at_ms=due_at_ms,
                problem=problem,
                attempts=LETTER.c.attempts + 1,
            )
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def letters(self, *, limit: int) -> list[WaitingLetter]:
        """Return the letters that were not delivered, the newest first."""
        statement = (
            select(LETTER)
            # Every time is above zero; the bound makes this a search in the index.
            .where(LETTER.c.written_at_ms >= 0)
            .order_by(LETTER.c.written_at_ms.desc(), LETTER.c.id.desc())
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [_letter(row) for row in (await connection.execute(statement)).all()]

    async def forget_before(self, at_ms: int) -> int:
        """Forget failed and shown letters written before that time; return how many."""
        statement = delete(LETTER).where(
            LETTER.c.written_at_ms < at_ms, LETTER.c.state != LetterState.WAITING.value
        )
        async with self._database.writing() as connection:
            return (await connection.execute(statement)).rowcount


async def put_letter(connection: AsyncConnection, letter: SealedLetter, at_ms: int) -> None:
    """Put a letter into the outbox, due at once, as part of the transaction."""
    await connection.execute(
        insert(LETTER).values(
            id=letter.id,
            occasion=letter.occasion.value,
            sealed=letter.sealed,
            written_at_ms=at_ms,
            due_at_ms=at_ms,
            attempts=0,
            state=LetterState.WAITING.value,
        )
    )
    await announce(connection, Change(Kind.LETTER, letter.id))


def _letter(row: Row[*tuple[object, ...]]) -> WaitingLetter:
    return WaitingLetter(
        SealedLetter(row.id, Occasion(row.occasion), row.sealed),
        row.written_at_ms,
        row.due_at_ms,
        row.attempts,
        row.problem,
        LetterState(row.state),
    )
