"""A data folder of the first release is taken over at the start of the server."""

import json
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles.old_files import make_old_file
from e2e.people import Thing, new_app, register
from support.process import command, run, server_process
from support.wire import ask, values
from thingstead.kernel.ids import SystemIdSource, digest
from thingstead.sealing.aesgcm import AESGCMSeal, load_or_create_key
from thingstead.storage.migrations.migrate import REVISIONS

FIRST = "0001"
_AT_MS = 1_769_846_400_000  # 2026-01-31 08:00:00
_HISTORY = [20.5, "21", {"deep": [1, None]}, True]
_DESCRIPTION = {"name": "Kitchen", "floor": 2}
_SETTINGS = {"name": "My first thing", "interval": 60}


@dataclass(frozen=True)
class OldFolder:
    """What the first release left: two things, one of which has written, and an unused code."""

    path: Path
    thing: Thing
    silent: Thing
    code: str

    def copies(self) -> dict[str, Path]:
        """The copies that upgrades made, by name."""
        return {path.name: path for path in self.path.glob("*.before-*")}


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    for schema in ("core", "values"):
        make_old_file(folder / f"{schema}.db", schema, FIRST)
    ids = SystemIdSource()
    left = OldFolder(
        folder,
        Thing(ids.token(), ids.token()),
        Thing(ids.token(), ids.token()),
        ids.activation_code(),
    )
    write_core(left, AESGCMSeal(load_or_create_key(folder / "secret.key")))
    write_values(left)
    return left


def write_core(left, seal):
    with closing(sqlite3.connect(left.path / "core.db")) as core, core:
        core.execute("INSERT INTO product VALUES (10001, 'Station', 'hash', ?)", (_AT_MS,))
        core.execute(
            "INSERT INTO activation_code VALUES (?, 10001, ?, ?, NULL, NULL)",
            (digest(left.code), seal.close(left.code), _AT_MS),
        )
        for thing in (left.thing, left.silent):
            core.execute("INSERT INTO thing VALUES (?, 10001, ?)", (thing.id, _AT_MS))
            core.execute(
                "INSERT INTO thing_token VALUES (?, ?, ?, ?, NULL)",
                (digest(thing.token), thing.id, seal.close(thing.token), _AT_MS),
            )
        core.execute("INSERT INTO thing_tag VALUES (?, 'ground', ?)", (left.thing.id, _AT_MS))


def write_values(left):
    with closing(sqlite3.connect(left.path / "values.db")) as database, database:
        # The second series of the file: its id must stay its own.
        for number, key in ((1, "deleted"), (2, "temperature")):
            row = (number, left.thing.id, key)
            database.execute("INSERT INTO series VALUES (?, ?, ?)", row)
        database.execute("DELETE FROM series WHERE id = 1")
        for sequence, stored in enumerate(_HISTORY, 1):
            column = json.dumps(stored).encode() if isinstance(stored, dict | bool) else stored
            database.execute(
                "INSERT INTO value VALUES (2, ?, ?, ?, 41.5, 2.25)",
                (_AT_MS + sequence * 1_000, sequence, column),
            )
        for name, document in (("description", _DESCRIPTION), ("$settings", _SETTINGS)):
            row = (left.thing.id, name, json.dumps(document))
            database.execute("INSERT INTO document VALUES (?, ?, ?)", row)
        database.execute("UPDATE counter SET value = ? WHERE name = 'sequence'", (len(_HISTORY),))


