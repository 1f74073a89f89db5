"""The limits of accounts that can be set, at n and at n + 1, on a server that was started with it.

As `tests/api/test_limits_as_settings.py`, which also finds limits without a test.
"""

import asyncio
from types import SimpleNamespace

import pytest

from doubles.clock import ManualClock
from support.in_process import served
from support.wire import PATIENCE_SECONDS, compact, connect
from thingstead.bootstrap import administration, people
from thingstead.hashing.argon2 import Argon2Hasher
from thingstead.limit_settings import LimitSettings

PASSWORD = "a long sentence"
WRONG = "another sentence"


@pytest.fixture
def clock(monkeypatch):
    """The clock of every platform that is opened: it stands still and is moved by the tests."""
    standing = ManualClock(1_767_225_600_000)
    monkeypatch.setattr(administration, "SystemClock", lambda: standing)
    return standing


@pytest.fixture
def start(tmp_path, clock):
    """Start a server with the limits given."""

    def started(limits):
        return served(tmp_path / "folder", limits=limits)

    return started


class Client:
    """One connection to a server with one app."""

    def __init__(self, wire, app):
        self.wire = wire
        self.app = app

    async def credentials(self, path, email, password=PASSWORD):
        sent = {"email": email, "password": password, "app": self.app}
        return await self.wire.ask("POST", path, sent)

    async def register(self, email="ada@example.org"):
        return await self.credentials("/v2/register", email)

    async def login(self, email="ada@example.org", password=PASSWORD):
        return await self.credentials("/v2/login", email, password)

    async def me(self, token):
        return await self.wire.ask("GET", "/v2/me", headers={"Authorization": token})

    async def put(self, token, members):
        headers = {"Authorization": token}
        return await self.wire.ask("PUT", "/v2/me/settings", members, headers)


async def client_of(server, wire):
    return Client(wire, (await server.new_app()).id)


async def statuses(calls):
    return [(await call).status for call in calls]


async def test_settings_have_as_many_bytes_as_they_may(start):
    async with start(LimitSettings(settings_bytes=50)) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        token = (await client.register()).json["token"]
        room = 50 - len(compact({"a": ""}))

        fitting = await client.put(token, {"a": "x" * room})
        beyond = await client.put(token, {"a": "x" * (room + 1)})

        assert (fitting.status, beyond.status) == (200, 413)
        assert "50 bytes" in beyond.message


async def test_settings_may_have_more_bytes_than_by_default(start):
    larger = LimitSettings(settings_bytes=40_000)
    async with start(larger) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        token = (await client.register()).json["token"]
        room = 40_000 - len(compact({"a": ""}))

        fitting = await client.put(token, {"a": "x" * room})
        beyond = await client.put(token, {"a": "x" * (room + 1)})

        assert (fitting.status, beyond.status) == (200, 413)
        assert "40000 bytes" in beyond.message


async def test_settings_have_as_many_members_as_they_may(start):
    async with start(LimitSettings(settings_members=2)) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        token = (await client.register()).json["token"]

        fitting = await client.put(token, {"a": 1, "b": 2})
        beyond = await client.put(token, {"c": 3})

        assert (fitting.status, beyond.status) == (200, 413)
        assert "2 members" in beyond.message


async def test_of_more_sessions_than_a_user_may_have_the_longest_unused_ends(start, clock):
    async with start(LimitSettings(sessions_per_user=3)) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        tokens = [(await client.register()).json["token"]]
        for _ in range(2):
            clock.advance(1)
            tokens.append((await client.login()).json["token"])
        assert [(await client.me(token)).status for token in tokens] == [200, 200, 200]

        clock.advance(1)
        tokens.append((await client.login()).json["token"])

        assert [(await client.me(token)).status for token in tokens] == [401, 200, 200, 200]


async def test_a_user_calls_as_often_in_a_second_as_they_may(start, clock):
    limits = LimitSettings(calls_per_second=2, call_burst=4)
    async with start(limits) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        token = (await client.register()).json["token"]
        first = [(await client.me(token)).status for _ in range(5)]

        clock.advance(1)

        assert first == [200, 200, 200, 200, 429]
        assert [(await client.me(token)).status for _ in range(3)] == [200, 200, 429]
        refused = await client.me(token)
        assert "at most 2 calls of one user in a second" in refused.message
        assert refused.get("Retry-After") == "1"


async def test_a_user_calls_as_often_at_once_as_they_may(start):
    async with start(LimitSettings(call_burst=3)) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        ada = (await client.register()).json["token"]
        bob = (await client.register("bob@example.org")).json["token"]

        assert [(await client.me(ada)).status for _ in range(4)] == [200, 200, 200, 429]
        assert (await client.me(bob)).status == 200


