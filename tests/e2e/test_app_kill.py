"""What app users were told is done outlasts `kill -9`, and nothing is half done."""

import asyncio
import contextlib
import json
import os
import random
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.people import PASSWORD, Thing, User, log_in, new_app, new_thing, register
from support.process import ServerProcess, server_process
from support.wire import Address, Answer, Wire, connect

ROUNDS = 3
_OBJECT_CLIENTS = 4
# The clients go faster than users may.
_LIMITS = {
    f"THINGSTEAD_LIMITS_{name}": "1000000"
    for name in (
        "CALLS_PER_SECOND",
        "CALL_BURST",
        "UNLINKS_PER_THING",
        "LINK_TRIES_PER_HOUR",
        "REGISTRATIONS_PER_HOUR",
    )
}


@dataclass
class Kept:
    """One state that one client changes, step by step.

    `possible`: what was acknowledged last and, while an answer is missing, what was asked for.
    """

    possible: list[object] = field(default_factory=lambda: [None])

    async def become(self, state: object, ask: Awaitable[Answer]) -> None:
        """Ask for the next state, which must be granted."""
        self.possible.append(state)
        got = await ask
        assert got.status in {200, 201}, got.body
        self.possible = [state]

    def settle(self, found: object) -> bool:
        """Note which state was found; return whether it could be that one."""
        could = found in self.possible
        self.possible = [found]
        return could


