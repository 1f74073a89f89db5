"""No secret is found where it does not belong: logs, files, and answers to anybody else.

One story with a server process goes through all that has to do with secrets. Everything it said,
stored and answered is kept, and searched afterwards.
"""

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

import pytest
import pytest_asyncio

from e2e.people import FORM
from support.mailbox import Mailbox
from support.process import ServerProcess, server_process
from support.wire import Answer, ask, connect, request, values

_numbers = itertools.count(1)


@dataclass
class Story:
    """What was said: every secret by name, every answer with what it may hold."""

    server: ServerProcess
    mailbox: Mailbox
    secrets: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[str, Answer, str | None]] = field(default_factory=list)
    printed: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)

    def password(self, name: str) -> str:
        """A new password that is found wherever it ends up."""
        return self.keep(name, f"canary {name} {next(_numbers)} pass/word")

    def keep(self, name: str, secret: str) -> str:
        assert self.secrets.setdefault(name, secret) == secret, name
        return secret

    async def call(
        self, method: str, path: str, body: object = None, *, session: str = "", hands: str = ""
    ) -> Answer:
        """Make a call and keep the answer; `hands` names the secret that it hands out."""
        headers = {"Authorization": session} if session else {}
        headers |= FORM if isinstance(body, bytes) else {}
        got = await ask(self.server.address, method, path, body, headers)
        self.answers.append((f"{method} {path[:20]}", got, hands or None))
        return got

    async def enter(self, path: str, name: str, email: str, password: str, app: str) -> str:
        """Register or log in; return the session's token."""
        body = {"email": email, "password": password, "app": app}
        got = await self.call("POST", path, body, hands=name)
        assert got.status in {200, 201}, got.body
        return self.keep(name, got.json["token"])

    async def mailed(self, name: str, address: str, begins: str) -> str:
        """The path of the link, which begins so, in the next mail to the address that has one."""
        path = ""
        while not path.startswith(begins):
            letter = await self.mailbox.letter_to(address)
            path = urlsplit(letter.link or "").path
        self.keep(name, path.removeprefix(begins))
        return path

    def forms_of_secrets(self) -> Iterator[tuple[str, bytes]]:
        """Each secret as it is, and as texts of other formats hold it."""
        for name, secret in self.secrets.items():
            yield from (
                (name, form.encode())
                for form in {
                    secret,
                    quote(secret),
                    quote(secret, safe=""),
                    quote_plus(secret),
                    json.dumps(secret)[1:-1],
                    base64.b64encode(secret.encode()).decode().rstrip("="),
                    secret.encode().hex(),
                }
            )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def story(tmp_path_factory):
    folder = tmp_path_factory.mktemp("canaries") / "folder"
    async with Mailbox() as mailbox:
        flags = ("--log-level", "debug", "--mail", mailbox.url)
        with server_process(folder, *flags) as server:
            told = Story(server, mailbox)
            await tell(told)
            # Looked at before the log in front of the files is emptied at the stop, and after.
            told.files |= {
                f"{path.name} while running": path.read_bytes() for path in files(folder)
            }
            assert server.stop() == 0
            assert server.process.stdout is not None
            told.printed = server.process.stdout.read() + server.errors.read_bytes()
            told.files |= {path.name: path.read_bytes() for path in files(folder)}
            yield told


def files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != "secret.key"]


async def tell(story: Story) -> None:
    app = story.server.command("app", "create", "Canaries")["id"]  # type: ignore[index]
    thing = await new_thing(story)
    await letter_that_waits(story, app)
    first = story.password("first password")
    session = await story.enter("/v2/register", "first session", "ada@example.org", first, app)
    path = await story.mailed("confirmation link", "ada@example.org", "/confirm/email/")
    assert (await story.call("POST", path, b"")).status == 200
    await account(story, app, session)
    await passwords(story, app, first)
    session = await story.enter(
        "/v2/login", "last session", "ada@example.org", story.secrets["reset password"], app
    )
    await linking(story, session, thing)
    await sharing(story, app, session, thing)
    await refusals(story, app, session, thing)
    await end(story, app, session, thing)


async def letter_that_waits(story: Story, app: str) -> None:
    """Leave a letter in the outbox, which the mail server refused with a secret in its words."""
    secret = story.keep("mail server's words", "canary" * 8)
    story.mailbox.rcpt_answers.append(f"451 4.3.0 {secret} come again")
    await story.enter(
        "/v2/register", "carol's session", "carol@example.org", story.password("carol"), app
    )
    while "not delivered" not in story.server.logged():
        await story.call("GET", "/health/live")
    [letter] = story.server.command("mail", "list")  # type: ignore[misc]
    story.keep("link that waits", letter["link"].rpartition("/")[2])