def expected_history():
    """The history as it is read, newest first."""
    return [
        {
            "datetime": datetime.fromtimestamp(_AT_MS / 1_000 + sequence, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "key": "temperature",
            "value": stored,
            "geo": {"lat": 41.5, "long": 2.25},
        }
        for sequence, stored in reversed(list(enumerate(_HISTORY, 1)))
    ]


async def test_the_token_of_the_first_release_reads_all_that_was_stored(old):
    with server_process(old.path) as server:
        thing = f"/v2/things/{old.thing.token}"
        assert server.ready.keys() == {"url", "data"}

        history = await ask(server.address, "GET", f"{thing}/resources/temperature?limit=100")
        settings = await ask(server.address, "GET", f"{thing}/resources/$settings")
        described = await ask(server.address, "GET", f"{thing}/resources/description")
        tags = await ask(server.address, "GET", f"{thing}/tags")

    assert history.json == expected_history()
    assert settings.json[0]["value"] == _SETTINGS
    assert described.json[0]["value"] == _DESCRIPTION
    assert tags.json == [{"_id": "ground", "name": "ground"}]


async def test_the_token_and_the_code_of_the_first_release_still_write(old):
    with server_process(old.path) as server:
        thing = f"/v2/things/{old.thing.token}"
        body = values(("temperature", 22), ("humidity", 40))
        written = await ask(server.address, "POST", thing, body)
        made = await ask(server.address, "POST", "/v2/things", {"activationCode": old.code})
        again = await ask(server.address, "POST", "/v2/things", {"activationCode": old.code})
        history = await ask(server.address, "GET", f"{thing}/resources/temperature?limit=100")

    assert (written.status, made.status, again.status) == (201, 201, 400)
    assert [item["value"] for item in history.json] == [22, *reversed(_HISTORY)]


async def test_a_user_who_links_the_thing_sees_its_history_from_before(old):
    with server_process(old.path) as server:
        ada = await register(server.address, new_app(server))
        await ada.expect(200, "POST", "/v2/me/things", {"thingToken": old.thing.token})
        path = f"/v2/me/resources/temperature/{old.thing.id}?limit=100"
        history = await ada.expect(200, "GET", path)
        [listed] = (await ada.expect(200, "GET", "/v2/me/things")).json

        await ada.expect(200, "DELETE", f"/v2/me/things/{old.thing.id}")
        bob = await register(server.address, ada.app)
        await bob.expect(200, "POST", "/v2/me/things", {"thingToken": old.thing.token})
        seen_by_bob = await bob.ask("GET", path)

    assert history.json == expected_history()
    assert listed["description"] == _DESCRIPTION
    assert (seen_by_bob.status, b"Kitchen" in seen_by_bob.body) == (404, False)


def test_a_copy_of_each_file_is_left_as_the_first_release_had_it(old):
    with server_process(old.path) as server:
        assert server.stop() == 0

    names = {f"{schema}.db.before-{REVISIONS[schema][-1]}" for schema in ("core", "values")}
    assert old.copies().keys() == names
    for name, path in old.copies().items():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        schema = name.partition(".")[0]
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            revision = copy.execute(f"SELECT version_num FROM alembic_version_{schema}")
            assert revision.fetchall() == [(FIRST,)]
    with closing(
        sqlite3.connect(old.copies()[f"values.db.before-{REVISIONS['values'][-1]}"])
    ) as copy:
        assert copy.execute("SELECT count(*) FROM value").fetchone() == (len(_HISTORY),)


def test_a_second_start_makes_no_further_copies(old):
    with server_process(old.path) as server:
        assert server.stop() == 0
    before = {name: path.stat().st_mtime_ns for name, path in old.copies().items()}

    with server_process(old.path) as server:
        assert server.stop() == 0

    assert {name: path.stat().st_mtime_ns for name, path in old.copies().items()} == before


async def test_the_copies_put_back_are_upgraded_again(old):
    with server_process(old.path) as server:
        await ask(server.address, "POST", f"/v2/things/{old.thing.token}", values(("late", 1)))
        assert server.stop() == 0
    for name, path in old.copies().items():
        used = old.path / name.partition(".before-")[0]
        for journal in ("-wal", "-shm"):
            used.with_name(used.name + journal).unlink(missing_ok=True)
        path.replace(used)

    with server_process(old.path) as server:
        thing = f"/v2/things/{old.thing.token}"
        late = await ask(server.address, "GET", f"{thing}/resources/late")
        history = await ask(server.address, "GET", f"{thing}/resources/temperature?limit=100")

    assert late.status == 404
    assert history.json == expected_history()


def test_the_things_of_the_first_release_are_listed_with_their_tokens(old):
    listed = command("thing", "list", "--data", str(old.path), "--json")

    assert {(each["id"], each["token"]) for each in listed} == {
        (old.thing.id, old.thing.token),
        (old.silent.id, old.silent.token),
    }


def test_an_upgrade_that_cannot_be_copied_first_is_refused_and_changes_nothing(old):
    # A folder stands where the copy is to be.
    (old.path / f"core.db.before-{REVISIONS['core'][-1]}").mkdir()

    done = run("serve", "--data", str(old.path), "--host", "127.0.0.1", "--port", "0", "--json")

    assert (done.returncode in {1, 3}, done.stdout) == (True, "")
    assert "Traceback" not in done.stderr
    with closing(sqlite3.connect(old.path / "core.db")) as core:
        revision = core.execute("SELECT version_num FROM alembic_version_core").fetchall()
    assert revision == [(FIRST,)]
