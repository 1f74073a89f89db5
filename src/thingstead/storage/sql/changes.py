"""The counter by which one process tells the others that cached things may be stale.

Counted in the transaction that makes the change, so that there is no moment in which one is
done and not told. How a process notices that the counter moved differs by engine:
`sqlite/changes.py` watches the file.
"""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.storage.sql.tables import CHANGES, INSTALLATION


async def announce_change(connection: AsyncConnection) -> None:
    """Count one more change, as part of the transaction."""
    await connection.execute(
        update(INSTALLATION)
        .where(INSTALLATION.c.key == CHANGES)
        .values(value=INSTALLATION.c.value + 1)
    )
