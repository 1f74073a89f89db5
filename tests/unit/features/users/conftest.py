"""The rules of users on stores in memory, with a clock, sleep and hasher that the test holds."""

from dataclasses import dataclass, field, replace

import pytest

from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from doubles.sealing import PlainSeal
from thingstead.features.apps.model import AppSettings
from thingstead.features.apps.service import Apps
from thingstead.features.mail.sealing import open_letter
from thingstead.features.users.account_changes import AccountChanges
from thingstead.features.users.accounts import Accounts, PasswordRules, UserStores
from thingstead.features.users.errands import Errands
from thingstead.features.users.errors import SettingsTooLargeError
from thingstead.features.users.letters import Letters
from thingstead.features.users.limits import GuessLimits, UserLimits
from thingstead.features.users.login_guard import LoginGuard
from thingstead.features.users.model import LinkPurpose
from thingstead.features.users.recovery import Recovery
from thingstead.features.users.sessions import Sessions
from thingstead.features.users.user_settings import UserSettings
from thingstead.kernel.budget import Rate
from thingstead.kernel.changes import Change, Changes, Kind
from thingstead.kernel.errors import OverloadedError
from thingstead.kernel.guesses import Guesses
from thingstead.kernel.known_tokens import TokenLimits

HERE = "192.0.2.1"
ADA = "ada@example.org"
PASSWORD = "correct horse"


class FakeApps:
    def __init__(self):
        self.kept = {}
        self.reads = 0

    async def add_app(self, app):
        self.kept[app.id] = app

    async def app(self, app_id):
        self.reads += 1
        return self.kept.get(app_id)

    async def apps(self, *, after, limit):
        return [app for app_id, app in sorted(self.kept.items()) if app_id > (after or "")][:limit]

    async def replace_app(self, app):
        if app.id not in self.kept:
            return False
        self.kept[app.id] = app
        return True


