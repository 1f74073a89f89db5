"""Finding a thing's document: reader and writer look for it in the same way.

A document is that of the newest epoch that has it. A thing starts a new epoch without any, and
its owner, linking again, finds the one left behind until a newer one is written.
"""

import sqlite3

import msgspec

from thingstead.kernel.ids import ThingId

DOCUMENT = "SELECT value FROM document WHERE thing_id = ? AND name = ? AND epoch = ?"


def find_document(
    connection: sqlite3.Connection, thing_id: ThingId, epochs: tuple[int, ...], name: str
) -> object | None:
    """Return the document of the newest of the epochs that has it, or None when none has."""
    text = find_document_text(connection, thing_id, epochs, name)
    document: object = None if text is None else msgspec.json.decode(text)
    return document


def find_document_text(
    connection: sqlite3.Connection, thing_id: ThingId, epochs: tuple[int, ...], name: str
) -> str | None:
    """Return the same as the JSON text that is stored."""
    for epoch in reversed(epochs):
        found = connection.execute(DOCUMENT, (thing_id, name, epoch)).fetchone()
        if found is not None:
            return str(found[0])
    return None
