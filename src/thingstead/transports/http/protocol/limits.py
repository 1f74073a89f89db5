"""The numbers that bound one HTTP connection and all of them together.

It must not know who enforces a number. Read on in `connection.py`, which does, and in
`tests/e2e/http_edge`, where each number is tried at n and at n + 1.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """States how much a client may send, and how long it may take for it.

    `max_body_bytes` is the bound of the whole server; a route may set a smaller one.
    A body may take `body_seconds`, or its size divided by `body_bytes_per_second` when
    that is longer. `linger_seconds` and `linger_bytes` bound how long and how much the
    server goes on reading, and throws away, after an answer that ends the connection.
    An answer of known length that is too long for one piece must be read at
    `pace_bytes_per_second`, on average over each `pace_seconds`.
    """

    max_target_bytes: int = 4096
    max_head_bytes: int = 16384
    max_headers: int = 64
    max_body_bytes: int = 1024 * 1024
    max_connections: int = 20_000
    max_connections_per_address: int = 10_000
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    body_bytes_per_second: int = 500
    keep_alive_seconds: float = 15.0
    write_stall_seconds: float = 30.0
    pace_bytes_per_second: int = 1024
    pace_seconds: float = 60.0
    linger_seconds: float = 5.0
    linger_bytes: int = 8 * 1024 * 1024
    max_refused_connections: int = 1000