class FakeUsers:
    """Users, sessions, links, settings and letters; `before` runs ahead of the call it names."""

    def __init__(self, signal):
        self.signal = signal
        self.accounts = {}
        self.open = {}
        self.links = {}
        self.letters = []
        self.settings_of = {}
        self.noted = []
        self.noted_at_once = []
        self.before = {}
        self.reads = 0

    async def _enter(self, call):
        await self.before.get(call, _nothing)()

    async def add_user(self, account, session, *, mail_link, letter):
        if await self.account(account.user.app_id, account.user.email) is not None:
            return False
        self.accounts[account.user.id] = account
        if session is not None:
            self.open[session.digest] = session.session
        if mail_link is not None:
            self.links[mail_link.digest] = mail_link
        self._post(letter)
        return True

    async def account(self, app_id, email):
        return next(
            (
                account
                for account in self.accounts.values()
                if (account.user.app_id, account.user.email) == (app_id, email)
            ),
            None,
        )

    async def account_of(self, user_id):
        return self.accounts.get(user_id)

    async def set_password(self, user_id, password_hash, *, keep, voids_resets, letter, at_ms):
        await self._enter("set_password")
        if user_id not in self.accounts:
            return False
        if keep is not None and not self._has_session(user_id, keep):
            return False
        self.accounts[user_id] = replace(self.accounts[user_id], password_hash=password_hash)
        self._end(lambda session: session.user_id == user_id and session.id != keep)
        if voids_resets:
            self._void(user_id, LinkPurpose.RESET)
        self._post(letter)
        return True

    async def rehash(self, user_id, *, old, new):
        if self.accounts[user_id].password_hash == old:
            self.accounts[user_id] = replace(self.accounts[user_id], password_hash=new)

    async def note_letter(self, letter, *, at_ms):
        self._post(letter)

    async def delete_user(self, user_id, *, at_ms, proof=None):
        if proof is not None and not (
            user_id in self.accounts
            and self.accounts[user_id].password_hash == proof.password_hash
            and self._has_session(user_id, proof.session_id)
        ):
            return False
        self._end(lambda session: session.user_id == user_id)
        return self.accounts.pop(user_id, None) is not None

    async def session(self, digest, *, at_ms):
        self.reads += 1
        session = self.open.get(digest)
        if session is None or session.expires_at_ms <= at_ms:
            return None
        return session, self.accounts[session.user_id].user

    async def add_session(self, session, *, max_sessions):
        await self._enter("add_session")
        self.open[session.digest] = session.session
        mine = await self.sessions(session.session.user_id, at_ms=0)
        mine.sort(key=lambda one: (one.seen_at_ms, one.id), reverse=True)
        ended = {one.id for one in mine[max_sessions:]}
        if ended:
            self.signal.waiting.append(Change(Kind.USER, session.session.user_id))
        self._end(lambda one: one.id in ended)

    async def sessions(self, user_id, *, at_ms):
        mine = [
            one
            for one in self.open.values()
            if one.user_id == user_id and one.expires_at_ms > at_ms
        ]
        return sorted(mine, key=lambda one: one.id, reverse=True)

    async def end_session(self, user_id, session_id):
        return self._end(lambda one: (one.user_id, one.id) == (user_id, session_id)) > 0

    async def end_other_sessions(self, user_id, keep):
        return self._end(lambda one: one.user_id == user_id and one.id != keep)

    async def note_seen(self, uses):
        await self._enter("note_seen")
        self.noted_at_once.append(len(uses))
        self.noted += [use.session_id for use in uses]
        for use in uses:
            for digest, one in self.open.items():
                if one.id == use.session_id:
                    self.open[digest] = replace(
                        one, seen_at_ms=use.seen_at_ms, expires_at_ms=use.expires_at_ms
                    )

    async def add_mail_link(self, link, letter, *, at_ms):
        self._void(link.user_id, link.purpose)
        self.links[link.digest] = link
        self._post(letter)

    async def user_of_link(self, digest, purpose, *, at_ms):
        link = self.links.get(digest)
        if link is None or link.purpose is not purpose or link.expires_at_ms <= at_ms:
            return None
        return self.accounts[link.user_id].user

    async def confirm_address(self, digest, *, at_ms):
        await self._enter("confirm_address")
        user = await self.user_of_link(digest, LinkPurpose.CONFIRM, at_ms=at_ms)
        return None if user is None else self._confirm(digest, user, at_ms)

    async def reset_password(self, digest, password_hash, *, letter, at_ms):
        await self._enter("reset_password")
        user = await self.user_of_link(digest, LinkPurpose.RESET, at_ms=at_ms)
        if user is None:
            return None
        await self.set_password(
            user.id, password_hash, keep=None, voids_resets=True, letter=letter, at_ms=at_ms
        )
        return self._confirm(digest, user, at_ms)

    async def settings(self, user_id):
        return dict(self.settings_of.get(user_id, {}))

    async def merge_settings(self, user_id, members, *, max_bytes, max_members):
        merged = {**self.settings_of.get(user_id, {}), **members}
        if len(merged) > max_members or len(str(merged)) > max_bytes:
            raise SettingsTooLargeError
        self.settings_of[user_id] = merged

    def _has_session(self, user_id, session_id):
        return any((one.user_id, one.id) == (user_id, session_id) for one in self.open.values())

    def _confirm(self, digest, user, at_ms):
        self.links.pop(digest, None)
        confirmed = replace(user, confirmed_at_ms=at_ms)
        self.accounts[user.id] = replace(self.accounts[user.id], user=confirmed)
        return confirmed

    def _end(self, is_ended):
        ended = [digest for digest, session in self.open.items() if is_ended(session)]
        for digest in ended:
            del self.open[digest]
        return len(ended)

    def _void(self, user_id, purpose):
        self.links = {
            digest: link
            for digest, link in self.links.items()
            if (link.user_id, link.purpose) != (user_id, purpose)
        }

    def _post(self, letter):
        if letter is not None:
            self.letters.append(letter)


async def _nothing():
    pass


class FakeHasher:
    """Counts what it does; hashes made with an older `version` are due to be made anew."""

    def __init__(self):
        self.version = 1
        self.hashed = 0
        self.verified = 0
        self.is_overloaded = False
        self.hash_is_overloaded = False
        self.during_verify = _nothing
        self.payers = []

    async def hash(self, password, *, payer=""):
        self.payers.append(payer)
        if self.is_overloaded or self.hash_is_overloaded:
            raise OverloadedError
        self.hashed += 1
        return f"v{self.version}:{password}"

    async def verify(self, encoded, password, *, payer=""):
        self.payers.append(payer)
        if self.is_overloaded:
            raise OverloadedError
        self.verified += 1
        during, self.during_verify = self.during_verify, _nothing
        is_right = encoded is not None and encoded.split(":", 1)[1] == password
        await during()
        return is_right

    def needs_rehash(self, encoded):
        return not encoded.startswith(f"v{self.version}:")


