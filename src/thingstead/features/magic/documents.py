"""Applying a change to a document: a pure function that every storage engine shares."""

import json
from collections.abc import Sequence

from thingstead.features.magic.errors import InvalidSettingsError
from thingstead.features.values.model import DocumentChange
from thingstead.kernel.json_values import JSONLimits, check_json


def changed_document(document: object | None, changes: Sequence[DocumentChange]) -> str:
    """Return the JSON text of the document after the changes; the argument is not modified.

    The changes are applied in order, and what came of them is checked once: a request may
    hold a thousand, and this runs while every other writer waits.

    Raises:
        InvalidSettingsError: a step of a path runs through something that is no object, or
            the document would become too large.
        InvalidBodyError: it would become too deep, or one object in it too wide.
    """
    after = document
    for change in changes:
        after = _with(after, change) if change.path else change.value
    last = changes[-1]
    text = json.dumps(after, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-8")) > last.max_bytes:
        raise InvalidSettingsError(f"{last.name}: more than {last.max_bytes} bytes of JSON")
    check_json(after, last.name, JSONLimits())
    return text


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
