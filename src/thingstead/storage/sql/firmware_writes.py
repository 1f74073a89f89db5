"""Storing updates and timelines as part of a transaction; a fleet's at once in few statements.

Used by the stores of updates and campaigns. Who stores something about things holds their rows
first, so that none is deleted, and none gets two entries of one number, in between.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.firmware.model import Step, Update, UpdateEvent
from thingstead.kernel.ids import FirmwareId, ThingId
from thingstead.storage.sql.firmware_rows import columns_of
from thingstead.storage.sql.firmware_tables import FIRMWARE_EVENT, FIRMWARE_UPDATE
from thingstead.storage.sql.tables import THING

TIMELINE = 200

_Pair = tuple[ThingId, FirmwareId]

_NEVER_CHANGE = frozenset({"thing_id", "firmware_id", "product_id", "mcu"})
_CHANGE_UPDATE = (
    update(FIRMWARE_UPDATE)
    .where(FIRMWARE_UPDATE.c.action == bindparam("of_action"))
    .values(
        {
            column.name: bindparam(f"new_{column.name}")
            for column in FIRMWARE_UPDATE.columns
            if column.name not in {"action", *_NEVER_CHANGE}
        }
    )
)
_TRIM_TIMELINE = delete(FIRMWARE_EVENT).where(
    FIRMWARE_EVENT.c.thing_id == bindparam("of_thing"),
    FIRMWARE_EVENT.c.number <= bindparam("up_to"),
)


async def hold_things(connection: AsyncConnection, things: Iterable[ThingId]) -> set[ThingId]:
    """Return those of the things that exist; nobody else changes them until the end."""
    statement = (
        select(THING.c.id)
        .where(THING.c.id.in_(sorted(set(things))))
        # In one order for all, so that two transactions never wait for each other.
        .order_by(THING.c.id)
        .with_for_update()
    )
    return {ThingId(name) for name in (await connection.execute(statement)).scalars()}


async def store_steps(connection: AsyncConnection, steps: Sequence[Step]) -> list[Update | None]:
    """Store the steps that were made from what is stored, with their events."""
    things = await hold_things(connection, {step.update.thing_id for step in steps})
    kept = await _kept(connection, steps)
    outcome: list[Update | None] = []
    stored: dict[_Pair, Update] = {}
    events: list[UpdateEvent] = []
    for step in steps:
        pair = _pair(step.update)
        revision, action = kept.get(pair, (0, 0))
        if step.update.thing_id not in things or step.update.revision != revision:
            outcome.append(None)
            continue
        stored[pair] = replace(step.update, action=action, revision=revision + 1)
        kept[pair] = (revision + 1, action)
        outcome.append(stored[pair])
        events += step.events
    actions = await add_updates(connection, [one for one in stored.values() if not one.action])
    await _change_updates(connection, [one for one in stored.values() if one.action])
    await note_events(connection, events)
    return [
        replace(one, action=actions[_pair(one)]) if one and not one.action else one
        for one in outcome
    ]


async def add_updates(connection: AsyncConnection, updates: Sequence[Update]) -> dict[_Pair, int]:
    """Add updates that are not there; return their actions."""
    if not updates:
        return {}
    added = insert(FIRMWARE_UPDATE).returning(
        FIRMWARE_UPDATE.c.thing_id, FIRMWARE_UPDATE.c.firmware_id, FIRMWARE_UPDATE.c.action
    )
    rows = await connection.execute(added, [columns_of(one) for one in updates])
    return {(ThingId(row.thing_id), FirmwareId(row.firmware_id)): row.action for row in rows}


async def note_events(connection: AsyncConnection, events: Sequence[UpdateEvent]) -> None:
    """Append to the timelines of things that are held; forget what is too old."""
    if not events:
        return
    count = Counter(event.thing_id for event in events)
    newest = await _newest_numbers(connection, count)
    rows = []
    for event in events:
        newest[event.thing_id] += 1
        rows.append(
            {
                "thing_id": event.thing_id,
                "number": newest[event.thing_id],
                "firmware_id": event.firmware_id,
                "campaign_id": event.campaign_id,
                "at_ms": event.at_ms,
                "kind": event.kind,
                "detail": event.detail,
            }
        )
    await connection.execute(insert(FIRMWARE_EVENT), rows)
    too_old = [
        {"of_thing": thing_id, "up_to": number - TIMELINE}
        for thing_id, number in newest.items()
        if number > TIMELINE
    ]
    if too_old:
        await connection.execute(_TRIM_TIMELINE, too_old)


async def _newest_numbers(
    connection: AsyncConnection, things: Iterable[ThingId]
) -> dict[ThingId, int]:
    # For each thing the last entry of its key, not all of them as a grouping would read.
    newest = (
        select(func.max(FIRMWARE_EVENT.c.number))
        .where(FIRMWARE_EVENT.c.thing_id == THING.c.id)
        .scalar_subquery()
    )
    statement = select(THING.c.id, newest.label("newest")).where(THING.c.id.in_(list(things)))
    rows = await connection.execute(statement)
    return {ThingId(row.id): row.newest or 0 for row in rows}


async def _kept(connection: AsyncConnection, steps: Sequence[Step]) -> dict[_Pair, tuple[int, int]]:
    """Return revision and action of each update of the steps that is stored."""
    table = FIRMWARE_UPDATE.c
    statement = select(table.thing_id, table.firmware_id, table.revision, table.action).where(
        table.thing_id.in_(sorted({step.update.thing_id for step in steps})),
        table.firmware_id.in_(sorted({step.update.firmware_id for step in steps})),
    )
    rows = await connection.execute(statement)
    return {
        (ThingId(row.thing_id), FirmwareId(row.firmware_id)): (row.revision, row.action)
        for row in rows
    }


async def _change_updates(connection: AsyncConnection, updates: Sequence[Update]) -> None:
    rows = [
        {
            f"new_{name}": value
            for name, value in columns_of(one).items()
            if name not in _NEVER_CHANGE
        }
        | {"of_action": one.action}
        for one in updates
    ]
    if rows:
        await connection.execute(_CHANGE_UPDATE, rows)


def _pair(one: Update) -> _Pair:
    return one.thing_id, one.firmware_id
