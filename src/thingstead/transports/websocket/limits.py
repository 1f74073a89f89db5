"""The numbers that bound one WebSocket. Who enforces them: `connection.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketLimits:
    """States how much a client may send, how fast, and how long it may be silent.

    `message_bytes` bounds a frame and a whole message alike. A message counts against
    `messages_per_second` and `message_burst`, and so does every frame that is none: pings,
    pongs and small fragments cost the server as much.
    `ping_after_seconds`: how long nothing must have come before the server asks;
    `answer_seconds`: how long nothing may come after it has first asked.
    `unsent_bytes` bounds what waits for a client that does not read, `stall_seconds` for how
    long. `close_seconds` bounds the handshake at the end.
    """

    message_bytes: int = 64 * 1024
    messages_per_second: float = 20.0
    message_burst: int = 40
    ping_after_seconds: float = 30.0
    answer_seconds: float = 60.0
    unsent_bytes: int = 1024 * 1024
    high_water_bytes: int = 64 * 1024
    stall_seconds: float = 30.0
    close_seconds: float = 2.0
