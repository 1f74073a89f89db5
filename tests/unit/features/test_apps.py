"""The rules of apps: names, resources, settings, and what is remembered."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from thingstead.features.apps.errors import AppNotFoundError, InvalidAppError
from thingstead.features.apps.model import AppChange, AppSettings
from thingstead.features.apps.service import Apps
from thingstead.kernel.changes import Change, Changes, Kind
from thingstead.kernel.ids import AppId


class Store:
    def __init__(self):
        self.kept = {}
        self.reads = 0
        self.gate = None

    async def add_app(self, app):
        self.kept[app.id] = app

    async def app(self, app_id):
        self.reads += 1
        app = self.kept.get(app_id)
        if self.gate is not None:
            await self.gate.wait()
        return app

    async def apps(self, *, after, limit):
        return [app for app_id, app in sorted(self.kept.items()) if app_id > (after or "")][:limit]

    async def replace_app(self, app):
        if app.id not in self.kept:
            return False
        self.kept[app.id] = app
        return True


@dataclass(slots=True)
class Signal:
    waiting: list | None = field(default_factory=list)

    def changes(self):
        waiting, self.waiting = self.waiting, []
        return waiting


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def signal():
    return Signal()


@pytest.fixture
def apps(store, signal, clock):
    return Apps(store, SequentialIds(), clock, Changes(signal, clock))


async def test_a_new_app_is_found_by_its_id(apps, clock):
    app = await apps.create("Greenhouse", ["temperature"], AppSettings(hides_accounts=True))

    assert await apps.get(app.id) == app
    assert (app.name, app.resources) == ("Greenhouse", {"temperature"})
    assert app.settings == AppSettings(hides_accounts=True)
    assert app.created_at_ms == clock.now_ms()


async def test_an_app_has_no_resources_and_the_common_settings_unless_told(apps):
    app = await apps.create("Greenhouse")

    assert (app.resources, app.settings) == (frozenset(), AppSettings())


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
async def test_what_is_no_name_is_refused(apps, store, name):
    with pytest.raises(InvalidAppError, match="name: must not"):
        await apps.create(name)

    assert store.kept == {}


async def test_a_name_may_have_100_characters(apps):
    assert await apps.create("x" * 100)


@pytest.mark.parametrize("key", ["", "x" * 65, "a b", "$geo", "a/b", "\u00fc", "a\n"])
async def test_what_cannot_be_a_key_is_no_resource(apps, key):
    with pytest.raises(InvalidAppError, match="resources: a key has 1 to 64"):
        await apps.create("Greenhouse", ["temperature", key])


async def test_a_key_may_have_64_characters(apps):
    assert await apps.create("Greenhouse", ["Aa0_.-" + "x" * 58])


async def test_an_app_reaches_1000_resources_at_most(apps):
    keys = [f"key{number}" for number in range(1_001)]

    assert await apps.create("Greenhouse", keys[:1_000])
    with pytest.raises(InvalidAppError, match="at most 1000"):
        await apps.create("Greenhouse", keys)


async def test_an_app_reaches_what_it_names_and_descriptions(apps):
    app = await apps.create("Greenhouse", ["temperature"])

    assert [app.reaches(key) for key in ("temperature", "description", "door")] == [
        True,
        True,
        False,
    ]


async def test_an_app_that_names_nothing_reaches_everything(apps):
    app = await apps.create("Greenhouse")

    assert app.reaches("door")


async def test_an_unknown_app_is_refused(apps):
    with pytest.raises(AppNotFoundError):
        await apps.get("unknown")


@pytest.mark.parametrize("app_id", ["", "x" * 65, "a b", "a\n", "\ud800"])
async def test_what_cannot_be_an_id_is_not_looked_up(apps, store, app_id):
    with pytest.raises(AppNotFoundError):
        await apps.get(app_id)

    assert store.reads == 0


async def test_an_app_is_read_once(apps, store):
    app = await apps.create("Greenhouse")

    for _ in range(3):
        await apps.get(app.id)

    assert store.reads == 1


async def test_an_app_that_another_process_creates_works_at_once(apps, store):
    with pytest.raises(AppNotFoundError):
        await apps.get("new")
    app = replace(await apps.create("Greenhouse"), id=AppId("new"))

    await store.add_app(app)

    assert await apps.get("new") == app


async def test_the_app_read_first_is_forgotten_when_a_thousand_are_known(apps, store):
    made = [await apps.create(f"App {number}") for number in range(1_001)]
    for app in made[:1_000]:
        await apps.get(app.id)
    await apps.get(made[0].id)
    reads_of_1000 = store.reads

    await apps.get(made[1_000].id)
    await apps.get(made[1].id)
    await apps.get(made[0].id)

    assert (reads_of_1000, store.reads) == (1_000, 1_002)


async def test_a_change_is_in_force_at_once(apps):
    app = await apps.create("Greenhouse", ["temperature"])
    await apps.get(app.id)

    changed = await apps.change(
        app.id,
        AppChange("Orangery", frozenset({"door"}), AppSettings(needs_current_password=True)),
    )

    assert await apps.get(app.id) == changed
    assert (changed.name, changed.resources) == ("Orangery", {"door"})
    assert changed.settings == AppSettings(needs_current_password=True)
    assert (changed.id, changed.created_at_ms) == (app.id, app.created_at_ms)


async def test_what_a_change_does_not_name_is_kept(apps):
    app = await apps.create("Greenhouse", ["temperature"], AppSettings(hides_accounts=True))

    assert await apps.change(app.id, AppChange()) == app


async def test_an_app_can_lose_its_resources(apps):
    app = await apps.create("Greenhouse", ["temperature"])

    changed = await apps.change(app.id, AppChange(resources=frozenset()))

    assert changed.reaches("door")


@pytest.mark.parametrize("change", [AppChange(name=""), AppChange(resources=frozenset({"a b"}))])
async def test_a_change_that_is_refused_changes_nothing(apps, change):
    app = await apps.create("Greenhouse")

    with pytest.raises(InvalidAppError):
        await apps.change(app.id, change)

    assert await apps.get(app.id) == app


async def test_an_unknown_app_cannot_be_changed(apps):
    with pytest.raises(AppNotFoundError):
        await apps.change(AppId("unknown"), AppChange(name="Orangery"))


async def test_an_app_that_is_gone_before_its_change_is_stored_is_refused(apps, store):
    app = await apps.create("Greenhouse")
    store.gate = asyncio.Event()
    changing = asyncio.create_task(apps.change(app.id, AppChange(name="Orangery")))
    await asyncio.sleep(0)
    store.kept.clear()
    store.gate.set()

    with pytest.raises(AppNotFoundError):
        await changing


@pytest.mark.parametrize("is_told_which", [True, False])
async def test_what_another_process_changes_is_seen_within_50_ms(
    apps, store, signal, clock, is_told_which
):
    app = await apps.create("Greenhouse")
    await apps.get(app.id)
    changed = replace(app, name="Orangery")
    await store.replace_app(changed)

    if is_told_which:
        signal.waiting.append(Change(Kind.APP, app.id))
    else:
        signal.waiting = None
    clock.advance(0.051)

    assert await apps.get(app.id) == changed


async def test_an_app_read_before_a_change_is_not_remembered_after_it(apps, store, signal, clock):
    app = await apps.create("Greenhouse")
    store.gate = asyncio.Event()
    reading = asyncio.create_task(apps.get(app.id))
    await asyncio.sleep(0)
    store.gate.set()
    changed = await apps.change(app.id, AppChange(name="Orangery"))
    await reading

    assert await apps.get(app.id) == changed


async def test_all_apps_are_listed_by_id(apps):
    made = [await apps.create(f"App {number}") for number in range(101)]

    assert [app async for app in apps.all()] == sorted(made, key=lambda app: app.id)
