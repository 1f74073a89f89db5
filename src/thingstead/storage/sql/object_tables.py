"""The tables of objects and collections in `core.db`, beside those of `tables.py`.

The objects' table keeps its rowid on SQLite, unlike other tables with a long key. Without one,
a row above a quarter of a page leaves the tree, and rows fill the tree's inner pages: objects of
2 kB were stored half as fast (18,000 instead of 37,000 a second in one thread, 100 a commit) and
read half as fast; of 64 kB, read at a fifth of the speed. Small ones are stored a quarter
faster with it too; only listing small ones is slower (1.5 instead of 0.5 ms for 1,000).
"""

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, Table, Text

from thingstead.storage.sql.tables import METADATA, key_text

# No foreign keys to the user: what a deleted user leaves goes in slices (`purge.py`).
OBJECT = Table(
    "object",
    METADATA,
    Column("user_id", key_text(), primary_key=True),
    Column("collection", key_text(), primary_key=True),
    Column("id", key_text(), primary_key=True),
    Column("text", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

# One row for each collection that holds objects, so that no quota needs counting.
COLLECTION = Table(
    "collection",
    METADATA,
    Column("user_id", key_text(), primary_key=True),
    Column("name", key_text(), primary_key=True),
    Column("objects", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The newest changes of all users, told again to those who missed them. How many bytes of text
# came before, since ever, tells without counting how many are kept.
OBJECT_CHANGE = Table(
    "object_change",
    METADATA,
    Column("sequence", Integer, Identity(), primary_key=True),
    Column("user_id", key_text(), nullable=False),
    Column("collection", key_text(), nullable=False),
    Column("action", Text, nullable=False),
    Column("object_id", key_text(), nullable=False),
    Column("bytes_before", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    # One that was trimmed must not come back: whoever saw it would miss what it says now.
    sqlite_autoincrement=True,
)
Index(
    "ix_object_change_by_collection",
    OBJECT_CHANGE.c.user_id,
    OBJECT_CHANGE.c.collection,
    OBJECT_CHANGE.c.sequence,
)
