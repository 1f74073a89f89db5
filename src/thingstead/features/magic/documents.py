"""Applying a change to a document: a pure function that every storage engine shares."""

import hashlib
import json
from collections.abc import Sequence

from thingstead.features.magic.errors import DocumentChangedError, InvalidSettingsError
from thingstead.features.values.model import DocumentChange
from thingstead.kernel.json_values import JSONLimits, check_json

_TAG_DIGITS = 32


def changed_document(document: object | None, changes: Sequence[DocumentChange]) -> str:
    """Return the JSON text of the document after the changes; the argument is not modified.

    The changes are applied in order, and what came of them is checked once: a request may
    hold a thousand, and this runs while every other writer waits.

    Raises:
        InvalidSettingsError: a step of a path runs through something that is no object, or
            the document would become too large.
        InvalidBodyError: it would become too deep, or one object in it too wide.
        DocumentChangedError: it is not the one that a change is for.
    """
    after = document
    for change in changes:
        if change.only_if is not None and change.only_if != document_tag(after):
            raise DocumentChangedError(f"{change.name}: is not the one that If-Match names")
        after = _with(after, change) if change.path else change.value
    last = changes[-1]
    text = json.dumps(after, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-8")) > last.max_bytes:
        raise InvalidSettingsError(f"{last.name}: more than {last.max_bytes} bytes of JSON")
    check_json(after, last.name, JSONLimits())
    return text


def document_tag(document: object | None) -> str:
    """Return the entity tag, without quotes; equal documents have equal ones."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_TAG_DIGITS]


def _with(document: object | None, change: DocumentChange) -> dict[str, object]:
    root: dict[str, object] = dict(document) if isinstance(document, dict) else {}
    inner = root
    for depth, step in enumerate(change.path[:-1], start=1):
        child = inner.get(step)
        if child is None:
            child = {}
        if not isinstance(child, dict):
            place = ".".join((change.name, *change.path[:depth]))
            raise InvalidSettingsError(f"{place}: is no object, so nothing can be set below it")
        inner[step] = dict(child)
        inner = inner[step]  # type: ignore[assignment]  # The line above made it a dict.
    inner[change.path[-1]] = change.value
    return root
