"""Alembic's script directory for the schema of `core.db`."""
