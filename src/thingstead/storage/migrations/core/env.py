"""What Alembic runs to migrate `core.db`, on the connection that `migrate.upgrade` hands over.

Alembic loads this file for its effect, so it is the one kind of module here that does
something when it is loaded; nothing in the program imports it.
"""

from alembic import context

from thingstead.storage.migrations.migrate import version_table

context.configure(
    connection=context.config.attributes["connection"],
    version_table=version_table("core"),
    # SQLite's schema changes do belong to a transaction, once the driver leaves BEGIN to us.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
