"""A request's way: options, route, blocks of the body, handler, blocks of the answer, limits.

Each request that has not come before is one task, owned here. What it answers goes into its
pipe, from where aiocoap's layers bring it to the peer: with the acknowledgement when it was
quick, as a message of its own when it was not.
"""

import asyncio
import itertools
import logging
from collections.abc import Hashable
from dataclasses import dataclass, replace

from aiocoap.message import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.types import CON
from aiocoap.pipe import Pipe

from thingstead.features.things.service import Things
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import OverloadedError, ThingsteadError
from thingstead.transports.coap.addresses import PeerAddress
from thingstead.transports.coap.blocks import FIRST_BLOCK, Block, KeptAnswer, KeptAnswers, Uploads
from thingstead.transports.coap.exchanges import Exchanges
from thingstead.transports.coap.incoming import Incoming, read_incoming
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.listeners import Asked, Line, Listener, UnverifiedError
from thingstead.transports.coap.messages import Answer, CoAPRequest, LongAnswer, Peer, refusal
from thingstead.transports.coap.observers import Observers
from thingstead.transports.coap.reachability import Reachability
from thingstead.transports.coap.refusals import IncompleteUploadError, UploadTooLargeError
from thingstead.transports.coap.replies import (
    challenge,
    reply_to,
    reply_with_block,
    reply_with_piece,
    size_of,
)
from thingstead.transports.coap.routes import Route, Routes
from thingstead.transports.coap.tokens import is_subscribing

_log = logging.getLogger(__name__)
_SEQUENCES = 1 << 24
_SEQUENCE_MS = 16
_RETRY_S = 5


@dataclass(frozen=True, slots=True)
class _Received:
    """A request together with where it came from and where its answers go."""

    pipe: Pipe
    remote: PeerAddress
    incoming: Incoming
    raw_bytes: int

    @property
    def peer(self) -> Peer:
        return self.remote.peer

    @property
    def key(self) -> Hashable:
        """What all blocks of one answer have in common."""
        incoming = self.incoming
        query = tuple(sorted(incoming.target.query.items()))
        return self.peer.key, incoming.method, incoming.target.segments, query


