"""No statement of the stores walks through a whole table."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine, event

from thingstead.features.products.model import SealedCode
from thingstead.features.things.model import SealedToken
from thingstead.kernel.ids import ProductId, ThingId, digest
from thingstead.storage.sqlite.core import open_core

TOKEN = SealedToken(digest("another token"), b"sealed")
CALLS = {
    "product": lambda core: core.products.product(ProductId(10_001)),
    "products": lambda core: core.products.products(after=None, limit=500),
    "products after one": lambda core: core.products.products(after=ProductId(10_001), limit=500),
    "add_codes": lambda core: core.products.add_codes(
        ProductId(10_001), [SealedCode(digest("D"), b"s")], at_ms=1
    ),
    "unused_codes": lambda core: core.products.unused_codes(None, after=None, limit=500),
    "unused_codes of one product": lambda core: core.products.unused_codes(
        ProductId(10_001), after=digest("C"), limit=500
    ),
    "activate": lambda core: core.things.activate(
        digest("C"), None, thing_id=ThingId("two"), token=TOKEN, at_ms=1
    ),
    "activate of one product": lambda core: core.things.activate(
        digest("C"), ProductId(10_001), thing_id=ThingId("two"), token=TOKEN, at_ms=1
    ),
    "add_thing": lambda core: core.things.add_thing(
        ProductId(10_001), thing_id=ThingId("two"), token=TOKEN, at_ms=1
    ),
    "thing_by_token": lambda core: core.things.thing_by_token(digest("t"), at_ms=1),
    "thing": lambda core: core.things.thing(ThingId("one")),
    "things": lambda core: core.things.things(None, after=None, limit=500),
    "things of one product": lambda core: core.things.things(
        ProductId(10_001), after=ThingId("a"), limit=500
    ),
    "replace_token": lambda core: core.things.replace_token(
        ThingId("one"), TOKEN, at_ms=2, old_expires_at_ms=3
    ),
    "delete_thing": lambda core: core.things.delete_thing(ThingId("one"), at_ms=1),
    "tags": lambda core: core.tags.tags(ThingId("one")),
    "add_tags": lambda core: core.tags.add_tags(ThingId("one"), ["roof"], max_tags=9, at_ms=1),
    "delete_tag": lambda core: core.tags.delete_tag(ThingId("one"), "door"),
    "pending": lambda core: core.purge_list.pending(500),
    "done": lambda core: core.purge_list.done(ThingId("one")),
}


@pytest.fixture
async def core(tmp_path):
    """One product, an unused code `C`, the thing `one` with token `t` and tag `door`."""
    core = await open_core(tmp_path / "core.db")
    product = await core.products.add_product("Station", "hash", at_ms=1)
    await core.products.add_codes(product.id, [SealedCode(digest("C"), b"s")], at_ms=1)
    await core.things.add_thing(
        product.id, thing_id=ThingId("one"), token=SealedToken(digest("t"), b"s"), at_ms=1
    )
    await core.tags.add_tags(ThingId("one"), ["door"], max_tags=9, at_ms=1)
    yield core
    await core.close()


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
async def test_every_statement_finds_its_rows_by_an_index(core, statements, tmp_path, name):
    await CALLS[name](core)

    assert statements
    with closing(sqlite3.connect(tmp_path / "core.db")) as connection:
        for statement, parameters in statements:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            steps = [step[3] for step in plan]
            assert not [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step], (
                statement,
                steps,
            )


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("unused_codes", "ix_activation_code_unused"),
        ("unused_codes of one product", "ix_activation_code_unused_by_product"),
        ("things", "ux_thing_token_lasting"),
        ("things of one product", "ix_thing_by_product"),
        ("replace_token", "ix_thing_token_by_thing"),
        ("pending", "ix_purge_oldest"),
    ],
)
async def test_the_index_made_for_a_call_is_the_one_it_uses(
    core, statements, tmp_path, name, index
):
    await CALLS[name](core)

    with closing(sqlite3.connect(tmp_path / "core.db")) as connection:
        steps = [
            step[3]
            for statement, parameters in statements
            for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    # The blank keeps the name of one index from passing for that of a longer one.
    assert any(f"INDEX {index} " in step for step in steps), steps
