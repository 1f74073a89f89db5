"""The order in which values arrived, and the packets that carried writes.

An arrival is one row for each commit: where its values stand, as triples of whole numbers, and
which magic resources it wrote (`storage/sqlite/value_arrivals.py`). Nothing is known of the
commits before this revision, and the counter says so: all behind its sequence are known.

The rows of deliveries are small and found by their key only (`value_deliveries.py`).
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make both tables, and the counter that tells from where on arrivals are known."""
    op.execute(
        """
        CREATE TABLE arrival (
            last_sequence INTEGER PRIMARY KEY,
            places BLOB NOT NULL,
            echoes TEXT
        )
        """
    )
    op.execute(
        "INSERT INTO counter (name, value)"
        " SELECT 'arrivals_after', value FROM counter WHERE name = 'sequence'"
    )
    op.execute(
        """
        CREATE TABLE delivery (
            session_id TEXT NOT NULL,
            qos INTEGER NOT NULL,
            packet_id INTEGER NOT NULL,
            digest BLOB NOT NULL,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (session_id, qos, packet_id)
        ) WITHOUT ROWID
        """
    )
