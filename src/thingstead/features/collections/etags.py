"""What names one state of an object, so that a client changes no other (RFC 9110, 8.8.3)."""

import hashlib

from thingstead.features.collections.model import StoredObject

_HEX_DIGITS = 32


def etag_of(stored: StoredObject) -> str:
    """Return the object's entity tag, without quotes: 32 hex digits of its text's SHA-256."""
    return hashlib.sha256(stored.text.encode("utf-8")).hexdigest()[:_HEX_DIGITS]