async def new_thing(story: Story) -> str:
    """Make a thing by its code; return its id."""
    body = {"activationCode": story.keep("code", story.server.code)}
    got = await story.call("POST", "/v2/things", body, hands="thing token")
    story.keep("thing token", got.json["thingToken"])
    story.keep("first thing's token", story.server.token)
    return got.json["thingId"]


async def account(story: Story, app: str, session: str) -> None:
    """Reads of an account, a log-out, wrong log-ins, and a session that ended."""
    for path in ("", "/settings", "/sessions", "/things", "/resources", "/grants", "/export"):
        await story.call("GET", f"/v2/me{path}", session=session)
    wrong = {"email": "ada@example.org", "password": story.password("wrong password"), "app": app}
    assert (await story.call("POST", "/v2/login", wrong)).status == 401
    nobody = wrong | {"email": "nobody@example.org"}
    assert (await story.call("POST", "/v2/login", nobody)).status == 401
    form = "&".join(f"{name}={quote_plus(text)}" for name, text in wrong.items())
    assert (await story.call("POST", "/v2/login", form.encode())).status == 401


async def passwords(story: Story, app: str, first: str) -> None:
    """Every way to change a password, and what is refused on each."""
    email = "ada@example.org"
    session = await story.enter("/v2/login", "second session", email, first, app)
    second = story.password("second password")
    mixed = {"password": second, "language": "en", "token": "x"}
    assert (await story.call("PUT", "/v2/me/settings", mixed, session=session)).status == 200
    await story.call("GET", "/v2/me/settings", session=session)
    third = story.password("third password")
    change = {"currentPassword": second, "password": third}
    assert (await story.call("PUT", "/v2/me", change, session=session)).status == 200
    assert (await story.call("PUT", "/v2/me", change, session=session)).status >= 400
    mismatch = change | {"confirmationPassword": story.password("confirmation")}
    assert (await story.call("PUT", "/v2/me", mismatch, session=session)).status >= 400
    body = {"email": email, "app": app}
    assert (await story.call("POST", "/v2/password-reset", body)).status == 200
    path = await story.mailed("reset link", email, "/confirm/password/")
    await story.call("GET", path)
    fourth = story.password("reset password")
    other = quote_plus(story.password("mistyped password"))
    wrong = f"password={quote_plus(fourth)}&again={other}"
    assert (await story.call("POST", path, wrong.encode())).status == 400
    right = f"password={quote_plus(fourth)}&again={quote_plus(fourth)}"
    assert (await story.call("POST", path, right.encode())).status == 200
    assert (await story.call("GET", path)).status == 404


async def linking(story: Story, session: str, thing: str) -> None:
    token = story.secrets["thing token"]
    assert (await story.call("POST", f"/v2/things/{token}", values(("door", 1)))).status == 201
    body = {"thingToken": token}
    assert (await story.call("POST", "/v2/me/things", body, session=session)).status == 200
    await story.call("GET", "/v2/me/things", session=session)
    path = f"/v2/me/resources/door/{token}"
    assert (await story.call("POST", path, values(("door", 2)), session=session)).status == 201
    for name in ("resources", "resources/description", "resources/door", f"resources/door/{thing}"):
        await story.call("GET", f"/v2/me/{name}", session=session)
    async with connect(story.server.address) as stream:
        path = "/v2/me/resources/door?subscribe=true"
        await stream.send(request("GET", path, headers={"Authorization": session}))
        head = await stream.read_head()
        documents = [await stream.read_chunk()]
        await story.call("POST", f"/v2/things/{token}", values(("door", 3)))
        documents.append(await stream.read_chunk())
    head.body = b"".join(documents)
    story.answers.append(("stream", head, None))


async def sharing(story: Story, app: str, session: str, thing: str) -> None:
    """Grant, accept by the mail's link, pass through every list, take back."""
    bob = "bob@example.org"
    theirs = await story.enter("/v2/register", "bob's session", bob, story.password("bob"), app)
    path = await story.mailed("bob's confirmation link", bob, "/confirm/email/")
    assert (await story.call("POST", path, b"")).status == 200
    body = {"email": bob, "permissions": {"door": {thing: {"get": True, "grant": True}}}}
    assert (await story.call("PUT", "/v2/me/grant", body, session=session)).status == 200
    path = await story.mailed("grant link", bob, "/confirm/grant/")
    await story.call("GET", path)
    assert (await story.call("POST", path, b"")).status == 200
    assert (await story.call("POST", path, b"")).status == 404
    for session_of_one in (session, theirs):
        for name in ("grants", "resources", "resources/door", "things", "export"):
            await story.call("GET", f"/v2/me/{name}", session=session_of_one)


