"""What a process remembers of the database, and how it learns that it must forget.

Whoever changes something that others remember announces it in the transaction that changes
it. Each process looks for announcements at most every 50 ms (`rulings.md`, Storage) and hands
them to whoever remembers that kind of thing. Knows neither the database nor what is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from thingstead.kernel.clock import Clock

_CHECK_EVERY_S = 0.05


class Kind(StrEnum):
    """Whom a change concerns."""

    THING = "thing"
    USER = "user"
    APP = "app"
    PRODUCT = "product"
    FIRMWARE = "firmware"
    """What is offered to the things of a product: its images, keys, campaigns, and blocks."""
    LETTER = "letter"
    """A letter was put into the outbox."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something about one thing, user, app or product is no longer as it was."""

    kind: Kind
    subject: str


class ChangeSignal(Protocol):
    """Tells what was announced, by this process or another."""

    def changes(self) -> Sequence[Change] | None:
        """Return what was announced since the last call, oldest first; never blocks for long.

        None when that cannot be told: then anything may have changed.
        """
        ...


Listener = Callable[[str | None], None]
"""Takes the id of what changed, or None: anything of its kind may have."""


class Changes:
    """Looks for announcements and tells those who listen."""

    def __init__(self, signal: ChangeSignal, clock: Clock) -> None:
        self._signal = signal
        self._clock = clock
        self._listeners: dict[Kind, list[Listener]] = {kind: [] for kind in Kind}
        self._looked_at = float("-inf")

    def listen(self, kind: Kind, listener: Listener) -> None:
        """Call the listener for each change of that kind from now on."""
        self._listeners[kind].append(listener)

    def look(self) -> None:
        """Look for announcements, unless that was done within the last 50 ms."""
        if self._clock.monotonic() - self._looked_at >= _CHECK_EVERY_S:
            self.look_now()

    def look_now(self) -> None:
        """Look for announcements, however lately that was done.

        For who has just changed something that was announced to several: when this returns,
        everything in this process knows.
        """
        self._looked_at = self._clock.monotonic()
        self._pass_on(self._signal.changes())

    def tell(self, kind: Kind, subject: str) -> None:
        """Tell the listeners at once what this process has just changed."""
        for listener in self._listeners[kind]:
            listener(subject)

    def _pass_on(self, changes: Sequence[Change] | None) -> None:
        if changes is None:
            for listeners in self._listeners.values():
                for listener in listeners:
                    listener(None)
            return
        for change in changes:
            self.tell(change.kind, change.subject)
