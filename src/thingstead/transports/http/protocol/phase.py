"""The names of what a connection may be doing.

Plain numbers behind the names, because every received piece is sorted by them. It must
not know what leads from one to the next. Read on in `connection.py` and `lifetime.py`.
"""

from typing import Final

HEAD: Final = 0
"""Nothing is in progress: idle, or a part of a head has come."""

LANE: Final = 1
"""The direct lane holds a request."""

BODY: Final = 2
"""A body is being received; the app runs, and may already have answered."""

ANSWER: Final = 3
"""The request is complete and the app is answering."""

LINGER: Final = 4
"""The last answer was written; what still comes is thrown away."""

CLOSED: Final = 5
"""Closed or handed over; at most unsent bytes are left."""
