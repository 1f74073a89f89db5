"""What every store of apps promises."""

from dataclasses import replace

from thingstead.features.apps.model import App, AppSettings
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import AppId

HOME = App(
    AppId("home"),
    "Häuser 🏠",
    frozenset({"temperature", "door/state", "°C"}),
    AppSettings(needs_current_password=True, hides_accounts=False),
    1_000,
)


async def test_an_app_is_found_by_its_id(core):
    await core.apps.add_app(HOME)

    assert await core.apps.app(HOME.id) == HOME


async def test_an_unknown_app_is_none(core):
    assert await core.apps.app(AppId("nobody")) is None


async def test_apps_come_in_pages_ascending_by_id(core):
    made = [replace(HOME, id=AppId(name)) for name in ("b", "A", "_", "a", "-")]
    for app in made:
        await core.apps.add_app(app)

    first = await core.apps.apps(after=None, limit=3)
    second = await core.apps.apps(after=first[-1].id, limit=3)

    ordered = sorted(made, key=lambda app: app.id)
    assert (first, second) == (ordered[:3], ordered[3:])


async def test_an_app_is_replaced_and_that_is_announced(core):
    await core.apps.add_app(HOME)
    changed = replace(
        HOME, name="Home", resources=frozenset(), settings=AppSettings(hides_accounts=True)
    )

    replaced = await core.apps.replace_app(changed)

    assert replaced
    assert await core.apps.app(HOME.id) == changed
    assert list(core.change_signal.changes()) == [Change(Kind.APP, "home")]


async def test_an_unknown_app_is_not_replaced(core):
    assert not await core.apps.replace_app(HOME)

    assert await core.apps.app(HOME.id) is None
    assert not core.change_signal.changes()
