"""All Socket.IO connections of a server: opening, finding and ending them.

    socketio = SocketIOServer(streams, sessions, limits, edge.sweeper)
    ...
    socketio.stop()

Ids are unguessable and name nothing but the connection. Knows neither polling nor WebSockets;
those are in `routes.py`.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine
from functools import partial
from typing import Protocol

from thingstead.features.streams.service import Streams
from thingstead.features.users.sessions import Sessions
from thingstead.kernel.errors import OverloadedError
from thingstead.transports.socketio.engine import GOING_AWAY, Carrier, EngineSession
from thingstead.transports.socketio.limits import SocketIOLimits
from thingstead.transports.socketio.namespace import Conversation
from thingstead.transports.socketio.packets import Generation

_SID_BYTES = 18


class Watcher(Protocol):
    """Looks at the deadlines of many connections with one timer."""

    def watch(self, connection: EngineSession, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to call `deadline_passed` once a deadline is over; twice is once."""

    def forget(self, connection: EngineSession) -> None:
        """Stop; unknown ones are ignored."""


class SocketIOServer:
    """Keeps the connections."""

    def __init__(
        self, streams: Streams, sessions: Sessions, limits: SocketIOLimits, watcher: Watcher
    ) -> None:
        self.limits = limits
        self._streams = streams
        self._sessions = sessions
        self._watcher = watcher
        self._open: dict[str, EngineSession] = {}
        self._strangers: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def check_room(self, address: str) -> None:
        """Refuse a further connection from that address when there are too many.

        Raises:
            OverloadedError: the server has as many as it may, or is stopping, or the address
                has too many that have shown no right.
        """
        if self._is_stopping:
            raise OverloadedError("the server is stopping", retry_after_s=5)
        if len(self._open) >= self.limits.sockets:
            raise OverloadedError(f"{self.limits.sockets} connections are open", retry_after_s=60)
        most = self.limits.strangers_per_address
        if self._strangers[address] >= most:
            raise OverloadedError(
                f"{most} connections of one address are not authenticated", retry_after_s=10
            )

    def open(
        self, generation: Generation, address: str, carrier: Carrier | None = None
    ) -> EngineSession:
        """Open a connection, over polling or at once over a WebSocket.

        Raises:
            OverloadedError: as `check_room`.
        """
        self.check_room(address)
        loop = asyncio.get_running_loop()
        session = EngineSession(
            secrets.token_urlsafe(_SID_BYTES),
            generation,
            self.limits,
            now=loop.time,
            count_stranger=partial(self._count_stranger, address),
            on_end=self._forget,
        )
        conversation = Conversation(
            session,
            self._sessions,
            self._streams,
            self.limits,
            address=address,
            spawn=self._spawn,
        )
        session.rider = conversation
        self._open[session.sid] = session
        self._watcher.watch(session, loop)
        session.open(carrier, has_upgrade=carrier is None)
        conversation.begin()
        return session

    def find(self, sid: str, generation: Generation) -> EngineSession | None:
        """Return the open connection of that generation, or None."""
        session = self._open.get(sid)
        return session if session is not None and session.generation is generation else None

    def stop(self) -> None:
        """End every connection and open no more."""
        self._is_stopping = True
        for session in list(self._open.values()):
            session.end("the server is stopping", GOING_AWAY)

    def _count_stranger(self, address: str, more: int) -> None:
        self._strangers[address] += more
        if not self._strangers[address]:
            del self._strangers[address]

    def _forget(self, session: EngineSession) -> None:
        self._open.pop(session.sid, None)
        self._watcher.forget(session)

    def _spawn(self, answering: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(answering)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