@dataclass
class Client:
    """A user who does one kind of thing until the connection breaks."""

    user: User
    name: str
    kept: dict[str, Kept] = field(default_factory=dict)
    steps: int = 0

    async def work_until_killed(
        self, address: Address, step: Callable[["Client", Wire], Awaitable[None]]
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with connect(address) as wire:
                while True:
                    self.steps += 1
                    await step(self, wire)

    def ask(self, wire: Wire, method: str, path: str, body: object = None) -> Awaitable[Answer]:
        return wire.ask(method, path, body, {"Authorization": self.user.token})

    def state(self, name: str) -> Kept:
        return self.kept.setdefault(name, Kept())


async def change_objects(client: Client, wire: Wire) -> None:
    """Store an object, merge into it, and delete every third one."""
    name = f"{client.name}-{client.steps}"
    path = f"/v2/classes/me/{client.name}"
    kept = client.state(name)
    first = {"_id": name, "a": 0, "b": 0, "text": "é" * (client.steps % 50)}
    await kept.become(first, client.ask(wire, "POST", path, first))
    members = {"a": client.steps, "b": client.steps, "more": [client.name]}
    merge = client.ask(wire, "PUT", f"{path}/{name}", members)
    await kept.become(first | members, merge)
    if client.steps % 3 == 0:
        await kept.become(None, client.ask(wire, "DELETE", f"{path}/{name}"))


async def change_settings(client: Client, wire: Wire) -> None:
    members = {"a": client.steps, "b": client.steps}
    await client.state("settings").become(
        members, client.ask(wire, "PUT", "/v2/me/settings", members)
    )


async def register_somebody(client: Client, wire: Wire) -> None:
    email = f"{client.name}.{client.steps}@example.org"
    body = {"email": email, "password": PASSWORD, "app": client.user.app}
    await client.state(email).become("registered", wire.ask("POST", "/v2/register", body))


async def link_and_unlink(client: Client, wire: Wire, thing: Thing) -> None:
    kept = client.state(thing.id)
    if kept.possible == ["linked"]:
        path = f"/v2/me/things/{thing.id}"
        await kept.become(None, client.ask(wire, "DELETE", path))
    else:
        body = {"thingToken": thing.token}
        await kept.become("linked", client.ask(wire, "POST", "/v2/me/things", body))


@dataclass
class Crew:
    """Everybody who is at work when the server is killed."""

    objects: list[Client]
    settings: Client
    registrar: Client
    linker: Client
    thing: Thing

    @property
    def clients(self) -> list[Client]:
        return [*self.objects, self.settings, self.registrar, self.linker]

    async def work_until_killed(self, address: Address) -> None:
        await asyncio.gather(
            *(one.work_until_killed(address, change_objects) for one in self.objects),
            self.settings.work_until_killed(address, change_settings),
            self.registrar.work_until_killed(address, register_somebody),
            self.linker.work_until_killed(
                address, lambda client, wire: link_and_unlink(client, wire, self.thing)
            ),
        )


async def make_crew(server: ServerProcess) -> Crew:
    app = new_app(server)

    async def client(name: str) -> Client:
        return Client(await register(server.address, app), name)

    settings = await client("settings")
    settings.kept["settings"] = Kept([{}])
    return Crew(
        [await client(f"objects{number}") for number in range(_OBJECT_CLIENTS)],
        settings,
        await client("registrar"),
        await client("linker"),
        await new_thing(server.address, server.code),
    )


async def surprises(crew: Crew, address: Address) -> list[str]:
    """What the server tells that cannot be, after what it had acknowledged."""
    found = []
    async with connect(address) as wire:
        for client in crew.objects:
            listed = (await client.ask(wire, "GET", f"/v2/classes/me/{client.name}")).json
            stored = {each["_id"]: each for each in listed}
            found += [f"{name} was made up" for name in stored.keys() - client.kept.keys()]
            found += unsettled(client, stored)
        got = await crew.settings.ask(wire, "GET", "/v2/me/settings")
        found += unsettled(crew.settings, {"settings": got.json})
        listed = (await crew.linker.ask(wire, "GET", "/v2/me/things")).json
        found += unsettled(crew.linker, {each["_id"]: "linked" for each in listed})
    return found + await surprises_of_registrar(crew.registrar, address)


def unsettled(client: Client, stored: dict[str, object]) -> list[str]:
    return [
        f"{name} is {json.dumps(stored.get(name))}"
        for name, kept in client.kept.items()
        if not kept.settle(stored.get(name))
    ]


async def surprises_of_registrar(client: Client, address: Address) -> list[str]:
    """Log in as the last ones who registered; whoever cannot, must be able to register."""
    stored: dict[str, object] = {}
    for email in list(client.kept)[-3:]:
        got = await log_in(address, client.user.app, email)
        if got.status == 200:
            stored[email] = "registered"
        else:
            assert (got.status, len(client.kept[email].possible)) == (401, 2), (email, got.body)
            await register(address, client.user.app, email)
            client.kept[email] = Kept(["registered"])
            stored[email] = "registered"
    # The others are looked up in the file: each log-in would take a password's time.
    return unsettled(client, dict.fromkeys(client.kept, "registered") | stored)


def wrong_in_file(folder: Path, crew: Crew) -> list[object]:
    """What does not agree in `core.db`."""
    uri = f"{(folder / 'core.db').resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as core:
        (integrity,) = core.execute("PRAGMA integrity_check").fetchone()
        broken = core.execute("PRAGMA foreign_key_check").fetchall()
        counted = core.execute(
            "SELECT user_id, collection, count(*), sum(length(CAST(text AS BLOB)))"
            " FROM object GROUP BY user_id, collection"
        ).fetchall()
        noted = core.execute("SELECT * FROM collection WHERE objects > 0").fetchall()
        users = {email for (email,) in core.execute("SELECT email FROM app_user")}
        alone = core.execute(
            "SELECT email FROM app_user WHERE id NOT IN (SELECT user_id FROM session)"
        ).fetchall()
    registered = {name for name, kept in crew.registrar.kept.items() if kept.possible != [None]}
    return [
        *([] if integrity == "ok" else [integrity]),
        *broken,
        *(sorted(set(counted) ^ set(noted))),
        *sorted(registered - users),
        *alone,
    ]


@pytest.fixture
async def crew_and_folder(tmp_path):
    with server_process(tmp_path / "folder", env=_LIMITS) as server:
        crew = await make_crew(server)
        assert server.stop() == 0
    return crew, tmp_path / "folder"


async def test_what_users_were_told_is_done_survives_a_kill(crew_and_folder):
    crew, folder = crew_and_folder
    seed = int(os.environ.get("THINGSTEAD_TEST_SEED", "0")) or secrets.randbits(32)
    print(f"THINGSTEAD_TEST_SEED={seed}")  # noqa: T201
    chance = random.Random(seed)
    found = []
    for _ in range(ROUNDS):
        before = [client.steps for client in crew.clients]
        with server_process(folder, env=_LIMITS) as server:
            working = asyncio.create_task(crew.work_until_killed(server.address))
            # The moment of the kill is the round's input, not something that it waits for.
            await asyncio.sleep(chance.uniform(0.4, 1.2))
            server.kill()
            async with asyncio.timeout(60):
                await working
        assert all(
            now > then for now, then in zip((c.steps for c in crew.clients), before, strict=True)
        )

        with server_process(folder, env=_LIMITS) as server:
            found += await surprises(crew, server.address)
            assert server.stop() == 0
            assert "Traceback" not in server.logged()
        found += wrong_in_file(folder, crew)

    assert found == [], seed


async def test_a_state_that_was_acknowledged_must_be_found():
    kept = Kept(["old", "asked for"])

    assert kept.settle("asked for")
    assert not kept.settle("old")
