"""Apps, things and users of a server that runs in a process of its own."""

import itertools
from dataclasses import dataclass
from urllib.parse import urlsplit

from support.process import ServerProcess
from support.wire import Address, Answer, ask

PASSWORD = "a long sentence"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_numbers = itertools.count(1)


@dataclass
class User:
    """A user of an app, logged in."""

    address: Address
    app: str
    email: str
    password: str
    token: str

    async def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Make a call with the user's session."""
        return await ask(self.address, method, path, body, {"Authorization": self.token})

    async def expect(self, status: int, method: str, path: str, body: object = None) -> Answer:
        """Make a call that must be answered so."""
        got = await self.ask(method, path, body)
        assert got.status == status, (method, path, got.status, got.body)
        return got


@dataclass(frozen=True)
class Thing:
    """A thing as its owner knows it."""

    id: str
    token: str


def new_app(server: ServerProcess, *flags: str) -> str:
    """The id of a new app, made beside the running server."""
    return server.command("app", "create", "Garden", *flags)["id"]  # type: ignore[index]


def new_codes(server: ServerProcess, count: int = 100) -> list[str]:
    """Activation codes of the first product, made beside the running server."""
    [product] = server.command("product", "list")  # type: ignore[misc]
    words = ("--product", str(product["id"]), "--count", str(count))
    return server.command("codes", "create", *words)  # type: ignore[return-value]


async def new_thing(address: Address, code: str) -> Thing:
    """A new thing, made by its activation code."""
    got = await ask(address, "POST", "/v2/things", {"activationCode": code})
    assert got.status == 201, got.body
    return Thing(got.json["thingId"], got.json["thingToken"])


async def log_in(address: Address, app: str, email: str, password: str = PASSWORD) -> Answer:
    """The answer to a log-in."""
    return await ask(
        address, "POST", "/v2/login", {"email": email, "password": password, "app": app}
    )


async def register(
    address: Address, app: str, email: str | None = None, password: str = PASSWORD
) -> User:
    """A new user; without an address they get one that nobody has."""
    email = email or f"user{next(_numbers)}@example.org"
    body = {"email": email, "password": password, "app": app}
    got = await ask(address, "POST", "/v2/register", body)
    assert got.status == 201, got.body
    return User(address, app, email, password, got.json["token"])


async def follow(address: Address, link: str, form: str = "") -> Answer:
    """Open a mail's link, and press its page's button."""
    path = urlsplit(link).path
    shown = await ask(address, "GET", path)
    assert shown.status == 200, shown.body
    return await ask(address, "POST", path, form.encode(), FORM)
