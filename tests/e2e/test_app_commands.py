"""`app`, `product link-ids` and `mail list` beside a running server, and `serve --mail`."""

import asyncio
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from e2e.people import PASSWORD, follow, log_in, new_app, new_codes, new_thing, register
from support.mailbox import Mailbox
from support.process import run, server_process
from support.wire import ask, values


@contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody else is given while the block runs, for a server to listen on."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        if sys.platform != "linux":
            # Only Linux lets a server listen where somebody else is merely bound.
            holder.close()
        yield port


@contextmanager
def public_server(folder, *flags):
    """A server with a public URL, which its commands know too."""
    with free_port() as port:
        # By name: without the setting it would be the number of the address.
        env = {"THINGSTEAD_PUBLIC_URL": f"http://localhost:{port}"}
        with server_process(folder, "--port", str(port), *flags, env=env) as running:
            yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server without a mail server, on a port that only it knows."""
    with server_process(tmp_path_factory.mktemp("server") / "folder") as running:
        yield running
        assert running.stop() == 0, running.logged()
        assert "Traceback" not in running.logged()


@pytest.fixture(scope="module")
def product(server):
    [listed] = server.command("product", "list")
    return listed["id"]


@pytest.fixture(scope="module")
def app(server):
    return new_app(server)


@pytest.fixture(scope="module")
def changed_app(server):
    """An app that tests change, each in another respect."""
    return new_app(server)


@pytest.fixture(scope="module")
def codes(server):
    return new_codes(server)


def told(server, *words):
    """What a command beside the server told: its exit code, and both its outputs."""
    options = ("--data", str(server.folder))
    done = run(*words[:2], *options, *words[2:], env=server.settings)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


async def test_an_app_made_beside_the_server_takes_users_at_once(server):
    made = server.command("app", "create", "Kitchen")

    assert made.keys() == {"id", "name"}
    assert made["name"] == "Kitchen"
    await register(server.address, made["id"])


def test_the_apps_are_listed_as_they_were_made(server):
    words = ("--resource", "temperature", "--resource", "door", "--needs-current-password")
    app = new_app(server, *words)

    [listed] = [each for each in server.command("app", "list") if each["id"] == app]

    assert listed == {
        "id": app,
        "name": "Garden",
        "resources": ["door", "temperature"],
        "needsCurrentPassword": True,
        "hidesAccounts": False,
    }


def test_in_words_an_app_is_told_with_its_id_and_what_it_reaches(server):
    code, printed, _ = told(server, "app", "create", "Cellar", "--resource", "water")
    app = printed.split()[1]

    assert (code, printed) == (0, f"App {app} (Cellar)\n")
    assert told(server, "app", "change", app, "--name", "Attic")[1] == "Changed.\n"
    assert f"{app}  Attic  (water)\n" in told(server, "app", "list")[1]


async def test_resources_taken_from_an_app_are_gone_at_once(server, codes, changed_app):
    ada = await register(server.address, changed_app)
    thing = await new_thing(server.address, codes.pop())
    body = values(("temperature", 21), ("door", "open"))
    await ask(server.address, "POST", f"/v2/things/{thing.token}", body)
    await ada.expect(200, "POST", "/v2/me/things", {"thingToken": thing.token})
    await ada.expect(200, "GET", f"/v2/me/resources/door/{thing.id}")

    server.command("app", "change", changed_app, "--resource", "temperature")

    named = await ada.expect(200, "GET", "/v2/me/resources")
    names = [each["name"] for each in named.json]
    assert ("temperature" in names, "door" in names) == (True, False)
    assert (await ada.ask("GET", f"/v2/me/resources/door/{thing.id}")).status in {403, 404}

    server.command("app", "change", changed_app, "--all-resources")

    await ada.expect(200, "GET", f"/v2/me/resources/door/{thing.id}")


async def test_the_current_password_is_asked_for_at_once(server, changed_app):
    ada = await register(server.address, changed_app)
    await ada.expect(200, "PUT", "/v2/me/settings", {"password": "another sentence"})

    server.command("app", "change", changed_app, "--needs-current-password")

    alone = await ada.ask("PUT", "/v2/me/settings", {"password": PASSWORD})
    assert alone.status in {400, 403}, alone.body
    both = {"password": PASSWORD, "currentPassword": "another sentence"}
    await ada.expect(200, "PUT", "/v2/me/settings", both)
    assert (await log_in(server.address, changed_app, ada.email)).status == 200


async def test_accounts_are_hidden_at_once(server, changed_app):
    ada = await register(server.address, changed_app)

    server.command("app", "change", changed_app, "--hides-accounts")

    again = await register(server.address, changed_app, ada.email, "another sentence")
    assert (await again.ask("GET", "/v2/me")).status == 401
    assert (await ada.ask("GET", "/v2/me")).status == 200


async def test_link_ids_work_from_the_moment_they_are_allowed(server, app, product, codes):
    ada = await register(server.address, app)
    thing = await new_thing(server.address, codes.pop())
    body = {"linkId": "SERIAL-0001"}
    before = await ask(server.address, "POST", f"/v2/things/{thing.token}", body)

    changed = server.command("product", "link-ids", str(product), "--app", app)

    assert before.status >= 400
    assert changed == {"id": product, "linkApp": app}
    waiting = await ada.expect(200, "POST", "/v2/me/things", body)
    assert "thingId" not in waiting.json
    linked = await ask(server.address, "POST", f"/v2/things/{thing.token}", body)
    assert (linked.status, linked.json["message"]) == (200, "linked")
    assert [each["_id"] for each in (await ada.ask("GET", "/v2/me/things")).json] == [thing.id]

    off = told(server, "product", "link-ids", str(product), "--off")

    assert off == (0, "Changed.\n", "")
    after = await ask(server.address, "POST", f"/v2/things/{thing.token}", body)
    assert after.status == before.status


async def test_the_link_of_a_mail_that_was_only_shown_works(server, app):
    ada = await register(server.address, app)
    assert (await ada.ask("GET", "/v2/me")).json["confirmed"] is False

    [letter] = [each for each in server.command("mail", "list") if each["to"] == ada.email]

    assert letter["occasion"] == "confirm-address"
    assert letter["link"].startswith(f"{server.url}/confirm/email/")
    assert (await follow(server.address, letter["link"])).status == 200
    assert (await ada.ask("GET", "/v2/me")).json["confirmed"] is True


async def test_in_words_a_mail_is_told_with_its_reader_and_its_link(server, app):
    ada = await register(server.address, app)

    code, printed, complaint = told(server, "mail", "list", "--limit", "1")

    assert (code, complaint) == (0, "")
    first, second = printed.splitlines()
    assert first.endswith(f"confirm-address  to {ada.email}")
    assert second.startswith(f"  link: {server.url}/confirm/email/")


@pytest.mark.parametrize(
    "words",
    [
        ("app", "change", "NoSuchApp12345", "--name", "x"),
        ("product", "link-ids", "@PRODUCT@", "--app", "NoSuchApp12345"),
        ("app", "create", ""),
    ],
    ids=["unknown app", "unknown app of a product", "no name"],
)
def test_what_is_refused_is_one_line_and_ends_with_1(server, product, words):
    filled = [word.replace("@PRODUCT@", str(product)) for word in words]

    code, printed, complaint = told(server, *filled)

    assert (code, printed) == (1, ""), complaint
    assert complaint.startswith("thingstead: ")
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("app", "create"),
        ("app", "change", "some", "--all-resources", "--resource", "a"),
        ("product", "link-ids", "1"),
        ("mail", "list", "--limit", "1001"),
    ],
    ids=" ".join,
)
def test_wrong_use_ends_with_2(server, words):
    code, printed, complaint = told(server, *words)

    assert (code, printed) == (2, "")
    assert complaint


@pytest.mark.parametrize(
    "url",
    [
        "http://user:canary-word@mail.example.org",
        "smtp://user:canary-word@",
        "smtp://user:canary-word@mail.example.org:notaport",
        "smtp://user:canary-word/x@mail.example.org",
        "smtp://user:canary-word@more@mail.example.org",
        "canary-word",
    ],
)
def test_a_wrong_mail_server_is_named_without_its_password(tmp_path, url):
    complaint = refused_start(tmp_path / "folder", "--mail", url)

    assert "mail" in complaint
    assert "canary" not in complaint


@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_wrong_mail_server_is_named_wherever_it_stands(tmp_path, source):
    url = "smtp://user:canary-word@"
    folder = tmp_path / "folder"
    folder.mkdir()
    if source == "file":
        (folder / "thingstead.toml").write_text(f'mail = "{url}"\n')

    env = {"THINGSTEAD_MAIL": url} if source == "environment" else None
    complaint = refused_start(folder, env=env)

    assert "mail" in complaint
    assert "canary" not in complaint


def refused_start(folder, *flags, env=None):
    """The one line of a server that a wrong setting keeps from starting."""
    words = ("--data", str(folder), "--host", "127.0.0.1", "--port", "0", *flags)
    done = run("serve", *words, env=env)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("thingstead: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


async def test_mails_go_to_the_mail_server(tmp_path):
    async with Mailbox() as mailbox:
        with public_server(tmp_path / "folder", "--mail", mailbox.url) as server:
            ada = await register(server.address, new_app(server))

            letter = await mailbox.letter_to(ada.email)

            assert letter.link.startswith(f"{server.url}/confirm/email/")
            assert (await follow(server.address, letter.link)).status == 200
            assert server.stop() == 0
        assert letter.link.rpartition("/")[2] not in server.logged()


async def test_a_mail_that_waits_goes_out_at_the_start_once_it_is_due(tmp_path):
    folder = tmp_path / "folder"
    with socket.socket() as taken:
        # Bound but not listening: every connection is refused.
        taken.bind(("127.0.0.1", 0))
        nobody = f"smtp://127.0.0.1:{taken.getsockname()[1]}"
        with server_process(folder, "--mail", nobody) as server:
            ada = await register(server.address, new_app(server))
            await until_logged(server, "not delivered")
            [waiting] = server.command("mail", "list")
            assert server.stop() == 0
    assert (waiting["to"], waiting["state"]) == (ada.email, "waiting")
    assert waiting["problem"]
    # The minute until the next attempt has passed.
    with closing(sqlite3.connect(folder / "core.db")) as database, database:
        assert database.execute("UPDATE letter SET due_at_ms = 1").rowcount == 1

    async with Mailbox() as mailbox:
        with server_process(folder, "--mail", mailbox.url) as server:
            assert (await mailbox.letter_to(ada.email)).link is not None
            await until_delivered(server)


async def until_logged(server, words):
    """Return when the log has them."""
    while words not in server.logged():
        assert (await ask(server.address, "GET", "/health/live")).status == 200


async def until_delivered(server):
    """Return when no mail is left."""
    with closing(sqlite3.connect(server.folder / "core.db")) as database:
        while database.execute("SELECT count(*) FROM letter").fetchone() != (0,):
            assert (await ask(server.address, "GET", "/health/live")).status == 200


async def test_a_mail_that_its_process_could_not_deliver_is_not_lost_when_it_is_killed(tmp_path):
    folder = tmp_path / "folder"
    async with Mailbox() as mailbox:
        # A mail server that takes the mail and never answers.
        mailbox.gate = asyncio.Event()
        with server_process(folder, "--mail", mailbox.url) as server:
            ada = await register(server.address, new_app(server))
            await mailbox.is_asked.wait()
            server.kill()
        mailbox.gate.set()

    async with Mailbox() as mailbox:
        with server_process(folder, "--mail", mailbox.url):
            letter = await mailbox.letter_to(ada.email)
    assert letter.link is not None
