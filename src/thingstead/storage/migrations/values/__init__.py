"""Alembic's script directory for the schema of `values.db`."""
