"""How one HTTP connection is admitted, watched, refused and ended.

The half of our protocol class that has to do with time and ends; `connection.py` is the
half that reads requests. It must not know what a request looks like. Read on in
`sweeper.py` (who calls `deadline_passed`) and `limits.py` (the numbers).
"""

import asyncio
import math
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from thingstead.transports.http.protocol import answers, phase
from thingstead.transports.http.protocol.cycle import Cycle
from thingstead.transports.http.protocol.edge import Edge
from thingstead.transports.http.protocol.pace import Pace, keep_little_unsent, untaken_bytes
from thingstead.transports.http.protocol.upgrades import Peer, Successor


class ConnectionLifetime(HttpToolsProtocol):
    """Counts a connection in and out, ends it when a deadline passes, and ends it well.

    Ending well means: the client can read the last answer although it was still
    sending. A socket closed with unread bytes is reset, and the reset can overtake the
    answer; so our side is closed first and what still comes is read and thrown away,
    for a bounded time (RFC 9112, 9.6).
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        edge: Edge,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # What uvicorn would keep pipelined requests in: 760 bytes, and never used here.
        del self.pipeline
        self.cycle: Cycle
        self.access_log = False
        self.deadline = math.inf
        self.stall_deadline = math.inf
        self._edge = edge
        self._limits = edge.limits
        self._lane = edge.lane
        self._now = self.loop.time
        self._phase: int = phase.HEAD
        self._pending = b""
        self._is_shutting_down = False
        self._is_admitted = False
        self._is_refused = False
        # The client has sent something after its last request that will not be answered.
        self._has_surplus = False
        # The client has closed its sending side; what has arrived whole is still answered.
        self._has_ended = False
        self._lingered_bytes = 0
        self._successor: Successor | None = None
        # There is one while a long answer goes out.
        self._pace: Pace | None = None

    @property
    def _address(self) -> str | None:
        return self.client[0] if self.client else None

    @property
    def _is_answering(self) -> bool:
        return self._phase in (phase.BODY, phase.ANSWER)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admits the connection, or answers 503 at once when there are too many."""
        super().connection_made(transport)
        self.deadline = self._now() + self._limits.head_seconds
        self._edge.sweeper.watch(self, self.loop)
        counts = self._edge.counts
        refusal = self._over_limit()
        if refusal is None:
            counts.admit(self._address)
            self._is_admitted = True
        elif counts.refused_open >= self._limits.max_refused_connections:
            # Politeness is bounded too: a flood beyond it gets no answer.
            self._phase = phase.CLOSED
            transport.abort()
        else:
            counts.refused_open += 1
            self._is_refused = True
            self.refuse(503, refusal, header_lines=b"Retry-After: 1\r\n")

    def _over_limit(self) -> str | None:
        counts, limits, address = self._edge.counts, self._limits, self._address
        if counts.total >= limits.max_connections:
            return f"Service Unavailable: at most {limits.max_connections} connections"
        if address is None or counts.for_address(address) < limits.max_connections_per_address:
            return None
        most = limits.max_connections_per_address
        return f"Service Unavailable: at most {most} connections from one address"

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts the connection out and tells the app."""
        super().connection_lost(exc)
        cycle: Cycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.abandon()
        self._edge.sweeper.forget(self)
        self._phase = phase.CLOSED
        self._pending = b""
        self._release()
        if cycle is not None and cycle.has_run:
            self.forget_cycle()

    def forget_cycle(self) -> None:
        """Lets go of the last request, or the two would be in memory until cycles are collected.

        The collector is made to look seldom, so a thousand short connections left 4 MiB each time.
        """
        if self._phase == phase.CLOSED:
            self.cycle = None  # type: ignore[assignment]  # As before the first request.

    def _release(self) -> None:
        if self._is_admitted:
            self._is_admitted = False
            self._edge.counts.release(self._address)
        if self._is_refused:
            self._is_refused = False
            self._edge.counts.refused_open -= 1

    def _peer(self, headers: list[tuple[bytes, bytes]]) -> Peer:
        peer = Peer(self._address, self.scheme or "http")
        finder = self._edge.peers
        return peer if finder is None else finder.peer_of(peer, headers)

    def _hand_over(self, successor: Successor, answer: bytes) -> None:
        """Writes the answer and gives the socket away; it stays counted until it is lost."""
        transport = self.transport
        self._successor = successor
        self._phase = phase.CLOSED
        self._edge.sweeper.forget(self)
        self.connections.discard(self)
        # uvicorn asks no more of these than `shutdown`, and waits until none is left.
        successors = cast("set[Successor]", self.connections)
        successors.add(successor)
        counts, address = self._edge.counts, self._address

        def released() -> None:
            successors.discard(successor)
            counts.release(address)

        transport.write(answer)
        transport.set_protocol(cast("asyncio.Protocol", successor))
        successor.take_over(transport, released)
        if self.flow.write_paused:
            successor.pause_writing()
        self.flow.resume_reading()
        # The parser and this object hold each other.
        self.parser = None  # type: ignore[assignment]

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answers what has arrived whole before the client's end; then the connection ends.

        Some clients close their sending side, or all, right after a request (ESP8266 C
        library). An answer that has begun to go out ends, because a stream would never; one of
        known length does not.
        """
        is_whole = self._phase == phase.LANE or (
            self._phase == phase.ANSWER
            and (self.cycle.is_bounded or not self.cycle.response_started)
        )
        if is_whole and self.transport.can_write_eof():
            self._has_ended = True
            return True
        if self._is_answering:
            self.cycle.abandon()
        self._mark_closed()
        return False

    def date_line(self) -> bytes:
        """Gives the `Date` line for now."""
        return self._edge.date.now()

    def refuse(self, status: int, message: str, *, header_lines: bytes = b"") -> None:
        """Answers with an error of the edge and ends the connection.

        When an answer has already begun, a second one would be misread: then the
        connection only ends.
        """
        if self._phase >= phase.LINGER:
            return
        self._edge.counts.refusals[status] += 1
        is_head_request = False
        if self._is_answering:
            self.cycle.abandon()
            is_head_request = self.cycle.is_head_request
            if self.cycle.response_complete:
                self._end()
                return
            if self.cycle.response_started:
                self._close()
                return
        answer = answers.error_answer(status, message, header_lines=self.date_line() + header_lines)
        self.transport.write(answers.without_body(answer) if is_head_request else answer)
        self._end()

    def fail_response(self) -> None:
        """Answers 500 if nothing was written yet; otherwise cuts the connection."""
        self.refuse(500, "Internal server error")

    def cut_response(self) -> None:
        """Ends the connection in the middle of an answer."""
        self.cycle.abandon()
        self._close()

    def _end(self) -> None:
        """Ends the connection after an answer so that the client can read it."""
        is_all_read = self._phase in (phase.ANSWER, phase.LANE) and not (
            self._pending or self._has_surplus or self.flow.read_paused
        )
        if is_all_read or self.transport.is_closing():
            self._close()
            return
        self._phase = phase.LINGER
        self._pending = b""
        self.deadline = self._now() + self._limits.linger_seconds
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close(self) -> None:
        self._mark_closed()
        self.transport.close()

    def _mark_closed(self) -> None:
        self._phase = phase.CLOSED
        self._pending = b""
        # A closed transport waits for its unsent bytes; a client that reads none of
        # them would hold it for ever.
        self.deadline = self._now() + self._limits.write_stall_seconds

    def _throw_away(self, data: bytes) -> None:
        self._lingered_bytes += len(data)
        if self._lingered_bytes > self._limits.linger_bytes:
            self._close()

    def begin_long_answer(self) -> None:
        """Demands from now on that the client reads at a bearable pace."""
        limits = self._limits
        keep_little_unsent(self.transport)
        self._pace = Pace(limits.pace_bytes_per_second, limits.pace_seconds, self._now())
        self.stall_deadline = self._pace.looks_at

    def end_long_answer(self) -> None:
        """Demands that no longer; what is left unsent must go as after any answer."""
        self._pace = None
        self.stall_deadline = math.inf
        if self.flow.write_paused:
            self.stall_deadline = self._now() + self._limits.write_stall_seconds

    def _check_pace(self, pace: Pace, now: float) -> None:
        waiting_bytes = untaken_bytes(self.transport)
        taken_bytes = self.cycle.pushed_bytes - waiting_bytes
        # While nothing waits for the client, it is the server that is slow.
        if pace.is_kept(taken_bytes, now) or not waiting_bytes:
            self.stall_deadline = pace.looks_at
            return
        self.logger.warning(
            "An answer was cut off after %d bytes: its client reads less than %d bytes/s",
            taken_bytes,
            self._limits.pace_bytes_per_second,
        )
        self.transport.abort()

    def deadline_passed(self, now: float) -> None:
        """Ends the connection if what it waits for may not be waited for any longer."""
        if self._pace is not None and self._phase != phase.CLOSED:
            if self.stall_deadline <= now:
                self._check_pace(self._pace, now)
        elif self.stall_deadline <= now or self._phase == phase.CLOSED:
            self.transport.abort()
        elif self._phase == phase.HEAD:
            self._end_idle()
        elif self._phase == phase.BODY:
            self._end_slow_body(now)
        elif self._phase == phase.LINGER:
            self._close()
        else:
            self.deadline = math.inf

    def _end_idle(self) -> None:
        if self._pending:
            seconds = self._limits.head_seconds
            self.refuse(408, f"Request Timeout: the head must arrive within {seconds:g} s")
        else:
            self._close()

    def _end_slow_body(self, now: float) -> None:
        if self.flow.read_paused:
            # It is the app that does not read; the client's time stands still.
            self.deadline = now + self._limits.body_seconds
            return
        rate = self._limits.body_bytes_per_second
        self.refuse(
            408,
            "Request Timeout: the body must arrive within "
            f"{self._limits.body_seconds:g} s or at {rate} bytes/s",
        )

    def shutdown(self) -> None:
        """Ends an idle connection now, and a busy one after its answer; idempotent."""
        self._is_shutting_down = True
        if self._is_answering and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._phase != phase.LANE:
            self._close()

    def pause_writing(self) -> None:
        """Holds back the app's messages, and the lane, until the client reads on."""
        super().pause_writing()
        self._lane = None
        if self._pace is None:
            self.stall_deadline = self._now() + self._limits.write_stall_seconds

    def resume_writing(self) -> None:
        """Lets the app's messages, and the lane, go on."""
        super().resume_writing()
        self._lane = self._edge.lane
        if self._pace is None:
            self.stall_deadline = math.inf
        cycle: Cycle | None = self.cycle
        if cycle is not None:
            cycle.tell_writable()
