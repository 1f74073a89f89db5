"""The rules of apps: their names, which resources they reach, how they treat their users.

An app is read by every log-in and every new session, so apps seen lately are remembered until
a change of them is announced (`kernel/changes.py`). Nothing is remembered about what does not
exist: an app that somebody creates is in force at once.
"""

import re
from collections.abc import AsyncIterator, Iterable

from thingstead.features.apps.errors import AppNotFoundError, InvalidAppError
from thingstead.features.apps.model import App, AppChange, AppSettings
from thingstead.features.apps.ports import AppStore
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import AppId, IdSource
from thingstead.kernel.names import name_problem

MAX_RESOURCES = 1_000
_KEPT = 1_000
_PAGE = 100
_APP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # `features/values/checks.py` takes the same keys


class Apps:
    """Creates, finds, lists and changes apps."""

    def __init__(self, store: AppStore, ids: IdSource, clock: Clock, changes: Changes) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self._changes = changes
        self._known: dict[AppId, App] = {}
        self._generation = 0
        changes.listen(Kind.APP, self._forget)

    async def create(
        self,
        name: str,
        resources: Iterable[str] = (),
        settings: AppSettings = AppSettings(),  # noqa: B008  # It is frozen.
    ) -> App:
        """Create an app; names need not be unique, no resources means all of them.

        Raises:
            InvalidAppError: the name or a resource is not possible, or there are too many.
        """
        app = App(
            id=AppId(self._ids.short_id()),
            name=_checked_name(name),
            resources=_checked_resources(resources),
            settings=settings,
            created_at_ms=self._clock.now_ms(),
        )
        await self._store.add_app(app)
        return app

    async def get(self, app_id: str) -> App:
        """Return the app with that id, which may be any text.

        Raises:
            AppNotFoundError: there is none.
        """
        if _APP_ID.fullmatch(app_id) is None:
            raise AppNotFoundError
        self._changes.look()
        known = self._known.get(AppId(app_id))
        if known is not None:
            return known
        generation = self._generation
        app = await self._store.app(AppId(app_id))
        if app is None:
            raise AppNotFoundError
        # What was read before a change must not be remembered after it.
        if generation == self._generation:
            self._remember(app)
        return app

    async def all(self) -> AsyncIterator[App]:
        """Yield all apps, ascending by id."""
        after: AppId | None = None
        while page := await self._store.apps(after=after, limit=_PAGE):
            for app in page:
                yield app
            after = page[-1].id

    async def change(self, app_id: AppId, change: AppChange) -> App:
        """Change what the change names and return the app as it is now.

        Raises:
            AppNotFoundError: there is none with that id.
            InvalidAppError: as for `create`; nothing is changed.
        """
        old = await self._store.app(app_id)
        if old is None:
            raise AppNotFoundError
        app = App(
            id=old.id,
            name=old.name if change.name is None else _checked_name(change.name),
            resources=(
                old.resources if change.resources is None else _checked_resources(change.resources)
            ),
            settings=old.settings if change.settings is None else change.settings,
            created_at_ms=old.created_at_ms,
        )
        if not await self._store.replace_app(app):
            raise AppNotFoundError
        self._changes.tell(Kind.APP, app.id)
        return app

    def _remember(self, app: App) -> None:
        while len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[app.id] = app

    def _forget(self, app_id: str | None) -> None:
        self._generation += 1
        if app_id is None:
            self._known.clear()
        else:
            self._known.pop(AppId(app_id), None)


def _checked_name(name: str) -> str:
    problem = name_problem(name)
    if problem is not None:
        raise InvalidAppError(f"name: {problem}")
    return name


def _checked_resources(resources: Iterable[str]) -> frozenset[str]:
    keys = frozenset(resources)
    if len(keys) > MAX_RESOURCES:
        raise InvalidAppError(f"resources: at most {MAX_RESOURCES}")
    if any(_KEY.fullmatch(key) is None for key in keys):
        raise InvalidAppError(
            "resources: a key has 1 to 64 letters, digits, dots, hyphens or underscores"
        )
    return keys