class Site:
    """Answers the requests of one socket."""

    def __init__(
        self,
        routes: Routes,
        observers: Observers,
        things: Things,
        *,
        clock: Clock,
        limits: CoAPLimits,
        secret: bytes,
    ) -> None:
        self._routes = routes
        self._observers = observers
        self._things = things
        self._clock = clock
        self._limits = limits
        self._uploads = Uploads(limits)
        self._strangers = Uploads(replace(limits, uploads=limits.uploads_of_strangers))
        self._kept = KeptAnswers(limits)
        self._reachability = Reachability(limits, secret)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._line: Line | None = None
        # A new start must not seem older than notifications of the last one (RFC 7641, 3.4).
        self._sequences = itertools.count(clock.now_ms() // _SEQUENCE_MS)

    def __len__(self) -> int:
        return len(self._tasks)

    def connect(self, exchanges: Exchanges) -> None:
        """Take the message layer that notifications go through."""
        self._line = Line(
            exchanges,
            self._kept,
            self._reachability,
            self._limits,
            self._clock,
            lambda: next(self._sequences) % _SEQUENCES,
        )

    def take(self, pipe: Pipe) -> None:
        """Answer a request in a task of its own."""
        if self._is_draining or len(self._tasks) >= self._limits.requests + len(self._observers):
            what = "the server is stopping" if self._is_draining else "too many requests at once"
            _refuse(pipe, OverloadedError(what, retry_after_s=_RETRY_S))
            return
        task = asyncio.create_task(self._serve(pipe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if is_subscribing(pipe.request.datagram):
            # Everything else ends by itself, and a write must not end in the middle.
            pipe.on_interest_end(task.cancel)

    async def drain(self, seconds: float) -> None:
        """Take no more requests and wait for those that are being answered; cancel the rest."""
        self._is_draining = True
        self._observers.stop()
        if self._line is not None:
            self._line.exchanges.end_waiting()
        self._kept.release_all()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, pipe: Pipe) -> None:
        message = pipe.request
        try:
            incoming = read_incoming(message.datagram)
        except ThingsteadError as error:
            _refuse(pipe, error)
            return
        received = _Received(pipe, message.remote, incoming, message.raw_bytes)
        if incoming.echo is not None:
            self._reachability.verify(received.peer.key, incoming.echo, self._clock.monotonic())
        try:
            reply = await self._reply(received)
        except UnverifiedError:
            reply = self._challenge(received.peer)
        except ThingsteadError as error:
            reply = reply_to(refusal(error))
        except Exception:  # noqa: BLE001
            # One request's fault must not end the server; the log has the reason.
            _log.exception("a CoAP request failed")
            reply = reply_to(refusal(ThingsteadError()))
        if reply is not None:
            self._finish(received, reply)

    def _finish(self, received: _Received, reply: Message) -> None:
        """Send the answer, unless it is more than an unverified peer may be sent."""
        peer, incoming = received.peer, received.incoming
        if peer.is_public and not self._reachability.may_send(
            peer.key,
            peer.counted_as,
            request_bytes=received.raw_bytes,
            answer_bytes=size_of(reply),
            now=self._clock.monotonic(),
        ):
            if incoming.method is Code.GET:
                reply = self._challenge(peer)
            else:
                # It has been done, and doing it again with an Echo value would do it twice.
                reply = Message(code=reply.code)
        block1 = incoming.block1
        if block1 is not None:
            has_more = reply.code is Code.CONTINUE
            reply.opt.block1 = (block1.number, has_more, block1.size_exponent)
        reply.opt.no_response = incoming.no_response
        received.pipe.add_response(reply, is_last=True)

    def _challenge(self, peer: Peer) -> Message:
        return challenge(self._reachability.challenge(peer.key, self._clock.monotonic()))

    async def _reply(self, received: _Received) -> Message | None:
        """Return the answer, None when there is nothing more to say."""
        incoming = received.incoming
        route, arguments = self._routes.find(incoming.method, incoming.target.segments)
        block2 = incoming.block2 or FIRST_BLOCK
        if block2.number > 0:
            kept = self._kept.find(received.key, self._clock.monotonic())
            if kept is not None:
                await self._check_thing(received, arguments)
                return self._next_block(kept, block2)
            if incoming.method is not Code.GET:
                raise IncompleteUploadError("the answer is no longer kept")
        body = await self._body(received, route, arguments)
        if body is None:
            return Message(code=Code.CONTINUE)
        request = CoAPRequest(
            incoming.method,
            incoming.target,
            arguments,
            received.peer,
            body,
            incoming.content_format,
            incoming.observe,
        )
        if route.is_observable and incoming.observe == 0 and block2.number == 0:
            await self._observers.observe(request, self._listener(received, block2))
            return None
        return await self._in_blocks(received, await self._handle(route, request), block2)

    async def _handle(self, route: Route, request: CoAPRequest) -> Answer | LongAnswer:
        try:
            return await route.handle(request)
        except ThingsteadError as error:
            # Even a refusal is cut into the blocks that a small device asks for.
            return refusal(error)

    async def _in_blocks(
        self, received: _Received, answer: Answer | LongAnswer, block2: Block
    ) -> Message:
        if isinstance(answer, LongAnswer):
            return await reply_with_piece(answer, block2)
        # A refusal in the middle of an image, for one, is no block of it.
        is_whole = block2.number == 0 or not answer.code.is_successful()
        if is_whole and len(answer.payload) <= block2.size:
            return reply_to(answer)
        reply = reply_with_block(answer, block2)
        if answer.code is Code.CONTENT and reply.opt.block2.more:
            kept = KeptAnswer(answer.payload, answer.content_format)
            self._kept.keep(received.key, kept, self._clock.monotonic())
        return reply

    def _next_block(self, kept: KeptAnswer, block2: Block) -> Message:
        reply = reply_with_block(kept, block2)
        if not reply.opt.block2.more:
            kept.mark_fetched()
        return reply

    async def _body(
        self, received: _Received, route: Route, arguments: dict[str, str]
    ) -> bytes | None:
        """Return the whole body, None when blocks of it are still to come."""
        incoming = received.incoming
        block1, payload = incoming.block1, incoming.payload
        if block1 is None:
            if len(payload) > route.body_bytes:
                raise _too_large(route.body_bytes)
            return payload
        await self._check_thing(received, arguments)
        if incoming.size1 is not None and incoming.size1 > route.body_bytes:
            raise _too_large(route.body_bytes)
        # Whoever has no token can keep nobody from writing.
        uploads = self._uploads if "thing_token" in arguments else self._strangers
        return uploads.add(
            received.peer.key,
            (received.key, incoming.content_format, incoming.request_tags),
            block1,
            payload,
            most=route.body_bytes,
            now=self._clock.monotonic(),
        )

    async def _check_thing(self, received: _Received, arguments: dict[str, str]) -> None:
        """Refuse who has no thing: nothing is kept for them, nor told what was kept before."""
        token = arguments.get("thing_token")
        if token is not None:
            await self._things.resolve(token, address=received.peer.counted_as)

    def _listener(self, received: _Received, block2: Block) -> Listener:
        if self._line is None:
            raise OverloadedError("the server is starting", retry_after_s=_RETRY_S)
        asked = Asked(
            received.peer,
            received.remote,
            received.pipe.request.mtype is CON,
            received.raw_bytes,
            received.key,
            block2,
            received.incoming.no_response,
        )
        return Listener(self._line, received.pipe, asked)


def _too_large(most: int) -> UploadTooLargeError:
    return UploadTooLargeError(f"this path takes at most {most} bytes", most=most)


def _refuse(pipe: Pipe, error: ThingsteadError) -> None:
    """Answer what is not even looked at; without words to who may have forged the address."""
    answer = refusal(error)
    if pipe.request.remote.peer.is_public:
        answer = replace(answer, payload=b"")
    pipe.add_response(reply_to(answer), is_last=True)
