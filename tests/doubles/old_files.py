"""Database files such as an earlier version left them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, NullPool, create_engine

import thingstead.storage.migrations
from thingstead.storage.migrations.migrate import Schema
from thingstead.storage.sqlite import opening

_SCRIPTS = Path(thingstead.storage.migrations.__file__).parent


def make_old_file(path: Path, schema: Schema, revision: str) -> None:
    """Make a file and migrate it no further than to the revision."""
    opening._create(path)
    opening._set_page_settings(path, schema)
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(_SCRIPTS / schema))
        command.upgrade(config, revision)
