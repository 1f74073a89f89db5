"""App users in a data folder, and objects in their collections, before a server starts."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from thingstead.bootstrap import open_platform
from thingstead.kernel.ids import UserId
from thingstead.limit_settings import LimitSettings
from thingstead.settings import Settings

_MANY = 2**31
# More at once would only be refused: a quarter of what may wait for the hasher, or for the store.
_REGISTERED_AT_ONCE = 8
_CREATED_AT_ONCE = 2_500


@dataclass(frozen=True, slots=True)
class AppUser:
    """A registered user; `session` is the token of the session that registering opened."""

    id: UserId
    email: str
    password: str
    session: str


@dataclass(frozen=True, slots=True)
class People:
    """The users of one app of a data folder."""

    data: Path
    app_id: str
    users: list[AppUser]


def make_people(data: Path, count: int) -> People:
    """Register users in an app of their own; each costs one hash of a password."""

    async def work() -> tuple[str, list[AppUser]]:
        limits = LimitSettings(registrations_per_hour=_MANY)
        async with open_platform(Settings(data=str(data), limits=limits)) as platform:
            app = await platform.administration.apps.create("benchmark")

            async def register(number: int) -> AppUser:
                email, password = f"user-{number:04}@example.org", f"long sentence {number:04}"
                logged_in = await platform.people.accounts.register(
                    app.id, email, password, label="benchmark", address="127.0.0.1"
                )
                if logged_in.caller is None:
                    raise RuntimeError(f"{email} was registered before")
                return AppUser(logged_in.caller.user.id, email, password, logged_in.token)

            users: list[AppUser] = []
            for begin in range(0, count, _REGISTERED_AT_ONCE):
                numbers = range(begin, min(begin + _REGISTERED_AT_ONCE, count))
                users += await asyncio.gather(*(register(number) for number in numbers))
            return app.id, users

    app_id, users = asyncio.run(work())
    return People(data, app_id, users)


def an_object(number: int) -> dict[str, object]:
    """Return an object of 200 bytes of JSON, once it is stored with its `_id`; all are as long."""
    return {
        "name": f"lamp-{number % 1_000_000:06}",
        "level": 100 + number % 900,
        "unit": "lux",
        "is_on": True,
        "place": {"building": "the old mill", "floor": 2, "room": "archive, left"},
        "note": "replaced in April 2025",
    }


def fill_collections(data: Path, owner: UserId, names: list[str], *, each: int) -> list[str]:
    """Give each collection `each` objects; return their paths, `COLLECTION/ID`.

    The collections take turns, so that their rows are not written in the order of the key.
    """

    async def work() -> list[str]:
        limits = LimitSettings(objects_per_collection=_MANY, collection_bytes=_MANY)
        paths: list[str] = []
        async with open_platform(Settings(data=str(data), limits=limits)) as platform:
            create = platform.people.collections.create
            for begin in range(0, each * len(names), _CREATED_AT_ONCE):
                numbers = range(begin, min(begin + _CREATED_AT_ONCE, each * len(names)))
                turns = [names[number % len(names)] for number in numbers]
                made = await asyncio.gather(
                    *(
                        create(owner, name, an_object(number))
                        for name, number in zip(turns, numbers, strict=True)
                    )
                )
                paths += [f"{name}/{one.id}" for name, one in zip(turns, made, strict=True)]
        return paths

    return asyncio.run(work())


def stored_objects(data: Path) -> tuple[int, int]:
    """Return how many objects a stopped server's folder holds, and how many it says it holds."""
    with closing(sqlite3.connect(f"file:{data / 'core.db'}?mode=ro", uri=True)) as database:
        (rows,) = database.execute("SELECT count(*) FROM object").fetchone()
        (told,) = database.execute("SELECT coalesce(sum(objects), 0) FROM collection").fetchone()
    return int(rows), int(told)


def stored_hash(data: Path) -> str:
    """Return one password's hash as it is stored; what it costs stands in front."""
    with closing(sqlite3.connect(f"file:{data / 'core.db'}?mode=ro", uri=True)) as database:
        (found,) = database.execute("SELECT password_hash FROM app_user LIMIT 1").fetchone()
    return str(found)
