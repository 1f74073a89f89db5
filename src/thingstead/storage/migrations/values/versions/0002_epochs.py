"""Series and documents belong to an epoch of their thing; what there is belongs to epoch 0.

SQLite cannot change a table's keys, so both tables are made anew and filled; the values, by far
the most, stay where they are and go with their series id. The ids keep their counter, because
one that was ever given out must never be given to another series (`value_reader.py` keeps them).
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables anew with the epoch in their keys."""
    op.execute(
        """
        CREATE TABLE series_of_epoch (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            thing_id TEXT NOT NULL,
            key TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            UNIQUE (thing_id, epoch, key)
        )
        """
    )
    op.execute(
        "INSERT INTO series_of_epoch (id, thing_id, key, epoch)"
        " SELECT id, thing_id, key, 0 FROM series"
    )
    # Copying counted up to the highest id that is left, which may not be the highest given out.
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'series_of_epoch'")
    op.execute(
        "INSERT INTO sqlite_sequence (name, seq)"
        " SELECT 'series_of_epoch', seq FROM sqlite_sequence WHERE name = 'series'"
    )
    op.execute("DROP TABLE series")
    op.execute("ALTER TABLE series_of_epoch RENAME TO series")
    op.execute(
        """
        CREATE TABLE document_of_epoch (
            thing_id TEXT NOT NULL,
            name TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (thing_id, name, epoch)
        ) WITHOUT ROWID
        """
    )
    op.execute(
        "INSERT INTO document_of_epoch (thing_id, name, epoch, value)"
        " SELECT thing_id, name, 0, value FROM document"
    )
    op.execute("DROP TABLE document")
    op.execute("ALTER TABLE document_of_epoch RENAME TO document")
