"""The table of device ids in `core.db`: by what a provider or a network calls a thing.

Beside those of `tables.py`, whose conventions hold here too.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table

from thingstead.storage.sql.tables import METADATA, PRODUCT, THING, key_text

DEVICE = Table(
    "device",
    METADATA,
    Column("product_id", Integer, ForeignKey(PRODUCT.c.id), primary_key=True),
    Column("device_id", key_text(), primary_key=True),
    Column("thing_id", key_text(), ForeignKey(THING.c.id), nullable=False),
    # NULL until the thing bears the id as its name, which is stored in the other file.
    Column("named_at_ms", BigInteger),
    sqlite_with_rowid=False,
)
Index("ix_device_by_thing", DEVICE.c.thing_id)
