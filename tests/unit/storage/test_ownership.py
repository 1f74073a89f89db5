"""No store asks for user data without saying whose."""

import inspect
from typing import get_type_hints

import pytest

from thingstead.features.collections.model import Place
from thingstead.features.collections.ports import ObjectStore
from thingstead.features.links.ports import LinkIdStore, LinkStore
from thingstead.features.sharing.model import Grant
from thingstead.features.sharing.ports import GrantStore, ReachStore
from thingstead.features.users.model import Account, MailLink, NewSession
from thingstead.features.users.ports import (
    AccountStore,
    MailLinkStore,
    SessionStore,
    SettingsStore,
)
from thingstead.kernel.ids import AppId, ThingId, UserId
from thingstead.storage.sql.accounts import SQLAccountStore
from thingstead.storage.sql.grants import SQLGrantStore
from thingstead.storage.sql.link_ids import SQLLinkIdStore
from thingstead.storage.sql.links import SQLLinkStore
from thingstead.storage.sql.mail_links import SQLMailLinkStore
from thingstead.storage.sql.reach import SQLReachStore
from thingstead.storage.sql.sessions import SQLSessionStore
from thingstead.storage.sql.user_settings import SQLSettingsStore

STORES = (
    AccountStore,
    SessionStore,
    MailLinkStore,
    SettingsStore,
    LinkStore,
    LinkIdStore,
    GrantStore,
    ReachStore,
    ObjectStore,
    SQLAccountStore,
    SQLSessionStore,
    SQLMailLinkStore,
    SQLSettingsStore,
    SQLLinkStore,
    SQLLinkIdStore,
    SQLGrantStore,
    SQLReachStore,
)
# Each of these names one owner, or holds a record that does.
SCOPES = {AppId, ThingId, UserId, Account, Grant, MailLink, NewSession, Place}
DIGESTS = {"digest", "link_digest"}
UNSCOPED = {
    "note_letter": "a letter is sealed and is nobody's",
    "note_seen": "a session's id comes from the session itself",
    "delete_expired": "a chore over all users that returns a number only",
    "delete_expired_link_ids": "a chore over all users that returns a number only",
    "set_link_app": "a product is the operator's",
    "on_commit": "a listener hears of each change with its place",
}


def methods(store):
    return [
        (name, method)
        for name, method in inspect.getmembers(store, inspect.isfunction)
        if not name.startswith("_")
    ]


CASES = [
    pytest.param(method, id=f"{store.__name__}.{name}")
    for store in STORES
    for name, method in methods(store)
    if name not in UNSCOPED
]


@pytest.mark.parametrize("method", CASES)
def test_every_call_names_whose_data_it_is_about(method):
    hints = get_type_hints(method)
    hints.pop("return", None)

    assert SCOPES & set(hints.values()) or DIGESTS & hints.keys(), hints


def test_what_names_nobody_still_exists():
    known = {name for store in STORES for name, _ in methods(store)}

    assert set(UNSCOPED) <= known