async def test_an_address_may_send_so_many_unknown_sessions_in_a_minute(start, clock):
    limits = LimitSettings(bad_sessions_per_minute=3)
    async with start(limits) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        unknown = "us_" + "A" * 43
        first = [(await client.me(unknown)).status for _ in range(4)]

        clock.advance(21)

        assert first == [401, 401, 401, 429]
        assert [(await client.me(unknown)).status for _ in range(2)] == [401, 429]
        refused = await client.me(unknown)
        assert "at most 3 unknown session tokens in a minute" in refused.message


async def test_an_address_registers_so_often_in_an_hour(start, clock):
    limits = LimitSettings(registrations_per_hour=2)
    async with start(limits) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        first = [(await client.register(f"ada{number}@example.org")).status for number in range(3)]

        clock.advance(1_801)

        assert first == [201, 201, 429]
        assert (await client.register("ada3@example.org")).status == 201
        refused = await client.register("ada4@example.org")
        assert "at most 2 registrations in an hour" in refused.message
        async with connect(server.address, source="127.0.0.2") as elsewhere:
            other = Client(elsewhere, client.app)
            assert (await other.register("ada5@example.org")).status == 201


async def test_one_account_takes_so_many_wrong_passwords_in_a_minute(start, clock):
    limits = LimitSettings(bad_logins_per_minute=3)
    async with start(limits) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        await client.register()
        first = [(await client.login(password=WRONG)).status for _ in range(4)]

        clock.advance(21)

        assert first == [401, 401, 401, 429]
        assert (await client.login()).status == 200
        assert (await client.login(password=WRONG)).status == 401
        refused = await client.login(password=WRONG)
        assert "at most 3 wrong passwords of one account in a minute" in refused.message
        assert (await client.login("bob@example.org", WRONG)).status == 401


async def test_one_address_sends_so_many_wrong_passwords_in_a_minute(start, clock):
    limits = LimitSettings(bad_logins_per_address=3)
    async with start(limits) as server, connect(server.address) as wire:
        client = await client_of(server, wire)
        emails = [f"nobody{number}@example.org" for number in range(5)]
        first = [(await client.login(email)).status for email in emails[:4]]

        clock.advance(21)

        assert first == [401, 401, 401, 429]
        assert (await client.login(emails[4])).status == 401
        refused = await client.login(emails[4])
        assert "at most 3 wrong passwords in a minute from one address" in refused.message


async def test_after_so_many_wrong_passwords_strange_addresses_wait(start, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    # The composition root hands the rules what they wait with.
    monkeypatch.setattr(people, "asyncio", SimpleNamespace(sleep=sleep))
    limits = LimitSettings(bad_logins_per_account=2)
    async with start(limits) as server, connect(server.address, source="127.0.0.2") as wire:
        app = (await server.new_app()).id
        home = Client(wire, app)
        await home.register()
        async with connect(server.address) as stranger:
            strange = Client(stranger, app)
            before = [(await strange.login(password=WRONG)).status for _ in range(2)]
            assert (before, slept) == ([401, 401], [])

            assert (await home.login()).status == 200
            assert slept == []
            assert (await strange.login()).status == 200
            assert slept == [0.25]


async def test_as_many_passwords_wait_to_be_hashed_as_may(start, monkeypatch):
    entered, opened = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    hash_in_thread = Argon2Hasher._hash

    def hash_when_told(self, password):
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(opened.wait(), loop).result(PATIENCE_SECONDS)
        return hash_in_thread(self, password)

    monkeypatch.setattr(Argon2Hasher, "_hash", hash_when_told)
    monkeypatch.setattr("thingstead.hashing.argon2._cores", lambda: 2)
    async with start(LimitSettings(waiting_passwords=2)) as server:
        app = (await server.new_app()).id

        async def register(number):
            async with connect(server.address) as wire:
                return await Client(wire, app).register(f"ada{number}@example.org")

        # One is hashed in the only thread, two wait.
        calls = [asyncio.create_task(register(number)) for number in range(4)]
        refused, _ = await asyncio.wait(
            calls, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        opened.set()
        answers = await asyncio.gather(*calls)

    assert [one.result().status for one in refused] == [503]
    assert "too many passwords wait" in refused.pop().result().message
    assert sorted(got.status for got in answers) == [201, 201, 201, 503]


@pytest.mark.parametrize("page", ["email", "grant", "password"])
async def test_so_many_links_that_do_not_work_are_opened_in_a_minute(start, clock, page):
    async with (
        start(LimitSettings(bad_sessions_per_minute=2)) as server,
        connect(server.address) as wire,
    ):
        path = f"/confirm/{page}/{'A' * 43}"
        sent = [await wire.ask(method, path) for method in ("GET", "POST", "POST")]
        clock.advance(30)
        later = await wire.ask("POST", path)

    assert [got.status for got in sent] == [404, 404, 429]
    assert b"at most 2 links that do not work in a minute" in sent[2].body
    assert later.status == 404
