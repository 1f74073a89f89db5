"""The counter by which one process tells the others that cached things may be stale.

Only the counting stands here. How a process notices that the counter moved differs by engine:
`sqlite/changes.py` watches the file.
"""

from sqlalchemy import update

from thingstead.storage.sql.database import Database
from thingstead.storage.sql.tables import CHANGES, INSTALLATION


class SqlChangeCounter:
    """Counts announced changes, for every process of the installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def increment(self) -> None:
        """Count one more change; durable on return."""
        statement = (
            update(INSTALLATION)
            .where(INSTALLATION.c.key == CHANGES)
            .values(value=INSTALLATION.c.value + 1)
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)
