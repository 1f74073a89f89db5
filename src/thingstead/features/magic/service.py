"""The rules of magic resources and of the description.

A magic key is looked up in a closed table, never turned into an attribute or a path of the
program. Writing one is part of the same transaction as the ordinary values of its request,
so this module only says which `DocumentChange` a write means; `features/values` stores it.
"""

from thingstead.features.magic.errors import (
    DocumentTooLargeError,
    InvalidDescriptionError,
    InvalidSettingsError,
    MagicResourceNotFoundError,
    UnknownMagicKeyError,
)
from thingstead.features.magic.positions import point_of
from thingstead.features.things.model import Thing
from thingstead.features.values.model import ABSENT, DocumentChange, IncomingValue
from thingstead.features.values.ports import ValueStore
from thingstead.kernel.json_values import is_larger_than

GEO = "$geo"
SETTINGS = "$settings"
DESCRIPTION = "description"
# `description` and `publicDescription` are addresses of their own, so they can be no timeline.
RESERVED_KEYS = frozenset({DESCRIPTION, "publicDescription"})
_SETTINGS_PATH = SETTINGS + "."
_MAX_PATH_CHARACTERS = 256
_MAX_PATH_STEPS = 16


def change_of(incoming: IncomingValue, where: str, *, max_bytes: int) -> DocumentChange:
    """Return the change that a write to a magic key means.

    Raises:
        UnknownMagicKeyError: there is no such magic resource, or its path is malformed.
        InvalidPositionError, InvalidSettingsError: the value does not fit.
    """
    key = incoming.key
    value = None if incoming.value is ABSENT else incoming.value
    if key == GEO:
        return DocumentChange(GEO, (), point_of(value, incoming.geo, where), max_bytes)
    if incoming.value is ABSENT:
        raise InvalidSettingsError(f"{where}.value: missing")
    if is_larger_than(value, max_bytes):
        raise InvalidSettingsError(f"{where}.value: larger than {max_bytes} bytes of JSON")
    if key == SETTINGS:
        if not isinstance(value, dict):
            raise InvalidSettingsError(f"{where}.value: $settings takes an object")
        return DocumentChange(SETTINGS, (), value, max_bytes)
    path = _settings_path(key)
    if path is None:
        raise UnknownMagicKeyError(f"{where}.key: no such magic resource")
    return DocumentChange(SETTINGS, path, value, max_bytes)


def _settings_path(key: str) -> tuple[str, ...] | None:
    if not key.startswith(_SETTINGS_PATH) or len(key) > _MAX_PATH_CHARACTERS:
        return None
    steps = tuple(key[len(_SETTINGS_PATH) :].split("."))
    return steps if all(steps) and len(steps) <= _MAX_PATH_STEPS else None


class Magic:
    """Reads magic resources, and reads and replaces descriptions."""

    def __init__(self, store: ValueStore, *, max_document_bytes: int) -> None:
        self._store = store
        self._max_document_bytes = max_document_bytes

    async def read(self, thing: Thing, key: str) -> object | None:
        """Return the value of a magic resource; None when it, or the path, was never set.

        Raises:
            MagicResourceNotFoundError: there is no magic resource of that name.
        """
        if key in {GEO, SETTINGS}:
            return await self._document(thing, key)
        path = _settings_path(key)
        if path is None:
            raise MagicResourceNotFoundError
        value = await self._document(thing, SETTINGS)
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    async def description(self, thing: Thing) -> object | None:
        """Return the thing's description, or None when it has none."""
        return await self._document(thing, DESCRIPTION)

    async def _document(self, thing: Thing, name: str) -> object | None:
        return await self._store.document(thing.id, thing.epochs, name)

    def description_change(
        self, description: object, *, only_if: str | None = None
    ) -> DocumentChange:
        """Return the change that replaces the whole description, if it still has that tag.

        Raises:
            InvalidDescriptionError: it is no JSON object.
            DocumentTooLargeError: it is larger than the limit.
        """
        if not isinstance(description, dict):
            raise InvalidDescriptionError("expected a JSON object")
        if is_larger_than(description, self._max_document_bytes):
            raise DocumentTooLargeError(f"at most {self._max_document_bytes} bytes")
        return DocumentChange(DESCRIPTION, (), description, self._max_document_bytes, only_if)
