"""The statements of `sql/objects.py` as texts for the driver.

Building and compiling one takes SQLAlchemy longer than SQLite takes to carry it out, so it
happens once.
"""

from functools import cache

from sqlalchemy import ClauseElement
from sqlalchemy.dialects import sqlite


@cache
def compiled(statement: ClauseElement) -> str:
    """Return the statement's text with named binds; whoever carries it out gives them all."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))
