"""Callers of the app API, things that are found by their tokens, and announced changes."""

from collections.abc import Sequence

from thingstead.features.apps.model import App, AppSettings
from thingstead.features.things.model import Thing
from thingstead.features.users.model import Caller, User
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import AppId, ProductId, SessionId, ThingId, UserId, digest


def a_caller(name: str, *, is_confirmed: bool = True, resources: Sequence[str] = ()) -> Caller:
    """Return the user with that name, in an app that reaches these resources, or all."""
    app = App(AppId("app"), "Greenhouse", frozenset(resources), AppSettings(), 0)
    user = User(UserId(name), app.id, f"{name}@example.org", 0, 1 if is_confirmed else None)
    return Caller(user, app, SessionId(f"session-of-{name}"))


def thing_id(number: int) -> ThingId:
    return ThingId(f"thing-{number:037d}")


def thing_token(number: int) -> str:
    return f"ttokn-{number:037d}"


def a_thing(number: int, epochs: tuple[int, ...] = (0,)) -> Thing:
    return Thing(thing_id(number), ProductId(1), 0, epochs)


class Announcements:
    """A change signal whose announcements a test, or a store, makes itself."""

    def __init__(self) -> None:
        self._waiting: list[Change] | None = []

    def announce(self, kind: Kind, subject: str) -> None:
        if self._waiting is not None:
            self._waiting.append(Change(kind, subject))

    def lose(self) -> None:
        """Have the next look learn only that anything may have changed."""
        self._waiting = None

    def changes(self) -> Sequence[Change] | None:
        waiting, self._waiting = self._waiting, []
        return waiting


class FoundByToken:
    """As much of a store of things as finding one by its token takes."""

    def __init__(self, *numbers: int) -> None:
        self._things = {digest(thing_token(number)): a_thing(number) for number in numbers}
        self.asked = 0

    async def thing_by_token(
        self, token_digest: bytes, *, at_ms: int
    ) -> tuple[Thing, int | None] | None:
        self.asked += 1
        thing = self._things.get(token_digest)
        return None if thing is None else (thing, None)
