"""Tables and statements of the organisation's data, shared by SQLite and PostgreSQL."""
