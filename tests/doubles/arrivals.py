"""What is told again of values in memory, and the packets that carried writes."""

import asyncio
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass, field

from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Missed
from thingstead.features.values.model import (
    Appended,
    Delivery,
    MagicEcho,
    Source,
    StoredValue,
    Write,
)

PAGE = 50
_QOS_1_KEPT = 64


@dataclass(slots=True)
class KeptArrivals:
    """The writes that are told again, oldest first, and behind which sequence they are known."""

    writes: list[tuple[Write, Appended]] = field(default_factory=list)
    known_after: int = 0
    packets: dict[tuple[str, int, int], bytes] = field(default_factory=dict)
    """The digests by session, quality of service and packet id, oldest first."""

    def add(self, write: Write, appended: Appended, *, keep: int) -> None:
        """Add a stored write; of those before it, the newest `keep` sequences stay."""
        if write.is_broadcast and (write.echo or len(appended.repeats) < len(write.values)):
            self.writes.append((write, appended))
        while self.writes and self.writes[0][1].sequence <= appended.sequence - keep:
            self.known_after = self.writes.pop(0)[1].sequence

    def is_repeat(self, delivery: Delivery) -> bool:
        digest = self.packets.get((delivery.session_id, delivery.qos, delivery.packet_id))
        if delivery.qos == 2:
            return digest is not None
        return delivery.is_again and digest == delivery.digest

    def keep(self, delivery: Delivery) -> None:
        packet = (delivery.session_id, delivery.qos, delivery.packet_id)
        self.packets.pop(packet, None)
        self.packets[packet] = delivery.digest
        of_qos_1 = [one for one in self.packets if one[:2] == (delivery.session_id, 1)]
        for oldest in of_qos_1[:-_QOS_1_KEPT]:
            del self.packets[oldest]


class MemoryValueReplay:
    """Looks up in the store's memory what is still there of the writes."""

    def __init__(self, kept) -> None:
        self._kept = kept

    async def head(self) -> int:
        return self._kept.sequence

    async def missed(self, sources: Sequence[Source], *, key: str | None, after: int) -> Missed:
        arrivals = self._kept.arrivals
        behind = [one for one in arrivals.writes if one[1].sequence > after]
        page = behind[:PAGE]
        found = [self._event(write, appended, sources, key) for write, appended in page]
        return Missed(
            [event for event in found if event is not None],
            page[-1][1].sequence if page else after,
            is_complete=len(page) == len(behind),
            has_gap=after < arrivals.known_after or after > self._kept.sequence,
        )

    def _event(
        self, write: Write, appended: Appended, sources: Sequence[Source], key: str | None
    ) -> LiveEvent | None:
        epoch = write.epochs[-1]
        of_thing = [one.epochs for one in sources if one.thing_id == write.thing_id]
        epochs = tuple(sorted({epoch for some in of_thing for epoch in some}))
        if epoch not in epochs:
            return None
        stored = [index for index in range(len(write.values)) if index not in appended.repeats]
        first = appended.sequence - len(stored) + 1
        entries: list[StoredValue | MagicEcho] = []
        for item in write.echo or range(len(write.values)):
            if isinstance(item, MagicEcho):
                entries += self._echo(write, epochs, item)
            elif item in stored:
                value = write.values[item]
                sequence = first + stored.index(item)
                series = self._kept.series.get((write.thing_id, epoch), {}).get(value.key, [])
                if any(one.sequence == sequence for one in series):
                    entries.append(StoredValue(value.key, value.value, value.at_ms, value.position))
        entries = [entry for entry in entries if key in (None, entry.key)]
        if not entries:
            return None
        return LiveEvent(write.thing_id, appended.sequence, tuple(entries), epoch)

    def _echo(self, write: Write, epochs: tuple[int, ...], echo: MagicEcho) -> list[MagicEcho]:
        name, *path = echo.key.split(".")
        document = {name: self._kept.document(write.thing_id, epochs, name)}
        if document[name] is None:
            return []
        for step in (name, *path):
            if not isinstance(document, dict) or step not in document:
                return []
            document = document[step]
        return [MagicEcho(echo.key, document)]


class MemoryDeliveries:
    """Forgets packets at once."""

    def __init__(self, arrivals: KeptArrivals) -> None:
        self._packets = arrivals.packets

    def release(self, session_id: str, packet_id: int) -> "Future[None]":
        self._packets.pop((session_id, 2, packet_id), None)
        future: Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def open_ids(self, session_id: str) -> list[int]:
        return sorted(one[2] for one in self._packets if one[:2] == (session_id, 2))

    async def forget(self, session_id: str) -> None:
        for packet in [one for one in self._packets if one[0] == session_id]:
            del self._packets[packet]
