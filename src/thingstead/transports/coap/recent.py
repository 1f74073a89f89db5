"""The messages of the last minutes and what was answered, so that none is obeyed twice.

RFC 7252, 4.5: a message sent again within EXCHANGE_LIFETIME gets the stored answer. The
library keeps that without a bound; here the oldest of the most talkative peer go first, and
of all peers those that were silent longest. Message ids are told apart by their bytes as
well: a device that restarts counts from its first id again, and must not be told that
something was stored which was not. Sans-I/O.
"""

from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum

from thingstead.transports.coap.limits import CoAPLimits

LIFETIME_S = 247.0
"""EXCHANGE_LIFETIME with the parameters of RFC 7252, 4.8.2."""


class Seen(Enum):
    """What is known of a message that has just come."""

    NEW = "it has not come before"
    PENDING = "it has come before, and is not answered yet"


class _Entry:
    __slots__ = ("answer", "expires_at", "fingerprint")

    def __init__(self, fingerprint: int, expires_at: float) -> None:
        self.fingerprint = fingerprint
        self.expires_at = expires_at
        self.answer: bytes | None = None


class RecentMessages:
    """Remembers messages by peer and message id, in bounded memory."""

    def __init__(self, limits: CoAPLimits) -> None:
        self._limits = limits
        # Peers by when they last sent, each with its messages by when they came.
        self._peers: OrderedDict[Hashable, OrderedDict[int, _Entry]] = OrderedDict()
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def see(self, peer: Hashable, message_id: int, fingerprint: int, now: float) -> Seen | bytes:
        """Return what is known of the message, or its stored answer; a new one is remembered."""
        messages = self._peers.get(peer)
        if messages is None:
            messages = self._peers[peer] = OrderedDict()
        else:
            self._peers.move_to_end(peer)
            self._expire(messages, now)
            known = messages.get(message_id)
            if known is not None:
                if known.fingerprint == fingerprint:
                    return Seen.PENDING if known.answer is None else known.answer
                self._drop(messages, message_id)
        messages[message_id] = _Entry(fingerprint, now + LIFETIME_S)
        self._count += 1
        if len(messages) > self._limits.remembered_per_peer:
            self._drop(messages, next(iter(messages)))
        self._make_room(now)
        return Seen.NEW

    def answer(self, peer: Hashable, message_id: int, answer: bytes) -> None:
        """Keep the answer of a message for when it comes again."""
        messages = self._peers.get(peer)
        entry = None if messages is None else messages.get(message_id)
        if entry is None:
            return
        self._bytes += len(answer) - len(entry.answer or b"")
        entry.answer = answer
        self._make_room(entry.expires_at - LIFETIME_S)

    def _make_room(self, now: float) -> None:
        limits = self._limits
        while self._peers:
            peer, messages = next(iter(self._peers.items()))
            if self._count <= limits.remembered_messages and self._bytes <= limits.remembered_bytes:
                newest = next(reversed(messages.values()), None)
                if newest is not None and newest.expires_at > now:
                    return
                self._forget(peer, messages)
            elif messages:
                self._drop(messages, next(iter(messages)))
            else:
                del self._peers[peer]

    def _forget(self, peer: Hashable, messages: OrderedDict[int, _Entry]) -> None:
        for message_id in list(messages):
            self._drop(messages, message_id)
        del self._peers[peer]

    def _expire(self, messages: OrderedDict[int, _Entry], now: float) -> None:
        while messages:
            message_id, oldest = next(iter(messages.items()))
            if oldest.expires_at > now:
                return
            self._drop(messages, message_id)

    def _drop(self, messages: OrderedDict[int, _Entry], message_id: int) -> None:
        entry = messages.pop(message_id)
        self._count -= 1
        self._bytes -= len(entry.answer or b"")
