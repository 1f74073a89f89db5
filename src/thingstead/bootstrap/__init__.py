"""The composition root: settings become adapters, adapters become services.

The only place that knows both what a feature needs and which technology provides it. Nothing
is opened by importing; `open_platform` opens, and closes in reverse order. What needs doing
from time to time while a server runs is in `chores.py`.
"""

from thingstead.bootstrap.administration import Administration, open_administration, postman_of
from thingstead.bootstrap.people import People
from thingstead.bootstrap.platform import Platform, open_platform

__all__ = [
    "Administration",
    "People",
    "Platform",
    "open_administration",
    "open_platform",
    "postman_of",
]
