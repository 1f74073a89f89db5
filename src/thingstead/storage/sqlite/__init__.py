"""SQLite, the embedded engine: `core.db` for the organisation's data, `values.db` for values."""
