"""Writers that remember every request they sent and every answer they got.

Each value is the text `WRITER:REQUEST:POSITION:COUNT:KEY`, unique for ever, so that what is
found later tells which request it came from and how many values that request held. Half of
the requests carry times of their own, so that a writer may send them again without a doubt;
the others take the server's.
"""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from support.wire import Address, compact, connect, request

_KEYS = ("temperature", "humidity", "state")
_MOST_VALUES = 7


@dataclass(frozen=True)
class Sent:
    """One request: its thing, and its values as text by (key, explicit time or None)."""

    token: str
    values: tuple[tuple[str, str, str | None], ...]

    @property
    def has_own_times(self) -> bool:
        return self.values[0][2] is not None

    @property
    def texts(self) -> frozenset[str]:
        return frozenset(text for _, text, _ in self.values)

    def body(self) -> bytes:
        members = [
            {"key": key, "value": text} | ({"datetime": at} if at else {})
            for key, text, at in self.values
        ]
        return compact({"values": members})

    def raw(self) -> bytes:
        return request("POST", f"/v2/things/{self.token}", self.body())


@dataclass
class Ledger:
    """What was sent, and what of it the server acknowledged."""

    sent: list[Sent] = field(default_factory=list)
    acknowledged: list[Sent] = field(default_factory=list)
    refused: list[tuple[Sent, bytes]] = field(default_factory=list)

    @property
    def in_doubt(self) -> list[Sent]:
        """The requests without an answer; each may be stored, or not."""
        known = {id(each) for each in self.acknowledged}
        known |= {id(each) for each, _ in self.refused}
        return [each for each in self.sent if id(each) not in known]


class Writer:
    """One connection that writes until it breaks."""

    def __init__(self, name: str, token: str, ledger: Ledger, chance: random.Random) -> None:
        self._name = name
        self._token = token
        self._ledger = ledger
        self._chance = chance
        self._count = 0
        # Each writer has a minute of its own, so that explicit times are far apart.
        self._at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(40_000))

    async def write_until_it_breaks(self, address: Address) -> None:
        try:
            async with connect(address) as wire:
                while True:
                    sent = self._next()
                    self._ledger.sent.append(sent)
                    await wire.send(sent.raw())
                    got = await wire.read()
                    if got.status == 201:
                        self._ledger.acknowledged.append(sent)
                    else:
                        self._ledger.refused.append((sent, got.body))
        except (OSError, asyncio.IncompleteReadError):
            return

    def _next(self) -> Sent:
        self._count += 1
        count = self._chance.randint(1, _MOST_VALUES)
        has_own_times = self._count % 2 == 0
        values = []
        for position in range(count):
            key = self._chance.choice(_KEYS)
            text = f"{self._name}:{self._count}:{position}:{count}:{key}"
            at = None
            if has_own_times:
                self._at += timedelta(milliseconds=1)
                at = self._at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            values.append((key, text, at))
        return Sent(self._token, tuple(values))


async def load_until(
    address: Address,
    tokens: Sequence[str],
    ledger: Ledger,
    *,
    writers: int,
    name: str,
    chance: random.Random,
    kind: type[Writer] = Writer,
) -> None:
    """Write with so many connections until every one of them has broken."""
    tasks = [
        asyncio.create_task(
            kind(
                f"{name}.{number}", tokens[number % len(tokens)], ledger, chance
            ).write_until_it_breaks(address)
        )
        for number in range(writers)
    ]
    await asyncio.gather(*tasks)


async def send_again(address: Address, ledger: Ledger) -> None:
    """Send what is in doubt once more, where its own times make that safe."""
    async with connect(address) as wire:
        for sent in ledger.in_doubt:
            if sent.has_own_times:
                await wire.send(sent.raw())
                got = await wire.read()
                assert got.status == 201, json.loads(got.body)
                ledger.acknowledged.append(sent)
