"""What is SQL's own about firmware and campaigns: indexes are used, and statements are few."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import ClauseElement, Engine, event
from sqlalchemy.dialects import postgresql

from doubles.firmware_rig import new_firmware, stored_image
from thingstead.features.campaigns.model import CampaignPlan, Target
from thingstead.features.campaigns.ports import Joining
from thingstead.features.firmware.model import (
    UNDER_WAY,
    FirmwareState,
    Running,
    SigningKey,
    Step,
    Update,
    UpdateEvent,
    UpdateState,
)
from thingstead.kernel.ids import ProductId, ThingId
from thingstead.storage.sqlite.core import open_core

PRODUCT = ProductId(10_001)
THINGS = [ThingId(f"thing {number:03d}") for number in range(300)]
ONE, NEW = THINGS[0], THINGS[-1]


class Stores:
    """Two images of one product, the newer one in a campaign, with every thing but the last."""

    def __init__(self, core, path):
        self.core = core
        self.path = path
        self.firmwares = core.firmwares
        self.updates = core.firmware_updates
        self.campaigns = core.campaigns

    async def fill(self):
        await self.core.products.add_product("Station", "hash", at_ms=1)
        with closing(sqlite3.connect(self.path)) as connection, connection:
            rows = [(thing_id, PRODUCT) for thing_id in THINGS]
            connection.executemany("INSERT INTO thing VALUES (?, ?, 1, 0)", rows)
        await self.core.tags.add_tags(ONE, ["roof"], max_tags=9, at_ms=1)
        self.old = await self.add("1.0", 1)
        self.firmware = await self.add("2.0", 2)
        await self.firmwares.add_key(key("one"))
        plan = CampaignPlan(firmware_id=self.firmware.id, name="A campaign")
        self.campaign = await self.campaigns.add("campaign", plan, self.firmware, at_ms=1)
        await self.campaigns.join(self.campaign, joining(THINGS[:-1]), at_ms=1)
        await self.updates.save_running([Running(ONE, "main", "1.0", 1, 1)])
        [self.update] = (await self.updates.record(ONE)).updates
        self.update = replace(self.update, state=UpdateState.DOWNLOADING)
        [self.update] = await self.updates.save([self.step()])

    async def add(self, version, sequence):
        return await self.firmwares.add(
            f"image {sequence}",
            new_firmware(version),
            stored_image(sequence),
            sequence=sequence,
            is_revert=False,
            most=9,
            at_ms=1,
        )

    def step(self, thing_id=ONE, count=1):
        what = UpdateEvent(thing_id, self.firmware.id, None, 1, "said", "")
        return Step(replace(self.update, thing_id=thing_id), (what,) * count)

    def new_step(self):
        update = Update(
            thing_id=NEW,
            firmware_id=self.old.id,
            product_id=PRODUCT,
            mcu="main",
            state=UpdateState.OFFERED,
            changed_at_ms=1,
        )
        return Step(update, self.step(NEW, 201).events)


def key(name):
    return SigningKey(name, PRODUCT, "ed25519", b"der", "A key", 1)


def joining(things):
    return [Joining(thing_id, 0, is_current=False) for thing_id in things]


SOME = Target(tags=("roof", "door"), versions=("1.0", "1.1"))
FAILED = [UpdateState.FAILED, UpdateState.BLOCKED]
CALLS = {
    "add": lambda s: s.add("3.0", 3),
    "get": lambda s: s.firmwares.get(s.firmware.id),
    "by_version": lambda s: s.firmwares.by_version(PRODUCT, "main", "1.0"),
    "page": lambda s: s.firmwares.page(None, before=None, limit=9),
    "page of a product": lambda s: s.firmwares.page(PRODUCT, before=2, limit=9),
    "newest_sequence": lambda s: s.firmwares.newest_sequence(PRODUCT, "main"),
    "change_state": lambda s: s.firmwares.change_state(
        s.old.id, FirmwareState.PUBLISHED, from_states=[*FirmwareState], at_ms=1
    ),
    "catalogue": lambda s: s.firmwares.catalogue(PRODUCT),
    "add_key": lambda s: s.firmwares.add_key(key("two")),
    "keys": lambda s: s.firmwares.keys(PRODUCT),
    "revoke_key": lambda s: s.firmwares.revoke_key(PRODUCT, "one", at_ms=1),
    "needs_signature": lambda s: s.firmwares.needs_signature(PRODUCT),
    "set_needs_signature": lambda s: s.firmwares.set_needs_signature(PRODUCT, is_needed=True),
    "used_digests": lambda s: s.firmwares.used_digests([b"one", b"two"]),
    "record": lambda s: s.updates.record(ONE),
    "save": lambda s: s.updates.save([s.step(), s.new_step()]),
    "save_running": lambda s: s.updates.save_running(
        [Running(name, "main", "1.0", 1, 1) for name in (ONE, NEW)]
    ),
    "by_action": lambda s: s.updates.by_action(ONE, s.update.action),
    "timeline": lambda s: s.updates.timeline(ONE, before=5, limit=9),
    "timeline from the end": lambda s: s.updates.timeline(ONE, before=None, limit=9),
    "under_way": lambda s: s.updates.under_way(sorted(UNDER_WAY), after=0, limit=9),
    "under_way in one state": lambda s: s.updates.under_way(
        [UpdateState.REPORTED], after=0, limit=9
    ),
    "add campaign": lambda s: s.campaigns.add(
        "new", CampaignPlan(firmware_id=s.old.id, name="New"), s.old, at_ms=1
    ),
    "get campaign": lambda s: s.campaigns.get("campaign"),
    "page of campaigns": lambda s: s.campaigns.page(None, after="campaign", limit=9),
    "page of campaigns of a product": lambda s: s.campaigns.page(PRODUCT, after=None, limit=9),
    "at_work": lambda s: s.campaigns.at_work(),
    "change campaign": lambda s: s.campaigns.change(s.campaign, publishes=True),
    "candidates": lambda s: s.campaigns.candidates(PRODUCT, "main", Target(), after=ONE, limit=9),
    "candidates of some": lambda s: s.campaigns.candidates(
        PRODUCT, "main", SOME, after=None, limit=9
    ),
    "selects": lambda s: s.campaigns.selects(PRODUCT, "main", SOME, ONE),
    "join": lambda s: s.campaigns.join(s.campaign, joining([ONE, NEW]), at_ms=1),
    "join another": lambda s: s.campaigns.join(
        replace(s.campaign, id=None), joining([ONE, NEW]), at_ms=1
    ),
    "counts": lambda s: s.campaigns.counts("campaign"),
    "members": lambda s: s.campaigns.members("campaign", states=(), after=ONE, limit=9),
    "members in some states": lambda s: s.campaigns.members(
        "campaign", states=FAILED, after=None, limit=9
    ),
    "overdue": lambda s: s.campaigns.overdue("campaign", before_ms=9, limit=9),
    "earlier": lambda s: s.campaigns.earlier(s.firmware),
    "delete_thing": lambda s: s.core.things.delete_thing(ONE, at_ms=1),
}


@pytest.fixture
async def stores(tmp_path):
    core = await open_core(tmp_path / "core.db")
    stores = Stores(core, tmp_path / "core.db")
    await stores.fill()
    yield stores
    await core.close()


@pytest.fixture
def statements(stores):
    """The statements that the engines are given from now on, with their parameters."""
    seen = []

    def note(_connection, _cursor, statement, parameters, _context, executemany):
        if not statement.startswith("BEGIN"):
            seen.append((statement, parameters[0] if executemany else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def clauses(stores):
    """The statements as they are written, before an engine's dialect is known."""
    seen = []

    def note(_connection, clause, *_):
        if isinstance(clause, ClauseElement):
            seen.append(clause)

    event.listen(Engine, "before_execute", note)
    yield seen
    event.remove(Engine, "before_execute", note)


