"""Apps in SQL: the port of `features/apps/ports.py`. Knows no engine (`database.py`)."""

import json
from collections.abc import Mapping

from sqlalchemy import Row, insert, select, update

from thingstead.features.apps.model import App, AppSettings
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import AppId
from thingstead.storage.sql.changes import announce
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.user_tables import APP


class SQLAppStore:
    """Keeps apps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_app(self, app: App) -> None:
        """Store a new app durably."""
        async with self._database.writing() as connection:
            await connection.execute(insert(APP).values(id=app.id, **_columns(app)))

    async def app(self, app_id: AppId) -> App | None:
        """Return the app with that id, if there is one."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(APP).where(APP.c.id == app_id))).one_or_none()
        return None if row is None else app_of(row)

    async def apps(self, *, after: AppId | None, limit: int) -> list[App]:
        """Return at most `limit` apps ascending by id, those after `after` only."""
        statement = select(APP).where(APP.c.id > (after or "")).order_by(APP.c.id).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [app_of(row) for row in rows]

    async def replace_app(self, app: App) -> bool:
        """Store the app in place of the one with its id; return False when there is none."""
        statement = update(APP).where(APP.c.id == app.id).values(**_columns(app))
        async with self._database.writing() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                return False
            await announce(connection, Change(Kind.APP, app.id))
        return True


def app_of(row: Row[*tuple[object, ...]]) -> App:
    """Return the app that a row of the table holds."""
    settings = json.loads(row.settings)
    return App(
        AppId(row.id),
        row.name,
        frozenset(json.loads(row.resources)),
        # By name, so that a setting that came later has its default in older rows.
        AppSettings(
            needs_current_password=settings.get("needs_current_password", False),
            hides_accounts=settings.get("hides_accounts", False),
        ),
        row.created_at_ms,
    )


def _columns(app: App) -> Mapping[str, object]:
    settings = {
        "needs_current_password": app.settings.needs_current_password,
        "hides_accounts": app.settings.hides_accounts,
    }
    return {
        "name": app.name,
        "resources": json.dumps(sorted(app.resources), ensure_ascii=False),
        "settings": json.dumps(settings),
        "created_at_ms": app.created_at_ms,
    }
