"""What all MQTT connections of a server share: services, counts, timers, who is connected.

It knows no packet. Read on in `connection.py` (bytes), `client.py` (who it is) and
`listener.py` (sockets).
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thingstead.features.kept_sessions.model import Holder
from thingstead.features.kept_sessions.service import KeptSessions
from thingstead.features.live.ports import Bus, ValueReplay
from thingstead.features.live.service import Live
from thingstead.features.streams.service import Streams
from thingstead.features.things.service import Things
from thingstead.features.users.sessions import Sessions
from thingstead.features.values.ports import Deliveries
from thingstead.features.values.service import Values
from thingstead.kernel.budget import Budgets, Rate
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import ThingId
from thingstead.transports.mqtt.limits import MQTTLimits

if TYPE_CHECKING:
    from thingstead.transports.mqtt.connection import MQTTConnection
    from thingstead.transports.mqtt.publishing import Publishing

_log = logging.getLogger(__name__)

_NOTE_EVERY_SWEEPS = 10
_RELAYS = Rate(per_second=100, burst=1_000)
_LOG_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class MQTTServices:
    """What the MQTT server calls."""

    things: Things
    values: Values
    live: Live
    streams: Streams
    sessions: Sessions
    kept: KeptSessions
    deliveries: Deliveries
    replay: ValueReplay
    bus: Bus
    clock: Clock


class Broker:
    """Keeps the connections of one event loop; used on it only."""

    def __init__(self, services: MQTTServices, limits: MQTTLimits) -> None:
        self.services = services
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.buffer = bytearray(limits.turn_bytes)
        self.relays: Budgets[ThingId] = Budgets(_RELAYS)
        self.is_stopping = False
        self._connections: set[MQTTConnection] = set()
        self._by_address: dict[str, int] = {}
        self._holders: dict[tuple[Holder, str], MQTTConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unflushed: list[Publishing] = []
        self._sweeps = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._last_number = 0
        self._logged_at = float("-inf")
        self._unlogged = 0

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, connection: "MQTTConnection", address: str) -> bool:
        """Count a connection in, unless there are too many."""
        limits = self.limits
        of_address = self._by_address.get(address, 0)
        is_full = (
            len(self._connections) >= limits.connections
            or of_address >= limits.connections_per_address
        )
        if self.is_stopping or is_full:
            return False
        self._connections.add(connection)
        self._by_address[address] = of_address + 1
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(limits.sweep_s, self._sweep)
        return True

    def release(self, connection: "MQTTConnection", address: str) -> None:
        """Count an admitted connection out."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]

    def next_number(self) -> int:
        """Return a number that no other connection has."""
        self._last_number += 1
        return self._last_number

    def take_over(
        self, holder: Holder, client_id: str, connection: "MQTTConnection"
    ) -> "MQTTConnection | None":
        """Make the connection the one of this client; return the one that was before."""
        before = self._holders.get((holder, client_id))
        self._holders[holder, client_id] = connection
        return before

    def holds(self, holder: Holder, client_id: str, connection: "MQTTConnection") -> bool:
        """Return whether the connection is the one of this client."""
        return self._holders.get((holder, client_id)) is connection

    def forget(self, holder: Holder, client_id: str, connection: "MQTTConnection") -> None:
        """Let go of the client, unless another connection has taken over."""
        if self._holders.get((holder, client_id)) is connection:
            del self._holders[holder, client_id]

    def flush_soon(self, publishing: "Publishing") -> None:
        """Have its PUBACKs written at the end of this turn of the loop."""
        if not self._unflushed:
            self.loop.call_soon(self._flush)
        self._unflushed.append(publishing)

    def _flush(self) -> None:
        unflushed, self._unflushed = self._unflushed, []
        for publishing in unflushed:
            publishing.flush()

    def spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Run work that the broker owns, until it ends or the server stops."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("MQTT work failed", exc_info=task.exception())

    def note_refusal(self, thing_id: ThingId | None, code: str) -> None:
        """Log what a client of MQTT 3 cannot be told; once a second at most."""
        now = self.now()
        if now - self._logged_at < _LOG_EVERY_S:
            self._unlogged += 1
            return
        who = "an unknown thing" if thing_id is None else f"thing {thing_id}"
        _log.info("refused a message of %s: %s (%d more)", who, code, self._unlogged)
        self._logged_at, self._unlogged = now, 0

    def _sweep(self) -> None:
        now = self.now()
        self._sweeps += 1
        for connection in tuple(self._connections):
            connection.look_at_time(now)
        if self._sweeps % _NOTE_EVERY_SWEEPS == 0:
            self.spawn(self._note_progress())
        self._sweeper = None
        if self._connections:
            self._sweeper = self.loop.call_later(self.limits.sweep_s, self._sweep)

    async def _note_progress(self) -> None:
        marks = dict(
            mark
            for connection in tuple(self._connections)
            if (mark := connection.progress_to_note()) is not None
        )
        if not marks:
            return
        try:
            await self.services.kept.note_many(marks)
        except ThingsteadError as error:
            # It is noted when they leave, too; until then more may be given again.
            _log.warning("how far MQTT sessions came was not noted: %s", error)

    def stop(self) -> None:
        """Tell every client that the server stops; twice is once."""
        if self.is_stopping:
            return
        self.is_stopping = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self._connections):
            # In this turn, or a WebSocket is closed before anything was said on it.
            if not connection.stop_if_idle():
                self.spawn(connection.stop())

    async def drain(self, timeout_s: float) -> None:
        """Stop, keep what is to be kept, and end all tasks."""
        self.stop()
        end = self.now() + timeout_s
        while (self._connections or self._tasks) and self.now() < end:
            tasks = tuple(self._tasks)
            if tasks:
                await asyncio.wait(tasks, timeout=min(0.2, end - self.now()))
            else:
                # Sockets close on the loop; nobody tells when the last one has.
                await asyncio.sleep(0.01)
        for connection in tuple(self._connections):
            connection.abort()
        for task in tuple(self._tasks):
            task.cancel()
