"""The numbers that bound one Socket.IO connection and all of them together."""

from dataclasses import dataclass, field

from thingstead.kernel.budget import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketIOLimits:
    """States how much a client may send, keep waiting and hold open.

    `messages` counts every packet of a client; its burst has room for all subscriptions at
    once. `greeting_s` is how long a connection may last that has neither authenticated nor
    subscribed, and `strangers_per_address` how many such one address may have.
    """

    sockets: int = 20_000
    strangers_per_address: int = 2_000
    message_bytes: int = 64 * 1024
    messages: Rate = field(default=Rate(per_second=20, burst=60))
    subscriptions: int = 50
    queued_packets: int = 256
    queued_bytes: int = 256 * 1024
    ping_interval_s: float = 25.0
    ping_timeout_s: float = 20.0
    greeting_s: float = 10.0
    upgrade_s: float = 10.0
