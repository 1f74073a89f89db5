"""Schema migrations: `migrate.py` runs them, `core/` and `values/` hold the scripts."""
