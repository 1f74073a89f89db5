"""The order in which values arrived: what of a commit is told again to those who missed it.

One row a commit, in its transaction, because a row a value would cost as much again as the
value. It names places only, so deleting values deletes them. The writer's thread writes and
trims rows here; `value_replay.py` reads them.
"""

import json
import sqlite3
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from thingstead.features.values.model import Appended, MagicEcho, Write
from thingstead.kernel.ids import ThingId

_ROWS_A_SLICE = 1_000
_SEQUENCES_A_SLICE = 16_384
_ECHOES_A_WRITE = 16

INSERT = "INSERT INTO arrival (last_sequence, places, echoes) VALUES (?, ?, ?)"
# Every sequence is above zero; the bound makes this a search in the key.
OLDEST = "SELECT last_sequence FROM arrival WHERE last_sequence > 0 ORDER BY last_sequence LIMIT 1"
NUMBERED = (
    "SELECT last_sequence FROM arrival WHERE last_sequence <= ?"
    " ORDER BY last_sequence LIMIT 1 OFFSET ?"
)
LAST = (
    "SELECT last_sequence FROM arrival WHERE last_sequence <= ? ORDER BY last_sequence DESC LIMIT 1"
)
TRIM = "DELETE FROM arrival WHERE last_sequence <= ?"


PLACE_BYTES = 24
_LATEST = 2**63 - 1


class Echo(NamedTuple):
    """That a write told of a magic resource; `before` is how many values it stored before."""

    sequence: int
    thing_id: ThingId
    epoch: int
    key: str
    before: int


@dataclass(slots=True)
class ArrivedWrite:
    """What one write left, in order."""

    sequence: int
    places: list[tuple[int, int, int, int]]
    """How many values of the write came before; series id, time and sequence of the value."""
    echoes: deque[Echo]


def unpacked(places: bytes) -> tuple[int, ...]:
    """Return series id, time and mark of one place after the other.

    A mark is twice the value's sequence, and one more for the last value of its write.
    """
    return struct.unpack(f"<{len(places) // 8}q", places)


def writes_of(places: tuple[int, ...], echoes: str | None, after: int) -> Iterator[ArrivedWrite]:
    """Yield the writes of a row whose sequence is larger than `after`, in its order."""
    waiting: deque[Echo] = deque()
    if echoes is not None:
        waiting.extend(Echo(*echo) for echo in json.loads(echoes))
    number = 0
    found: list[tuple[int, int, int, int]] = []
    for series_id, at_ms, mark in zip(places[::3], places[1::3], places[2::3], strict=True):
        sequence = mark >> 1
        if sequence > after:
            found.append((number, series_id, at_ms, sequence))
        number += 1
        if mark & 1:
            yield from _of_echoes(waiting, sequence - number, after)
            of_write = _echoes_of(waiting, sequence)
            if found:
                yield ArrivedWrite(sequence, found, of_write)
            found, number = [], 0
    yield from _of_echoes(waiting, _LATEST, after)


def _of_echoes(waiting: deque[Echo], until: int, after: int) -> Iterator[ArrivedWrite]:
    """Yield the writes up to a sequence, which stored no values that are known of."""
    while waiting and waiting[0].sequence <= until:
        sequence = waiting[0].sequence
        echoes = _echoes_of(waiting, sequence)
        if sequence > after:
            yield ArrivedWrite(sequence, [], echoes)


def _echoes_of(waiting: deque[Echo], sequence: int) -> deque[Echo]:
    echoes: deque[Echo] = deque()
    while waiting and waiting[0].sequence == sequence:
        echoes.append(waiting.popleft())
    return echoes


class Arrivals:
    """What the batch under way adds; used by the writer's thread, in its transaction."""

    __slots__ = ("_connection", "_echoes", "_keep", "_trim_at", "places")

    def __init__(self, connection: sqlite3.Connection, *, keep: int) -> None:
        """About the newest `keep` sequences stay, at least 1."""
        self._connection = connection
        self._keep = keep
        self._trim_at = 0
        self._echoes: list[Echo] = []
        self.places: Final[list[int]] = []
        """The places as `unpacked` gives them; the writer adds them, once for each value."""

    def begin(self) -> None:
        """Begin a batch; what an earlier one added and did not write is forgotten."""
        self.places.clear()
        self._echoes.clear()

    def undo(self) -> None:
        """Forget what was concluded from a transaction that was rolled back."""
        self._trim_at = 0

    def add_echoes(self, write: Write, appended: Appended) -> None:
        """Add what the write, which is stored, tells of magic resources.

        Of many, which take more room than their documents, only the documents are named.
        """
        stored = 0
        echoes: list[Echo] = []
        head = (appended.sequence, write.thing_id, write.epochs[-1])
        for item in write.echo or ():
            if isinstance(item, MagicEcho):
                echoes.append(Echo(*head, item.key, stored))
            elif item not in appended.repeats:
                stored += 1
        if len(echoes) > _ECHOES_A_WRITE:
            names = dict.fromkeys(echo.key.partition(".")[0] for echo in echoes)
            echoes = [Echo(*head, name, stored) for name in names]
        self._echoes += echoes

    def write(self, sequence: int) -> None:
        """Write the batch's row, if there is anything in it, and trim a slice if it is time."""
        places = self.places
        if places or self._echoes:
            echoes = None
            if self._echoes:
                echoes = json.dumps(self._echoes, ensure_ascii=False, separators=(",", ":"))
            row = (sequence, struct.pack(f"<{len(places)}q", *places), echoes)
            self._connection.execute(INSERT, row)
        if sequence >= self._trim_at:
            self._trim(sequence)

    def _trim(self, sequence: int) -> None:
        """Delete a slice of the oldest rows; the rest of them goes with the next batches."""
        bound = sequence - self._keep
        oldest = self._connection.execute(OLDEST).fetchone()
        if oldest is None or oldest[0] > bound:
            first = sequence if oldest is None else oldest[0]
            # Seldom: one time in so many sequences that the search for them costs nothing.
            self._trim_at = first + self._keep + self._keep // 64
            return
        most = min(bound, oldest[0] + _SEQUENCES_A_SLICE)
        found = self._connection.execute(NUMBERED, (most, _ROWS_A_SLICE - 1)).fetchone()
        if found is None:
            found = self._connection.execute(LAST, (most,)).fetchone()
        (last,) = found
        self._connection.execute(TRIM, (last,))
        self._connection.execute(
            "UPDATE counter SET value = ? WHERE name = 'arrivals_after'", (last,)
        )
