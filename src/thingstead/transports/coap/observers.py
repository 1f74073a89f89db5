"""`GET /v2/things/THING_TOKEN` with Observe: the live stream of a thing (`thethings-v2.md` 5.2).

The same documents as over HTTP, each one notification: the confirmation, then the values of
each write, `{}` after `keepAlive` milliseconds without one. Signs of life are confirmable, and
so is at least one notification in that time, so an observer that vanished is noticed; the
others are sent as the request was.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager

from thingstead.features.live.model import End, LiveEvent, Wake
from thingstead.features.live.subscription import Subscription, SubscriptionEndedError
from thingstead.features.streams.service import Stream, Streams
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.kernel.errors import OverloadedError, ThingsteadError, TooManyStreamsError
from thingstead.transports.coap.listeners import Listener, UnverifiedError
from thingstead.transports.coap.messages import CoAPRequest, refusal
from thingstead.transports.coap.refusals import InvalidTargetError
from thingstead.transports.wire.keep_alive import keep_alive_ms
from thingstead.transports.wire.values_out import encode_event

_log = logging.getLogger(__name__)
_SUBSCRIBED = b'{"status":"success","message":"subscribed"}'
_SIGN_OF_LIFE = b"{}"
_RETRY_S = 5


class Observers:
    """Serves observations of things."""

    def __init__(self, streams: Streams, *, most_per_peer: int) -> None:
        self._streams = streams
        self._most_per_peer = most_per_peer
        # The tokens of each peer's observations. One that begins anew with the token that it had
        # is there twice for a moment, because the old one ends only after it was replaced.
        self._open: dict[Hashable, Counter[bytes]] = {}
        self._subscriptions: set[Subscription] = set()

    def __len__(self) -> int:
        return sum(tokens.total() for tokens in self._open.values())

    def stop(self) -> None:
        """End every observation, telling the observers that the server stops."""
        for subscription in self._subscriptions:
            subscription.end(End.SHUTDOWN)

    async def observe(self, request: CoAPRequest, listener: Listener) -> None:
        """Notify until the peer leaves, reads too slowly, or loses the right to listen.

        Raises:
            ThingsteadError: there is no such thing, or there are too many observations.
            UnverifiedError: the peer must repeat an Echo value; nothing was sent.
        """
        token = request.arguments["thing_token"]
        listener.keep_alive_s = _keep_alive_s(request.query)
        stream = await self._streams.of_thing(token, address=request.address)
        with closing(stream), self._counted(request.peer.key, listener.token):
            subscription = stream.subscription
            thing_id = subscription.holder
            listener.begin(_SUBSCRIBED)
            self._subscriptions.add(subscription)
            try:
                await _follow(stream, listener)
            except SubscriptionEndedError as ended:
                # The hub logs who read too slowly, on whatever road.
                if ended.reason is not End.OVERFLOW:
                    _log.info("an observation of thing %s ended: %s", thing_id, ended.reason.value)
                listener.end(refusal(_farewell(ended.reason)))
            except UnverifiedError:
                _log.info("an observation of thing %s ended: not verified", thing_id)
                listener.end_unverified()
            except asyncio.CancelledError:
                _log.info("an observation of thing %s ended: the peer left", thing_id)
                raise
            finally:
                self._subscriptions.discard(subscription)

    @contextmanager
    def _counted(self, peer: Hashable, token: bytes) -> Iterator[None]:
        tokens = self._open.setdefault(peer, Counter())
        if len(tokens) >= self._most_per_peer and token not in tokens:
            raise TooManyStreamsError(
                f"at most {self._most_per_peer} of one peer", retry_after_s=60
            )
        tokens[token] += 1
        try:
            yield
        finally:
            tokens[token] -= 1
            if not tokens[token]:
                del tokens[token]
            if not tokens:
                self._open.pop(peer, None)


async def _follow(stream: Stream, listener: Listener) -> None:
    while True:
        await listener.clear()
        happened = await stream.subscription.next(listener.keep_alive_s)
        if happened is Wake.KEEP_ALIVE:
            await listener.send(_SIGN_OF_LIFE, is_sign_of_life=True)
        elif happened is Wake.RECHECK:
            await stream.recheck()
        elif isinstance(happened, LiveEvent) and stream.accepts(happened):
            # What waited while the thing changed hands must not go out after it.
            await listener.send(encode_event(happened))


def _farewell(reason: End) -> ThingsteadError:
    if reason is End.REVOKED:
        return ThingNotFoundError(reason.value)
    return OverloadedError(reason.value, retry_after_s=_RETRY_S)


def _keep_alive_s(query: dict[str, str]) -> float:
    try:
        return keep_alive_ms(query.get("keepAlive")) / 1_000
    except ValueError as exc:
        raise InvalidTargetError(str(exc)) from exc
