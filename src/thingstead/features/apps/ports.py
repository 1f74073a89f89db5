"""What the rules of apps need from storage."""

from typing import Protocol

from thingstead.features.apps.model import App
from thingstead.kernel.ids import AppId


class AppStore(Protocol):
    """Keeps apps."""

    async def add_app(self, app: App) -> None:
        """Store a new app durably."""
        ...

    async def app(self, app_id: AppId) -> App | None:
        """Return the app with that id, if there is one."""
        ...

    async def apps(self, *, after: AppId | None, limit: int) -> list[App]:
        """Return at most `limit` apps ascending by id, those after `after` only."""
        ...

    async def replace_app(self, app: App) -> bool:
        """Store the app in place of the one with its id; return False when there is none.

        The change is announced to other processes in the same transaction.
        """
        ...
