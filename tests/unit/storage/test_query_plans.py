"""No statement of the stores walks through a whole table."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine, event

from thingstead.features.apps.model import App, AppSettings
from thingstead.features.mail.model import LetterState, Occasion, SealedLetter
from thingstead.features.products.model import ProductChange, SealedCode
from thingstead.features.sharing.model import Entry, Grant, Rights
from thingstead.features.things.model import SealedToken
from thingstead.features.users.model import (
    Account,
    LinkPurpose,
    MailLink,
    NewSession,
    Proof,
    Session,
    SessionUse,
    User,
)
from thingstead.kernel.ids import (
    AppId,
    GrantId,
    ProductId,
    SessionId,
    ThingId,
    UserId,
    digest,
)
from thingstead.storage.sqlite.core import open_core

TOKEN = SealedToken(digest("another token"), b"sealed")
CALLS = {
    "product": lambda core: core.products.product(ProductId(10_001)),
    "products": lambda core: core.products.products(after=None, limit=500),
    "products after one": lambda core: core.products.products(after=ProductId(10_001), limit=500),
    "change_product": lambda core: core.products.change_product(
        ProductId(10_001), ProductChange(is_automatic=True, decoder="a::uint:8")
    ),
    "device": lambda core: core.devices.device(ProductId(10_001), "known"),
    "activate_device": lambda core: core.devices.activate_device(
        ProductId(10_001), "new", thing_id=ThingId("two"), token=TOKEN, at_ms=1
    ),
    "note_named": lambda core: core.devices.note_named(ProductId(10_001), "known", at_ms=1),
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
    "pending_epochs": lambda core: core.purge_list.pending_epochs(500),
    "epoch_done": lambda core: core.purge_list.epoch_done(ThingId("one"), 0),
    "pending_users": lambda core: core.purge_list.pending_users(500),
    "delete_objects": lambda core: core.purge_list.delete_objects(UserId("ada"), limit=500),
    "user_done": lambda core: core.purge_list.user_done(UserId("ada")),
    "app": lambda core: core.apps.app("home"),
    "apps": lambda core: core.apps.apps(after=AppId("a"), limit=500),
    "replace_app": lambda core: core.apps.replace_app(HOME),
    "add_user": lambda core: core.accounts.add_user(
        account("eve"), session("eve", "s"), mail_link=mail_link("eve", "m"), letter=letter("m")
    ),
    "account": lambda core: core.accounts.account("home", "ada@example.org"),
    "account_of": lambda core: core.accounts.account_of("ada"),
    "set_password": lambda core: core.accounts.set_password(
        "ada", "new", keep="first of ada", voids_resets=True, letter=letter("p"), at_ms=1
    ),
    "rehash": lambda core: core.accounts.rehash("ada", old="hash", new="new"),
    "delete_user": lambda core: core.accounts.delete_user(
        "ada", at_ms=1, proof=Proof("first of ada", "hash")
    ),
    "delete_user of the receiver": lambda core: core.accounts.delete_user("bob", at_ms=1),
    "session": lambda core: core.sessions.session(digest("s"), at_ms=1),
    "add_session": lambda core: core.sessions.add_session(session("ada", "s"), max_sessions=1),
    "sessions": lambda core: core.sessions.sessions("ada", at_ms=1),
    "end_session": lambda core: core.sessions.end_session("ada", "first of ada"),
    "end_other_sessions": lambda core: core.sessions.end_other_sessions("ada", "kept"),
    "note_seen": lambda core: core.sessions.note_seen([SessionUse("first of ada", 1, 2)]),
    "delete_expired": lambda core: core.sessions.delete_expired(at_ms=1, limit=500),
    "add_mail_link": lambda core: core.mail_links.add_mail_link(
        mail_link("ada", "m"), letter("m"), at_ms=1
    ),
    "user_of_link": lambda core: core.mail_links.user_of_link(digest("c"), CONFIRM, at_ms=1),
    "confirm_address": lambda core: core.mail_links.confirm_address(digest("c"), at_ms=1),
    "reset_password": lambda core: core.mail_links.reset_password(
        digest("r"), "new", letter=letter("n"), at_ms=1
    ),
    "settings": lambda core: core.user_settings.settings("ada"),
    "merge_settings": lambda core: core.user_settings.merge_settings(
        "ada", {"b": 1}, max_bytes=99, max_members=9
    ),
    "link": lambda core: core.links.link("ada", ThingId("free"), at_ms=1, max_things=9),
    "last_owner": lambda core: core.links.last_owner(ThingId("one")),
    "unlink": lambda core: core.links.unlink("ada", ThingId("one"), at_ms=1),
    "linked": lambda core: core.links.linked("ada"),
    "delete_linked": lambda core: core.links.delete_linked("ada", ThingId("one"), at_ms=1),
    "claim": lambda core: core.link_ids.claim(
        "ada", "home", "ID", at_ms=1, expires_at_ms=2, max_pending=9, max_things=9
    ),
    "offer": lambda core: core.link_ids.offer(
        ThingId("free"), "ID", at_ms=1, expires_at_ms=2, max_things=9
    ),
    "set_link_app": lambda core: core.link_ids.set_link_app(ProductId(10_001), "home"),
    "delete_expired_link_ids": lambda core: core.link_ids.delete_expired_link_ids(
        at_ms=1, limit=500
    ),
    "add_grant": lambda core: core.grants.add_grant(
        grant("new"), digest("new"), letter("new"), max_grants=9, max_entries=9
    ),
    "given": lambda core: core.grants.given("ada", at_ms=1),
    "given to one address": lambda core: core.grants.given("ada", at_ms=1, email="bob@example.org"),
    "received": lambda core: core.grants.received("bob", at_ms=1),
    "grant_of_link": lambda core: core.grants.grant_of_link(digest("waiting"), at_ms=1),
    "accept_by_link": lambda core: core.grants.accept_by_link(digest("waiting"), at_ms=1),
    "accept": lambda core: core.grants.accept("bob", "waiting", at_ms=1),
    "revoke": lambda core: core.grants.revoke("ada", "accepted"),
    "revoke some": lambda core: core.grants.revoke(
        "ada", "accepted", [Entry(ThingId("one"), "door", Rights.GET)]
    ),
    "reach": lambda core: core.reach.reach("bob"),
    "due": lambda core: core.outbox.due(at_ms=1, limit=500),
    "delivered": lambda core: core.outbox.delivered("grant waiting"),
    "put_off": lambda core: core.outbox.put_off(
        "grant waiting", state=LetterState.FAILED, due_at_ms=1, problem=None
    ),
    "letters": lambda core: core.outbox.letters(limit=500),
    "forget_before": lambda core: core.outbox.forget_before(1),
}
HOME = App(AppId("home"), "Home", frozenset(), AppSettings(), 1)
CONFIRM = LinkPurpose.CONFIRM


def account(name):
    return Account(User(UserId(name), HOME.id, f"{name}@example.org", 1, 1), "hash")


def session(user_id, name):
    return NewSession(Session(SessionId(name), UserId(user_id), 1, 1, 9, "A phone"), digest(name))


def mail_link(user_id, name, purpose=CONFIRM):
    return MailLink(digest(name), purpose, UserId(user_id), 9)


def letter(name):
    return SealedLetter(f"grant {name}", Occasion.GRANT, b"sealed")


def grant(name):
    entry = Entry(ThingId("one"), "door", Rights.GET)
    return Grant(
        GrantId(name),
        HOME.id,
        UserId("ada"),
        "ada@example.org",
        "bob@example.org",
        1,
        9,
        None,
        (entry,),
    )


@pytest.fixture
async def core(tmp_path):
    """One product, an unused code `C`, the thing `one` with token `t` and tag `door`.

    It belongs to `ada`, who shares it with `bob` by an accepted grant and a waiting one; the
    thing `free` belongs to nobody.
    """
    core = await open_core(tmp_path / "core.db")
    product = await core.products.add_product("Station", "hash", at_ms=1)
    await core.products.add_codes(product.id, [SealedCode(digest("C"), b"s")], at_ms=1)
    await core.things.add_thing(
        product.id, thing_id=ThingId("one"), token=SealedToken(digest("t"), b"s"), at_ms=1
    )
    await core.tags.add_tags(ThingId("one"), ["door"], max_tags=9, at_ms=1)
    await core.things.add_thing(
        product.id, thing_id=ThingId("free"), token=SealedToken(digest("f"), b"s"), at_ms=1
    )
    await core.apps.add_app(HOME)
    await core.link_ids.set_link_app(product.id, HOME.id)
    for name in ("ada", "bob"):
        await core.accounts.add_user(
            account(name), session(name, f"first of {name}"), mail_link=None, letter=None
        )
    for name, purpose in (("c", CONFIRM), ("r", LinkPurpose.RESET)):
        await core.mail_links.add_mail_link(mail_link("ada", name, purpose), letter(name), at_ms=1)
    await core.user_settings.merge_settings("ada", {"a": 1}, max_bytes=99, max_members=9)
    await core.links.link("ada", ThingId("one"), at_ms=1, max_things=9)
    for name in ("accepted", "waiting"):
        await core.grants.add_grant(
            grant(name), digest(name), letter(name), max_grants=9, max_entries=9
        )
    await core.grants.accept("bob", "accepted", at_ms=1)
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
        ("activate_device", "ix_activation_code_unused_by_product"),
        ("delete_thing", "ix_device_by_thing"),
        ("things", "ux_thing_token_lasting"),
        ("things of one product", "ix_thing_by_product"),
        ("replace_token", "ix_thing_token_by_thing"),
        ("pending", "ix_purge_oldest"),
        ("pending_epochs", "ix_purge_epoch_oldest"),
        ("pending_users", "ix_purge_user_oldest"),
        ("revoke", "ix_grant_entry_by_place"),
        ("sessions", "ix_session_by_user"),
        ("delete_expired", "ix_session_expiring"),
        ("delete_expired", "ix_mail_link_expiring"),
        ("add_mail_link", "ix_mail_link_by_user"),
        ("linked", "ix_link_by_user"),
        ("delete_user", "ix_thing_epoch_by_user"),
        ("delete_user", "ix_link_claim_by_user"),
        ("claim", "ix_product_by_link_app"),
        ("offer", "ix_link_offer_by_thing"),
        ("delete_expired_link_ids", "ix_link_claim_expiring"),
        ("delete_expired_link_ids", "ix_link_offer_expiring"),
        ("given", "ix_user_grant_by_giver"),
        ("reach", "ix_user_grant_by_address"),
        ("unlink", "ix_grant_entry_by_place"),
        ("due", "ix_letter_due"),
        ("letters", "ix_letter_written"),
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


async def test_reach_is_one_statement_and_so_one_state_of_the_database(core, statements):
    reach = await core.reach.reach("bob")

    assert reach.rights("one", "door") is Rights.GET
    assert len(statements) == 1
