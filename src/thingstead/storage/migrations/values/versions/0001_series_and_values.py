"""Series, values, documents and the sequence counter of `values.db`.

SQLite only: on PostgreSQL values are partitioned by time. The value column has no declared
type on purpose, so that SQLite keeps integers, reals and texts as they come. Values are
clustered by series, time and sequence, so that reading a series is one walk through one tree.
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.execute(
        """
        CREATE TABLE series (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            thing_id TEXT NOT NULL,
            key TEXT NOT NULL,
            UNIQUE (thing_id, key)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE value (
            series_id INTEGER NOT NULL,
            at_ms INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            value,
            lat REAL,
            long REAL,
            PRIMARY KEY (series_id, at_ms, sequence)
        ) WITHOUT ROWID
        """
    )
    op.execute(
        """
        CREATE TABLE document (
            thing_id TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (thing_id, name)
        ) WITHOUT ROWID
        """
    )
    op.execute(
        """
        CREATE TABLE counter (
            name TEXT NOT NULL PRIMARY KEY,
            value INTEGER NOT NULL
        ) WITHOUT ROWID
        """
    )
    op.execute("INSERT INTO counter (name, value) VALUES ('sequence', 0)")
