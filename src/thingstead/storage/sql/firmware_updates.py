"""How far updates have come, in SQL: the port `UpdateStore`. Knows no engine (`database.py`)."""

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select, update

from thingstead.features.firmware.model import (
    UNDER_WAY,
    Running,
    Step,
    ThingRecord,
    Update,
    UpdateEvent,
    UpdateState,
)
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import CampaignId, FirmwareId, ThingId
from thingstead.storage.sql.changes import announce
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.firmware_rows import FirmwareRow, update_of
from thingstead.storage.sql.firmware_tables import (
    FIRMWARE_EVENT,
    FIRMWARE_RUNNING,
    FIRMWARE_UPDATE,
    IS_UNDER_WAY,
)
from thingstead.storage.sql.firmware_writes import hold_things, store_steps

# How many bound values a statement may have differs by engine; 32,766 is the least.
_AT_ONCE = 1_000

_CHANGE_RUNNING = (
    update(FIRMWARE_RUNNING)
    .where(
        FIRMWARE_RUNNING.c.thing_id == bindparam("of_thing"),
        FIRMWARE_RUNNING.c.mcu == bindparam("of_mcu"),
    )
    .values(
        version=bindparam("new_version"),
        since_ms=bindparam("new_since_ms"),
        seen_at_ms=bindparam("new_seen_at_ms"),
    )
)


class SQLUpdateStore:
    """Keeps updates, what things run, and timelines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, thing_id: ThingId) -> ThingRecord:
        """Return all about one thing: updates ascending by action, what runs by MCU."""
        updates = select(FIRMWARE_UPDATE).where(FIRMWARE_UPDATE.c.thing_id == thing_id)
        running = (
            select(FIRMWARE_RUNNING)
            .where(FIRMWARE_RUNNING.c.thing_id == thing_id)
            .order_by(FIRMWARE_RUNNING.c.mcu)
        )
        async with self._database.reading() as connection:
            update_rows = (await connection.execute(updates)).all()
            running_rows = (await connection.execute(running)).all()
        return ThingRecord(
            tuple(sorted(map(update_of, update_rows), key=lambda one: one.action)),
            tuple(_running_of(row) for row in running_rows),
        )

    async def save(self, steps: Sequence[Step]) -> list[Update | None]:
        """Store the steps in one durable transaction; one result for each, in order.

        A step whose update was changed since it was made, or whose thing was deleted, is left out
        with its events: its result is None. Others come back with their new revision, and a new
        one with its action. Of a thing's timeline the newest 200 entries are kept. What an operator
        released is announced.
        """
        outcome: list[Update | None] = []
        if not steps:
            return outcome
        async with self._database.writing() as connection:
            for start in range(0, len(steps), _AT_ONCE):
                outcome += await store_steps(connection, steps[start : start + _AT_ONCE])
            await announce(connection, *_releases(steps, outcome))
        return outcome

    async def save_running(self, running: Sequence[Running]) -> None:
        """Store what things run, replacing what was known of thing and MCU.

        Nothing is stored about things that were deleted.
        """
        newest = {(one.thing_id, one.mcu): one for one in running}
        rows = list(newest.values())
        if not rows:
            return
        async with self._database.writing() as connection:
            for start in range(0, len(rows), _AT_ONCE):
                some = rows[start : start + _AT_ONCE]
                things = await hold_things(connection, {one.thing_id for one in some})
                statement = select(FIRMWARE_RUNNING.c.thing_id, FIRMWARE_RUNNING.c.mcu).where(
                    FIRMWARE_RUNNING.c.thing_id.in_(sorted(things))
                )
                known = {tuple(row) for row in (await connection.execute(statement)).all()}
                kept = [one for one in some if one.thing_id in things]
                changed = [_new(one) for one in kept if (one.thing_id, one.mcu) in known]
                added = [_columns(one) for one in kept if (one.thing_id, one.mcu) not in known]
                if changed:
                    await connection.execute(_CHANGE_RUNNING, changed)
                if added:
                    await connection.execute(insert(FIRMWARE_RUNNING), added)

    async def by_action(self, thing_id: ThingId, action: int) -> Update | None:
        """Return the thing's update with that number."""
        statement = select(FIRMWARE_UPDATE).where(
            FIRMWARE_UPDATE.c.action == action, FIRMWARE_UPDATE.c.thing_id == thing_id
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else update_of(row)

    async def timeline(
        self, thing_id: ThingId, *, before: int | None, limit: int
    ) -> list[tuple[int, UpdateEvent]]:
        """Return at most `limit` entries numbered below `before`, newest first."""
        statement = (
            select(FIRMWARE_EVENT)
            .where(FIRMWARE_EVENT.c.thing_id == thing_id)
            .order_by(FIRMWARE_EVENT.c.number.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(FIRMWARE_EVENT.c.number < before)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [(row.number, _event_of(row)) for row in rows]

    async def under_way(
        self, states: Sequence[UpdateState], *, after: int, limit: int
    ) -> list[Update]:
        """Return updates in the states with an action above `after`, ascending by it.

        Cheap for states that are under way; for others it looks at every update.
        """
        statement = (
            select(FIRMWARE_UPDATE)
            .where(
                FIRMWARE_UPDATE.c.state.in_([state.value for state in states]),
                FIRMWARE_UPDATE.c.action > after,
            )
            .order_by(FIRMWARE_UPDATE.c.action)
            .limit(limit)
        )
        if UNDER_WAY.issuperset(states):
            statement = statement.where(IS_UNDER_WAY)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [update_of(row) for row in rows]


def _running_of(row: FirmwareRow) -> Running:
    return Running(ThingId(row.thing_id), row.mcu, row.version, row.since_ms, row.seen_at_ms)


def _columns(running: Running) -> dict[str, object]:
    return {
        "thing_id": running.thing_id,
        "mcu": running.mcu,
        "version": running.version,
        "since_ms": running.since_ms,
        "seen_at_ms": running.seen_at_ms,
    }


def _new(running: Running) -> dict[str, object]:
    return {
        "of_thing": running.thing_id,
        "of_mcu": running.mcu,
        "new_version": running.version,
        "new_since_ms": running.since_ms,
        "new_seen_at_ms": running.seen_at_ms,
    }


def _event_of(row: FirmwareRow) -> UpdateEvent:
    return UpdateEvent(
        ThingId(row.thing_id),
        None if row.firmware_id is None else FirmwareId(row.firmware_id),
        None if row.campaign_id is None else CampaignId(row.campaign_id),
        row.at_ms,
        row.kind,
        row.detail,
    )


def _releases(steps: Sequence[Step], outcome: Sequence[Update | None]) -> list[Change]:
    return [
        Change(Kind.FIRMWARE, str(stored.product_id))
        for step, stored in zip(steps, outcome, strict=True)
        if stored is not None and any(event.kind == "released" for event in step.events)
    ]
