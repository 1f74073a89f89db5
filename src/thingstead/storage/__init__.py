"""Storage engines: the rim that keeps what the features decide; start at `sql/tables.py`."""
