"""Who owns a thing, and which epochs are theirs, as part of a transaction or a statement.

Used by the stores of things, links, link ids, users and reach. Announces nothing: the callers
know whom it concerns.
"""

from collections.abc import Iterable

from sqlalchemy import Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.links.model import LinkOutcome
from thingstead.features.things.model import Thing
from thingstead.kernel.changes import Kind
from thingstead.kernel.ids import ProductId, ThingId, UserId
from thingstead.storage.sql.changes import announce_about, announce_selected
from thingstead.storage.sql.device_tables import DEVICE
from thingstead.storage.sql.firmware_tables import (
    FIRMWARE_EVENT,
    FIRMWARE_RUNNING,
    FIRMWARE_UPDATE,
)
from thingstead.storage.sql.grant_rows import drop_entries
from thingstead.storage.sql.purge import note_for_purging
from thingstead.storage.sql.sharing_tables import GRANT_ENTRY, LINK, LINK_OFFER, THING_EPOCH
from thingstead.storage.sql.tables import THING, THING_TAG, THING_TOKEN
from thingstead.storage.sql.user_rows import has_user

OWNED_EPOCH = THING_EPOCH.c.epoch.label("owned_epoch")

# Joins from THING to the epochs of its current owner: none for a thing that nobody owns.
TO_LINK = LINK.c.thing_id == THING.c.id
TO_OWNED_EPOCHS = and_(
    THING_EPOCH.c.thing_id == LINK.c.thing_id, THING_EPOCH.c.user_id == LINK.c.user_id
)


def thing_of(rows: Iterable[Row[*tuple[object, ...]]]) -> Thing | None:
    """Return the thing that the rows hold, which differ by `OWNED_EPOCH` only; None for none."""
    thing = None
    epochs = []
    for row in rows:
        thing = row
        if row.owned_epoch is not None:
            epochs.append(row.owned_epoch)
    if thing is None:
        return None
    return Thing(
        ThingId(thing.id),
        ProductId(thing.product_id),
        thing.created_at_ms,
        tuple(sorted(epochs)) or (thing.epoch,),
    )


async def own(
    connection: AsyncConnection, user_id: UserId, thing_id: ThingId, at_ms: int, max_things: int
) -> LinkOutcome:
    """Make the user the thing's owner, if it has none; the current epoch is theirs. Announced."""
    found = (
        select(THING.c.epoch, LINK.c.user_id)
        .outerjoin(LINK, TO_LINK)
        .where(THING.c.id == thing_id)
        .with_for_update(of=THING)
    )
    row = (await connection.execute(found)).one_or_none()
    if row is None or row.user_id not in (None, user_id):
        return LinkOutcome.NOT_FREE
    if row.user_id == user_id:
        return LinkOutcome.ALREADY_THEIRS
    if not await has_user(connection, user_id):
        return LinkOutcome.NOT_FREE
    if await _thing_count(connection, user_id) >= max_things:
        return LinkOutcome.TOO_MANY
    await connection.execute(
        insert(LINK).values(thing_id=thing_id, user_id=user_id, linked_at_ms=at_ms)
    )
    await connection.execute(
        insert(THING_EPOCH).values(thing_id=thing_id, epoch=row.epoch, user_id=user_id)
    )
    await announce_about(connection, things=[thing_id], users=[user_id])
    return LinkOutcome.LINKED


async def disown(connection: AsyncConnection, user_id: UserId, thing_id: ThingId) -> bool:
    """End the ownership, the epoch and every grant; False when it is not theirs. Announced.

    Tags and link ids that the thing presented are the owner's too, and go.
    """
    mine = select(LINK.c.thing_id).where(LINK.c.thing_id == thing_id, LINK.c.user_id == user_id)
    ended = await connection.execute(
        update(THING).where(THING.c.id == thing_id, mine.exists()).values(epoch=THING.c.epoch + 1)
    )
    if ended.rowcount == 0:
        return False
    for table in (LINK, THING_TAG, LINK_OFFER):
        await connection.execute(delete(table).where(table.c.thing_id == thing_id))
    users, _ = await drop_entries(connection, GRANT_ENTRY.c.thing_id == thing_id)
    await announce_about(connection, things=[thing_id], users={user_id, *users})
    return True


async def disown_all(connection: AsyncConnection, user_id: UserId) -> set[UserId]:
    """Do for all of the user's things what `disown` does for one, in as many statements.

    The things are announced; returns the users concerned, for the caller to announce.
    """
    mine = select(LINK.c.thing_id).where(LINK.c.user_id == user_id)
    await announce_selected(connection, Kind.THING, mine)
    await connection.execute(
        update(THING).where(THING.c.id.in_(mine)).values(epoch=THING.c.epoch + 1)
    )
    for table in (THING_TAG, LINK_OFFER):
        await connection.execute(delete(table).where(table.c.thing_id.in_(mine)))
    users, _ = await drop_entries(connection, GRANT_ENTRY.c.thing_id.in_(mine))
    await connection.execute(delete(LINK).where(LINK.c.user_id == user_id))
    return users


async def remove_thing(connection: AsyncConnection, thing_id: ThingId, at_ms: int) -> None:
    """Delete the thing with all that is about it, and note its values for purging. Announced."""
    owner = delete(LINK).where(LINK.c.thing_id == thing_id).returning(LINK.c.user_id)
    owners = [UserId(name) for name in (await connection.execute(owner)).scalars()]
    users, _ = await drop_entries(connection, GRANT_ENTRY.c.thing_id == thing_id)
    about = (THING_EPOCH, LINK_OFFER, DEVICE, THING_TOKEN, THING_TAG)
    for table in (*about, FIRMWARE_UPDATE, FIRMWARE_RUNNING, FIRMWARE_EVENT):
        await connection.execute(delete(table).where(table.c.thing_id == thing_id))
    await connection.execute(delete(THING).where(THING.c.id == thing_id))
    await note_for_purging(connection, thing_id, at_ms)
    await announce_about(connection, things=[thing_id], users={*owners, *users})


async def _thing_count(connection: AsyncConnection, user_id: UserId) -> int:
    statement = select(func.count()).select_from(LINK).where(LINK.c.user_id == user_id)
    return (await connection.execute(statement)).scalar_one()
