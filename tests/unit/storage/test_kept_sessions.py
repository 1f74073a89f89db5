"""What is SQL's own about kept sessions: nothing walks a table, nothing secret is readable."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine, event

from thingstead.features.kept_sessions.model import (
    Holder,
    HolderKind,
    KeptSession,
    KeptSessionLimits,
    KeptSubscription,
    WaitingMessage,
)
from thingstead.features.things.model import SealedToken
from thingstead.kernel.ids import ThingId, digest
from thingstead.sealing.aesgcm import AESGCMSeal
from thingstead.storage.sqlite.core import open_core

LIMITS = KeptSessionLimits(sessions_per_holder=3, messages=3)
ONE = Holder(HolderKind.THING, "one")
TOKEN = "canaryCANARYcanaryCANARYcanaryCANARYcanary0"  # Nobody's token.
ASLEEP = KeptSession(
    "s1", ONE, f"client {TOKEN}", 60, (KeptSubscription(f"v2/things/{TOKEN}/#", 1, 7),), 1_000
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "core.db"


@pytest.fixture
async def core(path):
    """A store with the thing `one`."""
    core = await open_core(path)
    product = await core.products.add_product("Station", "hash", at_ms=1)
    await core.things.add_thing(
        product.id, thing_id=ThingId("one"), token=SealedToken(digest("t"), b"s"), at_ms=1
    )
    yield core
    await core.close()


@pytest.fixture
def seal():
    return AESGCMSeal(bytes(range(32)))


@pytest.fixture
def other_seal():
    return AESGCMSeal(bytes(range(1, 33)))


class Stores:
    def __init__(self, core, seal):
        self.core = core
        self.sessions = core.kept_sessions(seal, LIMITS)
        self.messages = core.waiting_messages(seal, LIMITS)

    async def fill(self):
        for number in (1, 2, 3):
            session = KeptSession(f"s{number}", ONE, f"c{number}", 60, ASLEEP.subscriptions, 1_000)
            await self.sessions.put(session)
            await self.keep(session.id, 3)

    async def keep(self, session_id, count):
        message = WaitingMessage(f"v2/things/{TOKEN}/cmd", b"payload")
        await self.messages.add_messages([(session_id, message)] * count, at_ms=1)


CALLS = {
    "find": lambda s: s.sessions.find(ONE, "c1", at_ms=1),
    "put": lambda s: s.sessions.put(KeptSession("new", ONE, "new", 60, ASLEEP.subscriptions)),
    "put again": lambda s: s.sessions.put(KeptSession("s1", ONE, "c1", 60, ASLEEP.subscriptions)),
    "mark": lambda s: s.sessions.mark([ASLEEP]),
    "delete": lambda s: s.sessions.delete("s1"),
    "away": lambda s: s.sessions.away(at_ms=1, after="s1", limit=500),
    "gone": lambda s: s.sessions.gone(at_ms=1_000, limit=500),
    "cross_off": lambda s: s.sessions.cross_off(["s1"]),
    "add_messages": lambda s: s.keep("s1", 2),
    "messages": lambda s: s.messages.messages("s1", after=1, limit=100),
    "drop_messages": lambda s: s.messages.drop_messages("s1", up_to=1),
    "delete_thing": lambda s: s.core.things.delete_thing(ThingId("one"), at_ms=1),
}


@pytest.fixture
def statements(core):
    """The statements that the engines are given from now on, with their parameters."""
    seen = []

    def note(_connection, _cursor, statement, parameters, _context, executemany):
        if not statement.startswith("BEGIN"):
            seen.append((statement, parameters[0] if executemany else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("name", CALLS)
async def test_no_call_walks_through_a_table(core, seal, statements, path, name):
    stores = Stores(core, seal)
    await stores.fill()
    statements.clear()

    await CALLS[name](stores)

    assert statements
    with closing(sqlite3.connect(path)) as connection:
        for statement, parameters in statements:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            steps = [step[3] for step in plan]
            assert not [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step], (
                statement,
                steps,
            )


async def test_no_token_lies_readable_in_the_files(core, seal, path):
    stores = Stores(core, seal)
    await stores.sessions.put(ASLEEP)
    await stores.keep("s1", 1)

    files = [file.read_bytes() for file in path.parent.iterdir()]

    assert any(b"payload" in content for content in files)
    assert not [content for content in files if b"canary" in content]


async def test_what_another_key_closed_counts_as_none(core, seal, other_seal):
    before, after = Stores(core, seal), Stores(core, other_seal)
    await before.fill()
    await after.sessions.put(KeptSession("s4", ONE, "c4", 60, (), 900))

    found = await after.sessions.find(ONE, "c3", at_ms=1)
    away = [await after.sessions.away(at_ms=1, after=name, limit=1) for name in ("", "s4")]

    assert found is None
    assert [[session.id for session in page] for page in away] == [["s4"], []]
    assert await after.messages.messages("s3", after=0, limit=10) == []


async def test_a_client_whose_session_another_key_closed_gets_a_new_one(core, seal, other_seal):
    await Stores(core, seal).sessions.put(ASLEEP)
    sessions = Stores(core, other_seal).sessions
    new = KeptSession("s2", ONE, ASLEEP.client_id, 60)

    await sessions.put(new)

    assert await sessions.find(ONE, ASLEEP.client_id, at_ms=1) == new
    assert await sessions.gone(at_ms=1, limit=10) == ["s1"]


async def test_how_much_waits_is_noted_as_it_is(core, seal, path):
    stores = Stores(core, seal)
    await stores.sessions.put(ASLEEP)
    await stores.keep("s1", 5)
    first, *_ = await stores.messages.messages("s1", after=0, limit=3)
    await stores.messages.drop_messages("s1", up_to=first.number)

    with closing(sqlite3.connect(path)) as connection:
        (noted,) = connection.execute("SELECT waiting, waiting_bytes FROM kept_session")
        (held,) = connection.execute("SELECT count(*), sum(size) FROM waiting_message")
    assert noted == held
    assert noted[0] == 2


async def test_a_topic_that_recurs_is_sealed_once(core, seal, path):
    stores = Stores(core, seal)
    await stores.sessions.put(ASLEEP)

    for _ in range(2):
        await stores.keep("s1", 1)

    with closing(sqlite3.connect(path)) as connection:
        sealed = connection.execute("SELECT sealed_topic FROM waiting_message").fetchall()
    assert len(sealed) == 2
    assert len(set(sealed)) == 1
