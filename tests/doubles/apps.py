"""Apps in memory."""

from doubles.organisation import Organisation
from thingstead.features.apps.model import App
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import AppId


class MemoryAppStore:
    """Keeps apps."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def add_app(self, app: App) -> None:
        self._organisation.apps[app.id] = app

    async def app(self, app_id: AppId) -> App | None:
        return self._organisation.apps.get(app_id)

    async def apps(self, *, after: AppId | None, limit: int) -> list[App]:
        known = sorted(self._organisation.apps.items())
        return [app for app_id, app in known if app_id > (after or "")][:limit]

    async def replace_app(self, app: App) -> bool:
        if app.id not in self._organisation.apps:
            return False
        self._organisation.apps[app.id] = app
        self._organisation.announced.append(Change(Kind.APP, app.id))
        return True
