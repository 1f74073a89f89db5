"""Whether a peer may be sent much: an address can be forged, and answers are larger than requests.

Private addresses are free. A public one gets so many bytes a minute of answers that are larger
than three times their request; beyond that it must show by an Echo option (RFC 9175, 2.3) that
it receives what is sent to it. The value that it has to repeat is made from the time and a
secret, so nothing is held for who never comes back. Sans-I/O.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Hashable

from thingstead.kernel.budget import Budgets, Rate
from thingstead.transports.coap.limits import CoAPLimits

AMPLIFICATION = 3
"""How many times larger than its request an answer may be without being counted."""
_TAG_BYTES = 8
_TIME_BYTES = 4
_ECHO_SECONDS = 300


class Reachability:
    """Decides what may be sent to whom; `secret` belongs to this process alone."""

    def __init__(self, limits: CoAPLimits, secret: bytes) -> None:
        self._limits = limits
        self._secret = secret
        per_minute = limits.unverified_bytes_per_minute
        self._sent: Budgets[str] = Budgets(
            Rate(per_second=per_minute / 60, burst=per_minute), max_keys=limits.verified_peers
        )
        # Peers that have repeated an Echo value, by when they did last.
        self._verified: OrderedDict[Hashable, float] = OrderedDict()

    def verify(self, peer: Hashable, echo: bytes, now: float) -> bool:
        """Return whether the value was made for this peer lately; it is verified then."""
        made_at = int.from_bytes(echo[:_TIME_BYTES], "big")
        if not hmac.compare_digest(echo, self._echo(peer, made_at)):
            return False
        if not 0 <= int(now) - made_at <= _ECHO_SECONDS:
            return False
        self._verified[peer] = now
        self._verified.move_to_end(peer)
        if len(self._verified) > self._limits.verified_peers:
            self._verified.popitem(last=False)
        return True

    def challenge(self, peer: Hashable, now: float) -> bytes:
        """Return the value that the peer has to repeat."""
        return self._echo(peer, int(now))

    def may_send(
        self, peer: Hashable, counted_as: str, *, request_bytes: int, answer_bytes: int, now: float
    ) -> bool:
        """Return whether an answer may go to a public peer, and count it."""
        if answer_bytes <= AMPLIFICATION * request_bytes:
            return True
        verified_at = self._verified.get(peer)
        if verified_at is not None and now - verified_at < self._limits.verified_seconds:
            return True
        return self._sent.take(counted_as, now, answer_bytes) <= 0

    def _echo(self, peer: Hashable, made_at: int) -> bytes:
        time = (made_at & 0xFFFFFFFF).to_bytes(_TIME_BYTES, "big")
        message = time + repr(peer).encode("utf-8")
        return time + hmac.digest(self._secret, message, hashlib.sha256)[:_TAG_BYTES]
