"""One observation's way out: notifications in order, one after the other.

A confirmable notification is followed by nothing until it was acknowledged, and a long one by
nothing until its blocks were fetched; meanwhile events wait in the subscription's bounded
queue. So a peer that has vanished costs a few datagrams, and a slow one only itself.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from aiocoap.message import Message
from aiocoap.numbers.codes import Code
from aiocoap.pipe import Pipe

from thingstead.kernel.clock import Clock
from thingstead.transports.coap.addresses import PeerAddress
from thingstead.transports.coap.blocks import Block, KeptAnswer, KeptAnswers
from thingstead.transports.coap.exchanges import Exchanges
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.messages import JSON_FORMAT, Answer, Peer
from thingstead.transports.coap.reachability import Reachability
from thingstead.transports.coap.replies import (
    challenge,
    notification,
    reply_to,
    reply_with_block,
    size_of,
)

_SLACK_S = 10
"""How much later than promised a sign of life may come before a client takes it for lost."""


class UnverifiedError(Exception):
    """The peer must show that it receives what is sent to it before it is sent more."""


@dataclass(frozen=True, slots=True)
class Line:
    """What all observations of one socket share; `next_sequence` grows with each call."""

    exchanges: Exchanges
    kept: KeptAnswers
    reachability: Reachability
    limits: CoAPLimits
    clock: Clock
    next_sequence: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the observer asked for: under which key its blocks are fetched, and in which size."""

    peer: Peer
    remote: PeerAddress
    is_confirmable: bool
    request_bytes: int
    key: Hashable
    block: Block
    no_response: int | None


class Listener:
    """Sends the notifications of one observation."""

    def __init__(self, line: Line, pipe: Pipe, asked: Asked) -> None:
        self._line = line
        self._pipe = pipe
        self._asked = asked
        # None until the peer has acknowledged something, so the first notification asks for it.
        self._confirmed_at: float | None = None
        self.keep_alive_s = 60.0
        self.token: bytes = pipe.request.token

    def begin(self, document: bytes) -> None:
        """Answer the request itself."""
        self._notify(reply_to(Answer(Code.CONTENT, document)), is_confirmable=True)

    async def clear(self) -> None:
        """Wait until the peer has acknowledged what is underway; at once when it never will."""
        exchanges, remote = self._line.exchanges, self._asked.remote
        if not exchanges.is_underway(remote):
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        exchanges.when_clear(remote, lambda: None if waiter.done() else waiter.set_result(None))
        await waiter
        self._confirmed_at = self._line.clock.monotonic()

    async def send(self, document: bytes, *, is_sign_of_life: bool = False) -> None:
        """Notify of a document; return when the next may be sent, but for acknowledgements.

        Raises:
            UnverifiedError: the peer has to repeat an Echo value first.
        """
        is_confirmable = self._asked.is_confirmable or is_sign_of_life or self._is_due()
        if len(document) <= self._asked.block.size:
            reply = reply_to(Answer(Code.CONTENT, document))
            self._notify(reply, is_confirmable=is_confirmable)
            return
        kept = KeptAnswer(document, JSON_FORMAT)
        kept.fetched = asyncio.get_running_loop().create_future()
        line = self._line
        line.kept.keep(self._asked.key, kept, line.clock.monotonic())
        first = Block(0, has_more=True, size_exponent=self._asked.block.size_exponent)
        self._notify(reply_with_block(kept, first), is_confirmable=is_confirmable)
        await asyncio.wait({kept.fetched}, timeout=line.limits.fetch_seconds)

    def end(self, answer: Answer) -> None:
        """Send the last message, which tells why there are no more."""
        self._pipe.add_response(reply_to(answer), is_last=True)

    def end_unverified(self) -> None:
        """End with the Echo value that the peer has to repeat with its next request."""
        now = self._line.clock.monotonic()
        echo = self._line.reachability.challenge(self._asked.peer.key, now)
        self._pipe.add_response(challenge(echo), is_last=True)

    def _is_due(self) -> bool:
        """Return whether it is time to find out if the peer still is there."""
        if self._confirmed_at is None:
            return True
        return self._line.clock.monotonic() - self._confirmed_at >= self.keep_alive_s

    def _notify(self, reply: Message, *, is_confirmable: bool) -> None:
        line, asked = self._line, self._asked
        if asked.peer.is_public and not line.reachability.may_send(
            asked.peer.key,
            asked.peer.counted_as,
            request_bytes=asked.request_bytes,
            answer_bytes=size_of(reply),
            now=line.clock.monotonic(),
        ):
            raise UnverifiedError
        reply = notification(
            reply,
            line.next_sequence(),
            max_age_s=int(self.keep_alive_s) + _SLACK_S,
            is_confirmable=is_confirmable,
        )
        reply.opt.no_response = asked.no_response
        self._pipe.add_response(reply, is_last=False)