class FakeSleep:
    """Remembers how long it was asked to sleep."""

    def __init__(self):
        self.slept = []

    async def __call__(self, seconds):
        self.slept.append(round(seconds, 6))


@dataclass(slots=True)
class FakeSignal:
    """Announcements of another process."""

    waiting: list = field(default_factory=list)

    def changes(self):
        waiting, self.waiting = self.waiting, []
        return waiting


LIMITS = UserLimits(
    tokens=TokenLimits(kept=100, bad=Rate(1, 2)),
    guesses=GuessLimits(
        of_pair=Rate(3 / 60, 3),
        of_address=Rate(5 / 60, 5),
        of_account=Rate(6 / 3600, 6),
        waiting=2,
        familiar=3,
        familiar_s=1_000,
    ),
    calls=Rate(2, 3),
    registrations=Rate(4 / 3600, 4),
    resets_of_address=Rate(4 / 3600, 4),
    max_sessions=3,
    confirm_letters=Rate(2 / 86_400, 2),
    reset_letters=Rate(2 / 86_400, 2),
    password_letters=Rate(2 / 86_400, 2),
    settings_bytes=200,
    settings_members=3,
)


class Rig:
    """All rules of users, joined as the server joins them."""

    def __init__(self, limits=LIMITS):
        self.limits = limits
        self.clock = ManualClock()
        self.ids = SequentialIds()
        self.seal = PlainSeal()
        self.signal = FakeSignal()
        self.changes = Changes(self.signal, self.clock)
        self.app_store = FakeApps()
        self.store = FakeUsers(self.signal)
        self.hasher = FakeHasher()
        self.sleep = FakeSleep()
        self.apps = Apps(self.app_store, self.ids, self.clock, self.changes)
        self.passwords = PasswordRules(self.hasher, {"password123"})
        self.guard = LoginGuard(self.clock, limits.guesses, self.sleep)
        self.letters = Letters(self.seal, self.ids, self.clock, limits)
        self.errands = Errands(most_waiting=3)
        self.guesses = Guesses("links", self.clock, bad=limits.tokens.bad, spare=Rate(1, 1))
        self.accounts = Accounts(
            UserStores(self.store, self.store),
            self.apps,
            self.passwords,
            self.guard,
            self.letters,
            ids=self.ids,
            clock=self.clock,
            changes=self.changes,
            limits=limits,
            sleep=self.sleep,
            errands=self.errands,
        )
        self.sessions = Sessions(self.store, self.apps, self.clock, self.changes, limits=limits)
        self.account_changes = AccountChanges(
            self.store,
            self.passwords,
            self.guard,
            self.letters,
            clock=self.clock,
            changes=self.changes,
        )
        self.settings = UserSettings(self.store, self.account_changes, limits)
        self.recovery = Recovery(
            self.store,
            self.store,
            self.apps,
            self.passwords,
            self.letters,
            clock=self.clock,
            changes=self.changes,
            limits=limits,
            sleep=self.sleep,
            guard=self.guard,
            errands=self.errands,
            guesses=self.guesses,
        )
        self.app = None

    async def register(self, email=ADA, password=PASSWORD, *, app=None, address=HERE, label=""):
        app_id = (app or self.app).id
        return await self.accounts.register(app_id, email, password, label=label, address=address)

    async def login(self, email=ADA, password=PASSWORD, *, app=None, address=HERE, label=""):
        app_id = (app or self.app).id
        return await self.accounts.login(app_id, email, password, label=label, address=address)

    async def request_reset(self, email=ADA, *, app=None, address=HERE):
        """Ask for a letter that resets, and have written what waits to be."""
        await self.recovery.request_reset((app or self.app).id, email, address=address)
        await self.errands.do_waiting()

    async def authenticate(self, token, address=HERE):
        return await self.sessions.authenticate(token, address=address)

    async def hiding_app(self):
        return await self.apps.create("Hidden", settings=AppSettings(hides_accounts=True))

    def post(self):
        """The letters written so far: occasion, reader, facts."""
        opened = [open_letter(letter, self.seal) for letter in self.store.letters]
        return [(letter.occasion.value, letter.to, letter.facts) for letter in opened]

    def link(self):
        """The secret in the newest letter."""
        return self.post()[-1][2]["link"].rsplit("/", 1)[1]


@pytest.fixture
async def rig():
    rig = Rig()
    rig.app = await rig.apps.create("Greenhouse")
    return rig


@pytest.fixture
async def ada(rig):
    """A user who has just registered."""
    logged_in = await rig.register()
    return logged_in.caller
