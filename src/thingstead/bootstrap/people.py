"""What app users meet: their accounts, and what they do with things and objects."""

import asyncio
from dataclasses import dataclass

from thingstead import limits as from_settings
from thingstead.bootstrap.administration import Administration
from thingstead.bus.memory import MemoryBus
from thingstead.features.collections.service import Collections
from thingstead.features.magic.service import Magic
from thingstead.features.sharing.reaches import Reaches
from thingstead.features.sharing.resources import UserResources
from thingstead.features.sharing.service import Sharing
from thingstead.features.users.account_changes import AccountChanges
from thingstead.features.users.accounts import Accounts, PasswordRules, UserStores
from thingstead.features.users.errands import Errands
from thingstead.features.users.letters import Letters
from thingstead.features.users.login_guard import LoginGuard
from thingstead.features.users.recovery import Recovery
from thingstead.features.users.sessions import Sessions
from thingstead.features.users.tickets import TicketLimits, Tickets
from thingstead.features.users.user_settings import UserSettings
from thingstead.features.values.service import Values
from thingstead.hashing.argon2 import Argon2Hasher
from thingstead.hashing.common_passwords import CommonPasswordList
from thingstead.kernel.guesses import Guesses
from thingstead.settings import Settings
from thingstead.storage.sqlite.value_store import SQLiteValueStore


@dataclass(frozen=True, slots=True)
class People:
    """The services of app users."""

    accounts: Accounts
    account_changes: AccountChanges
    settings: UserSettings
    recovery: Recovery
    errands: Errands
    sessions: Sessions
    tickets: Tickets
    reaches: Reaches
    sharing: Sharing
    resources: UserResources
    collections: Collections


@dataclass(frozen=True, slots=True)
class Reading:
    """What gives users their values."""

    values: Values
    magic: Magic
    store: SQLiteValueStore
    bus: MemoryBus


def people_of(
    settings: Settings, administration: Administration, hasher: Argon2Hasher, reading: Reading
) -> People:
    """Return the services of app users."""
    core, clock, changes = administration.core, administration.clock, administration.changes
    ids, seal, apps = administration.ids, administration.seal, administration.apps
    limits = from_settings.user_limits(settings.limits)
    passwords = PasswordRules(hasher, CommonPasswordList())
    guard = LoginGuard(clock, limits.guesses, asyncio.sleep)
    letters = Letters(seal, ids, clock, limits)
    errands = Errands()
    guesses = Guesses(
        "links that do not work", clock, bad=limits.tokens.bad, spare=limits.tokens.spare
    )
    account_changes = AccountChanges(
        core.accounts, passwords, guard, letters, clock=clock, changes=changes
    )
    reaches = Reaches(core.reach, changes, shows_all_epochs=settings.history_follows_thing)
    sessions = Sessions(core.sessions, apps, clock, changes, limits=limits)
    return People(
        accounts=Accounts(
            UserStores(core.accounts, core.sessions),
            apps,
            passwords,
            guard,
            letters,
            ids=ids,
            clock=clock,
            changes=changes,
            limits=limits,
            sleep=asyncio.sleep,
            errands=errands,
        ),
        account_changes=account_changes,
        settings=UserSettings(core.user_settings, account_changes, limits),
        recovery=Recovery(
            core.accounts,
            core.mail_links,
            apps,
            passwords,
            letters,
            clock=clock,
            changes=changes,
            limits=limits,
            sleep=asyncio.sleep,
            guard=guard,
            errands=errands,
            guesses=guesses,
        ),
        errands=errands,
        sessions=sessions,
        tickets=Tickets(sessions, ids, clock, TicketLimits()),
        reaches=reaches,
        sharing=Sharing(
            core.grants,
            reaches,
            changes,
            archive=reading.store.archive,
            clock=clock,
            ids=ids,
            seal=seal,
            limits=from_settings.sharing_limits(settings.limits),
            guesses=guesses,
        ),
        resources=UserResources(
            reaches,
            administration.things,
            reading.values,
            reading.magic,
            reading.store.archive,
            role_entries=settings.limits.role_entries,
        ),
        collections=Collections(
            core.objects,
            reading.bus,
            ids,
            clock,
            limits=from_settings.collection_limits(settings.limits),
            replay=core.objects.replay,
        ),
    )
