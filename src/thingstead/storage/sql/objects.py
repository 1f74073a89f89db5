"""The statements of collections, written once for every engine.

Every one names the owner. Binds are named after what they stand for: `owner`, `of_collection`
and `with_id` find rows, the others are columns' new values. Knows no engine: SQLite's store
compiles them to text once and runs them without SQLAlchemy (`sqlite/object_store.py`).
"""

from sqlalchemy import and_, bindparam, delete, func, insert, literal_column, select, update

from thingstead.storage.sql.object_tables import COLLECTION, OBJECT, OBJECT_CHANGE
from thingstead.storage.sql.user_tables import APP_USER

_OWN = and_(
    OBJECT.c.user_id == bindparam("owner"),
    OBJECT.c.collection == bindparam("of_collection"),
)
_THIS_OBJECT = and_(_OWN, OBJECT.c.id == bindparam("with_id"))
_THIS_COLLECTION = and_(
    COLLECTION.c.user_id == bindparam("owner"),
    COLLECTION.c.name == bindparam("of_collection"),
)

OWNER = select(APP_USER.c.id).where(APP_USER.c.id == bindparam("owner"))
TEXT = select(OBJECT.c.text).where(_THIS_OBJECT)
ADD_OBJECT = insert(OBJECT).values(
    user_id=bindparam("owner"),
    collection=bindparam("of_collection"),
    id=bindparam("with_id"),
    text=bindparam("new_text"),
    created_at_ms=bindparam("at_ms"),
    changed_at_ms=bindparam("at_ms"),
)
CHANGE_OBJECT = (
    update(OBJECT)
    .where(_THIS_OBJECT)
    .values(text=bindparam("new_text"), changed_at_ms=bindparam("at_ms"))
)
DELETE_OBJECT = delete(OBJECT).where(_THIS_OBJECT)

# SQLAlchemy writes an OFFSET for SQLite in any case; this way it takes no further bind.
FIRST_PAGE = (
    select(OBJECT.c.id, OBJECT.c.text)
    .where(_OWN)
    .order_by(OBJECT.c.id.desc())
    .limit(bindparam("most"))
    .offset(literal_column("0"))
)
NEXT_PAGE = FIRST_PAGE.where(OBJECT.c.id < bindparam("below"))

COLLECTIONS = (
    select(COLLECTION.c.name)
    .where(COLLECTION.c.user_id == bindparam("owner"))
    .order_by(COLLECTION.c.name)
)
COLLECTION_COUNT = (
    select(func.count()).select_from(COLLECTION).where(COLLECTION.c.user_id == bindparam("owner"))
)
TALLY = select(COLLECTION.c.objects, COLLECTION.c.bytes).where(_THIS_COLLECTION)
ADD_COLLECTION = insert(COLLECTION).values(
    user_id=bindparam("owner"),
    name=bindparam("of_collection"),
    objects=bindparam("new_objects"),
    bytes=bindparam("new_bytes"),
)
CHANGE_COLLECTION = (
    update(COLLECTION)
    .where(_THIS_COLLECTION)
    .values(objects=bindparam("new_objects"), bytes=bindparam("new_bytes"))
)
DELETE_COLLECTION = delete(COLLECTION).where(_THIS_COLLECTION)

_AFTER = OBJECT_CHANGE.c.sequence > bindparam("after")
ADD_CHANGE = (
    insert(OBJECT_CHANGE)
    .values(
        user_id=bindparam("owner"),
        collection=bindparam("of_collection"),
        action=bindparam("new_action"),
        object_id=bindparam("with_id"),
        bytes_before=bindparam("new_bytes_before"),
        text=bindparam("new_text"),
    )
    .inline()
)
CHANGES = (
    select(
        OBJECT_CHANGE.c.sequence,
        OBJECT_CHANGE.c.action,
        OBJECT_CHANGE.c.object_id,
        OBJECT_CHANGE.c.text,
    )
    .where(
        OBJECT_CHANGE.c.user_id == bindparam("owner"),
        OBJECT_CHANGE.c.collection == bindparam("of_collection"),
        _AFTER,
        OBJECT_CHANGE.c.sequence <= bindparam("until"),
    )
    .order_by(OBJECT_CHANGE.c.sequence)
)
# Of all users. Every sequence is above zero; the bound makes these searches in the key.
OLDEST_CHANGES = (
    select(OBJECT_CHANGE.c.sequence, OBJECT_CHANGE.c.bytes_before)
    .where(_AFTER)
    .order_by(OBJECT_CHANGE.c.sequence)
    .limit(bindparam("most"))
    .offset(literal_column("0"))
)
NEWEST_CHANGE = (
    select(OBJECT_CHANGE.c.bytes_before, OBJECT_CHANGE.c.text)
    .where(_AFTER)
    .order_by(OBJECT_CHANGE.c.sequence.desc())
    .limit(literal_column("1"))
    .offset(literal_column("0"))
)
TRIM_CHANGES = delete(OBJECT_CHANGE).where(OBJECT_CHANGE.c.sequence <= bindparam("until"))
