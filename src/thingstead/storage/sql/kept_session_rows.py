"""Deleting kept sessions as part of a transaction: what every way of deleting one has in common.

What is remembered of a session's deliveries lies in another file (`values.db`), so each is noted
for whoever removes that.
"""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.kept_sessions.model import HolderKind
from thingstead.storage.sql.kept_session_tables import (
    KEPT_SESSION,
    KEPT_SUBSCRIPTION,
    PURGE_KEPT_SESSION,
    WAITING_MESSAGE,
)


async def delete_kept_sessions(connection: AsyncConnection, session_ids: Sequence[str]) -> None:
    """Delete the sessions with what waits in them, and note them; those must be there."""
    if not session_ids:
        return
    for table in (WAITING_MESSAGE, KEPT_SUBSCRIPTION, PURGE_KEPT_SESSION):
        await connection.execute(delete(table).where(table.c.session_id.in_(session_ids)))
    await connection.execute(delete(KEPT_SESSION).where(KEPT_SESSION.c.id.in_(session_ids)))
    noted = [{"session_id": session_id} for session_id in session_ids]
    await connection.execute(insert(PURGE_KEPT_SESSION), noted)


async def delete_kept_sessions_of(
    connection: AsyncConnection, kind: HolderKind, holder_id: str
) -> None:
    """Delete the sessions of who is being deleted."""
    theirs = select(KEPT_SESSION.c.id).where(
        KEPT_SESSION.c.holder_kind == kind.value, KEPT_SESSION.c.holder_id == holder_id
    )
    session_ids = (await connection.execute(theirs)).scalars().all()
    await delete_kept_sessions(connection, session_ids)