def plan(path, statements):
    """Return the steps by which SQLite finds the rows of the statements."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            step[3]
            for statement, parameters in statements
            for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


@pytest.mark.parametrize("name", CALLS)
async def test_no_call_walks_through_a_table(stores, statements, tmp_path, name):
    await CALLS[name](stores)

    assert statements
    steps = plan(tmp_path / "core.db", statements)
    assert not [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step], steps


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("add", "ux_firmware_version"),
        ("by_version", "ix_firmware_by_version"),
        ("page of a product", "ix_firmware_by_product"),
        ("catalogue", "ix_firmware_offerable"),
        ("catalogue", "ix_campaign_by_firmware"),
        ("keys", "ix_firmware_key_oldest"),
        ("used_digests", "ix_firmware_by_digest"),
        ("under_way", "ix_firmware_update_under_way"),
        ("under_way in one state", "ix_firmware_update_under_way"),
        ("add campaign", "ux_campaign_lasting"),
        ("page of campaigns of a product", "ix_campaign_by_product"),
        ("at_work", "ix_campaign_at_work"),
        ("candidates", "ix_thing_by_product"),
        ("counts", "ix_firmware_update_counting"),
        ("members", "ix_firmware_update_by_campaign"),
        ("members in some states", "ix_firmware_update_by_campaign"),
        ("overdue", "ix_firmware_update_overdue"),
    ],
)
async def test_the_index_made_for_a_call_is_the_one_it_uses(
    stores, statements, tmp_path, name, index
):
    await CALLS[name](stores)

    steps = plan(tmp_path / "core.db", statements)
    # The blank keeps the name of one index from passing for that of a longer one.
    assert any(f"INDEX {index} " in step for step in steps), steps


async def test_counting_looks_at_the_index_only(stores, statements, tmp_path):
    await CALLS["counts"](stores)

    [step] = plan(tmp_path / "core.db", statements)
    assert "COVERING INDEX ix_firmware_update_counting" in step


@pytest.mark.parametrize("name", CALLS)
async def test_each_statement_can_be_said_to_postgresql(stores, clauses, name):
    await CALLS[name](stores)

    assert clauses
    for clause in clauses:
        compiled = clause.compile(dialect=postgresql.dialect())
        assert str(compiled)


async def test_a_catalogue_is_one_statement_and_so_one_state_of_the_database(stores, statements):
    catalogue = await stores.firmwares.catalogue(PRODUCT)

    assert [campaign.id for campaign in catalogue.campaigns] == ["campaign"]
    assert len(statements) == 1


async def test_a_fleet_is_saved_in_few_statements(stores, statements):
    members = await stores.campaigns.members("campaign", states=(), after=None, limit=500)
    statements.clear()

    saved = await stores.updates.save(
        [Step(one, stores.step(one.thing_id).events) for one in members]
    )

    assert None not in saved
    assert len(saved) == len(THINGS) - 1
    assert len(statements) == 5


async def test_a_fleet_joins_in_few_statements(stores, statements):
    plan = CampaignPlan(firmware_id=stores.old.id, name="Another")
    campaign = await stores.campaigns.add("another", plan, stores.old, at_ms=1)
    statements.clear()

    await stores.campaigns.join(campaign, joining(THINGS), at_ms=1)

    assert len(await stores.campaigns.members("another", states=(), after=None, limit=500)) == 300
    assert len(statements) <= 10


async def test_a_timeline_is_no_longer_in_the_file_than_it_is_told(stores, tmp_path):
    await stores.updates.save([stores.new_step()])

    with closing(sqlite3.connect(tmp_path / "core.db")) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM firmware_event WHERE thing_id = ?", (NEW,)
        ).fetchone()
    assert count == 200