async def refusals(story: Story, app: str, session: str, thing: str) -> None:
    """Errors of every kind, with secrets in all that was sent."""
    token, password = story.secrets["thing token"], story.password("refused password")
    bad = story.keep("unknown session", "us_" + "canary" * 7 + "x")
    taken = {"email": "ada@example.org", "password": password, "app": app}
    statuses = [
        await story.call("GET", "/v2/me", session=bad),
        await story.call("POST", "/v2/register", taken),
        await story.call("POST", "/v2/register", taken | {"app": "NoSuchApp12345"}),
        await story.call("POST", "/v2/register", taken | {"email": password}),
        await story.call("POST", "/v2/register", taken | {"email": [password]}),
        await story.call("POST", "/v2/register", taken | {"password": [password]}),
        await story.call("POST", "/v2/register", b'{"password":"' + password.encode()),
        await story.call("POST", "/v2/register", taken | {"password": password * 10}),
        await story.call("PUT", "/v2/me/settings", {"password": [password]}, session=session),
        await story.call("PUT", "/v2/me/settings", [password], session=session),
        await story.call("PUT", "/v2/me", {"password": password}, session=session),
        await story.call("DELETE", "/v2/me", {"currentPassword": password}, session=session),
        await story.call("POST", "/v2/me/things", {"thingToken": [token]}, session=session),
        await story.call("GET", f"/v2/me/resources/never/{token}", session=session),
        await story.call("POST", f"/v2/me/resources/door/{token}", {"x": 1}, session=session),
        await story.call("GET", f"/v2/things/{token}/resources/never"),
        await story.call("POST", f"/v2/things/{token}", b'{"values":'),
        await story.call("GET", f"/v2/nothing/{token}"),
        await story.call("GET", f"/confirm/email/{story.secrets['confirmation link']}"),
        await story.call("DELETE", f"/v2/me/things/{thing}x", session=session),
        await story.call("GET", f"/v2/me/resources/door?limit={token}", session=session),
    ]
    assert [got.status for got in statuses if got.status < 400] == []


async def end(story: Story, app: str, session: str, thing: str) -> None:
    """Unlink, log out, and delete the account."""
    path = f"/v2/me/things/{thing}"
    assert (await story.call("DELETE", path, session=session)).status == 200
    password = story.secrets["reset password"]
    more = await story.enter("/v2/login", "one more session", "ada@example.org", password, app)
    assert (await story.call("DELETE", "/v2/me/sessions/current", session=more)).status == 200
    assert (await story.call("GET", "/v2/me", session=more)).status == 401
    body = {"currentPassword": password}
    assert (await story.call("DELETE", "/v2/me", body, session=session)).status == 200
    assert (await story.call("GET", "/v2/me", session=session)).status == 401


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_story_has_secrets_of_every_kind(story):
    assert len(story.secrets) > 20
    assert len(set(story.secrets.values())) == len(story.secrets)
    assert len(story.answers) > 60


async def test_no_secret_is_printed_or_logged(story):
    found = {name for name, form in story.forms_of_secrets() if form in story.printed}

    assert b"not delivered" in story.printed
    assert found == set()


async def test_no_secret_is_readable_in_any_file(story):
    found = {
        (name, file)
        for name, form in story.forms_of_secrets()
        for file, content in story.files.items()
        if form in content
    }

    assert {"core.db", "values.db", "core.db-wal while running"} <= story.files.keys()
    assert found == set()


async def test_a_secret_is_answered_only_by_the_call_that_hands_it_out(story):
    found = [
        (call, name)
        for call, got, hands in story.answers
        for name, form in story.forms_of_secrets()
        if name != hands and form in got.head + got.body
    ]

    assert found == []


async def test_no_answer_holds_a_hash_or_a_password(story):
    for call, got, _ in story.answers:
        assert b"$argon2" not in got.body, call
        if (got.get("Content-Type") or "").startswith("application/json"):
            assert list(passwords_in(got)) == [], call


def passwords_in(got: Answer) -> Iterator[str]:
    """Members called like a password, at any depth of any document of the answer."""
    rest = got.body.decode()
    decoder = json.JSONDecoder()
    while rest:
        document, length = decoder.raw_decode(rest)
        rest = rest[length:]
        waiting = [document]
        while waiting:
            one = waiting.pop()
            if isinstance(one, dict):
                yield from (name for name in one if "password" in name.lower())
                waiting += one.values()
            elif isinstance(one, list):
                waiting += one


async def test_the_hashes_lie_in_the_core_file_and_nowhere_else(story):
    # Otherwise the search above would have looked in the wrong place.
    holding = {
        file.partition(" ")[0] for file, content in story.files.items() if b"$argon2" in content
    }

    assert holding <= {"core.db", "core.db-wal"}
    assert holding
