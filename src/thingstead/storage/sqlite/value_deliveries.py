"""The packets of persistent sessions that carried writes, so that none is stored twice.

A packet is noted in the transaction that stores its write. Of QoS 2 it stays until its id is
released; of QoS 1, which has no such end, the newest of a session stay. `Deliveries` of
`features/values/ports.py`; `DeliveryRows` is the part in the writer's thread.
"""

import sqlite3
from asyncio import Future
from collections.abc import Callable
from typing import Protocol, TypeVar

from thingstead.features.values.model import Delivery

QOS_1_KEPT = 64
"""How many packets of QoS 1 are remembered of one session."""
_SESSIONS_KEPT = 2_000
_QOS_1, _QOS_2 = 1, 2

HELD = "SELECT 1 FROM delivery WHERE session_id = ? AND qos = 2 AND packet_id = ?"
NEWEST = "SELECT packet_id, digest FROM delivery WHERE session_id = ? AND qos = 1 ORDER BY sequence"
OPEN = "SELECT packet_id FROM delivery WHERE session_id = ? AND qos = 2 ORDER BY packet_id"
KEEP = (
    "INSERT OR REPLACE INTO delivery (session_id, qos, packet_id, digest, sequence)"
    " VALUES (?, ?, ?, ?, ?)"
)
DROP = "DELETE FROM delivery WHERE session_id = ? AND qos = ? AND packet_id = ?"
FORGET = "DELETE FROM delivery WHERE session_id = ?"

Result = TypeVar("Result")


class DeliveryRows:
    """The table, within transactions that the writer begins and commits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Of each session the digests of QoS 1 by packet, oldest first.
        self._newest: dict[str, dict[int, bytes]] = {}

    def clear(self) -> None:
        """Read the table anew from now on: it may be another than what is remembered."""
        self._newest.clear()

    def is_repeat(self, delivery: Delivery) -> bool:
        """Return whether the packet's write was stored before."""
        if delivery.qos == _QOS_2:
            place = (delivery.session_id, delivery.packet_id)
            return self._connection.execute(HELD, place).fetchone() is not None
        if not delivery.is_again:
            return False
        return self._of(delivery.session_id).get(delivery.packet_id) == delivery.digest

    def keep(self, delivery: Delivery, sequence: int) -> None:
        """Note the packet, whose write is stored."""
        session_id, packet_id = delivery.session_id, delivery.packet_id
        self._connection.execute(
            KEEP, (session_id, delivery.qos, packet_id, delivery.digest, sequence)
        )
        if delivery.qos == _QOS_2:
            return
        newest = self._of(session_id)
        newest.pop(packet_id, None)
        newest[packet_id] = delivery.digest
        while len(newest) > QOS_1_KEPT:
            oldest = next(iter(newest))
            del newest[oldest]
            self._connection.execute(DROP, (session_id, _QOS_1, oldest))

    def release(self, session_id: str, packet_id: int) -> None:
        """Forget a QoS 2 packet."""
        self._connection.execute(DROP, (session_id, _QOS_2, packet_id))

    def open_ids(self, session_id: str) -> list[int]:
        """Return the QoS 2 packets that were not released, ascending."""
        return [found for (found,) in self._connection.execute(OPEN, (session_id,))]

    def forget(self, session_id: str) -> None:
        """Forget all packets of the session."""
        self._connection.execute(FORGET, (session_id,))
        self._newest.pop(session_id, None)

    def _of(self, session_id: str) -> dict[int, bytes]:
        newest = self._newest.get(session_id)
        if newest is None:
            while len(self._newest) >= _SESSIONS_KEPT:
                del self._newest[next(iter(self._newest))]
            found = self._connection.execute(NEWEST, (session_id,)).fetchall()
            newest = self._newest[session_id] = dict(found)
        return newest


class Submit(Protocol):
    """Has the writer's thread work on the table, in the order of writes and in their commit."""

    def __call__(self, run: Callable[[DeliveryRows], Result]) -> "Future[Result]":
        """Return the future of what the work gives."""
        ...


class SQLiteDeliveries:
    """The event loop's side."""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit

    def release(self, session_id: str, packet_id: int) -> "Future[None]":
        """Forget a QoS 2 packet; see `Deliveries.release`."""
        return self._submit(lambda rows: rows.release(session_id, packet_id))

    async def open_ids(self, session_id: str) -> list[int]:
        """Return the QoS 2 packets that were not released; see `Deliveries.open_ids`."""
        return await self._submit(lambda rows: rows.open_ids(session_id))

    async def forget(self, session_id: str) -> None:
        """Forget all packets of the session; see `Deliveries.forget`."""
        await self._submit(lambda rows: rows.forget(session_id))
