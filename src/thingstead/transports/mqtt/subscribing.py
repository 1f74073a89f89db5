"""What one client subscribes to: from SUBSCRIBE to feeds, and back when it leaves.

A subscription of a kept session with QoS 1 has its place in the order of events; what came
behind that place is given first (`live/replay.py`), then the feed is live.
"""

from asyncio import sleep
from typing import TYPE_CHECKING

import msgspec

from thingstead.features.kept_sessions.model import KeptSubscription
from thingstead.features.live.model import End
from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.transports.mqtt.catching_up import CatchingUp
from thingstead.transports.mqtt.codec import (
    Properties,
    Reason,
    Subscribe,
    SubscribeRequest,
    Unsubscribe,
    encoder,
)
from thingstead.transports.mqtt.feeds import Feed, Options, RelayFeed, ValuesFeed
from thingstead.transports.mqtt.opening import open_feeds
from thingstead.transports.mqtt.progress import Progress
from thingstead.transports.mqtt.refusals import suback_reason
from thingstead.transports.mqtt.topics import (
    FilterTarget,
    TopicKind,
    TopicRefusedError,
    parse_filter,
)

if TYPE_CHECKING:
    from thingstead.transports.mqtt.client import Client

# A packet may hold thousands, and the other clients must get their turn.
_REQUESTS_AT_ONCE = 32
_encode = msgspec.json.Encoder().encode
# What the client has lost for good; anything else may come back.
_GONE = frozenset({Category.NOT_FOUND, Category.FORBIDDEN, Category.UNAUTHENTICATED})
_ENDS = {
    End.OVERFLOW: Reason.QUOTA_EXCEEDED,
    End.REVOKED: Reason.NOT_AUTHORIZED,
    End.SHUTDOWN: Reason.SERVER_SHUTTING_DOWN,
    End.INTERRUPTED: Reason.SERVER_BUSY,
}


class TooManyFiltersError(ThingsteadError):
    """One connection has as many subscriptions as it may."""

    category = Category.TOO_MANY
    code = "too-many-filters"
    message = "Too many subscriptions"
    advice = "Unsubscribe from what is no longer read; the text after the colon names the limit."


class Subscribing:
    """Keeps the feeds of one client."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._feeds: dict[str, tuple[Feed, ...]] = {}
        self._noted: tuple[KeptSubscription, ...] = ()
        self._from_session = Progress(0)
        self._is_leaving = False
        self._is_resuming = False
        self._catching_up = CatchingUp(client)
        self.expires_after_s: int | None = None
        """How long a kept session lasts, if the client's DISCONNECT said so."""

    async def subscribe(self, packet: Subscribe) -> None:
        """Open what the packet asks for, answer it, and begin to send."""
        client = self._client
        identifier = packet.properties.subscription_identifier
        reasons: list[int] = []
        first_refusal = ""
        opened: list[Feed] = []
        codes: list[FilterTarget] = []
        for count, request in enumerate(packet.requests):
            if count % _REQUESTS_AT_ONCE == 0:
                await sleep(0)
            try:
                target = self._target(request.filter)
                if target.kind is TopicKind.ACTIVATION:
                    codes.append(target)
                else:
                    opened += await self._subscribe(request, target, identifier)
            except TopicRefusedError as refused:
                reasons.append(refused.reason)
                first_refusal = first_refusal or str(refused)
            except ThingsteadError as error:
                reasons.append(suback_reason(error))
                first_refusal = first_refusal or str(error)
            else:
                reasons.append(min(request.qos, 1))
        text = client.told(first_refusal)
        properties = Properties(reason_string=text) if text else Properties()
        client.connection.write(encoder.suback(client.level, packet.packet_id, reasons, properties))
        for feed in opened:
            feed.open()
        for target in codes:
            await self._activate(target)
            await sleep(0)

    def _target(self, text: str) -> FilterTarget:
        limits = self._client.broker.limits
        return parse_filter(text, max_levels=limits.filter_levels, max_bytes=limits.filter_bytes)

    async def _subscribe(
        self, request: SubscribeRequest, target: FilterTarget, identifier: int | None
    ) -> list[Feed]:
        client = self._client
        text = request.filter
        most = client.broker.limits.filters
        if text not in self._feeds and len(self._feeds) >= most:
            raise TooManyFiltersError(f"at most {most} for one connection")
        options = Options(min(request.qos, 1), is_no_local=request.no_local, identifier=identifier)
        after = None
        if client.session is not None and options.qos:
            after = await client.broker.services.replay.head()
        opened: list[Feed] = []
        if text in self._feeds:
            # What is under way to the client, or waits for it, goes on (MQTT 5, 3.8.4).
            for feed in self._feeds[text]:
                feed.change(options)
                if isinstance(feed, ValuesFeed):
                    feed.begin_behind(after)
        else:
            self._feeds[text] = await open_feeds(client, text, target, options, after)
            opened += self._feeds[text]
        if client.session is not None:
            try:
                await client.broker.services.kept.subscribe(
                    client.session, self._kept_of(self._feeds[text])
                )
            except BaseException:
                self._drop(text)
                raise
        return opened

    def _drop(self, text: str) -> bool:
        feeds = self._feeds.pop(text, ())
        for feed in feeds:
            feed.close()
        return bool(feeds)

    async def unsubscribe(self, packet: Unsubscribe) -> None:
        """Close what the packet names, and answer it."""
        client = self._client
        reasons = [
            Reason.SUCCESS if self._drop(text) else Reason.NO_SUBSCRIPTION_EXISTED
            for text in packet.filters
        ]
        if client.session is not None:
            await client.broker.services.kept.unsubscribe(client.session, *packet.filters)
        client.connection.write(encoder.unsuback(client.level, packet.packet_id, reasons))

    async def _activate(self, target: FilterTarget) -> None:
        """Activate a thing; the answer goes to this connection alone (`rulings.md`)."""
        client = self._client
        try:
            new = await client.broker.services.things.activate(
                target.code, None, address=client.address
            )
        except ThingsteadError as error:
            document = {"status": "error", "code": error.code, "message": str(error)}
        else:
            document = {
                "status": "created",
                "message": "thing activated",
                "thingToken": new.token,
                "thingId": new.thing.id,
            }
        topic = f"{target.slash}{target.filter}".encode()
        packet = encoder.publish_qos0(client.level, topic, _encode(document))
        if len(packet) <= client.most_packet_bytes:
            client.connection.write(packet)

    async def resume(self, subscriptions: tuple[KeptSubscription, ...]) -> None:
        """Open what a kept session was subscribed to, and send what it missed.

        A filter whose token opens nothing any more is left out, as if it were new.

        Raises:
            ThingsteadError: one cannot be opened just now.
        """
        client = self._client
        self._is_resuming = True
        behind: list[tuple[ValuesFeed, int]] = []
        relayed: list[RelayFeed] = []
        head = await client.broker.services.replay.head()
        for kept in subscriptions:
            options = Options.of(kept.options)
            # A place in a later history, which the values were put back from, is none.
            after = None if kept.after is None else min(kept.after, head)
            try:
                feeds = await open_feeds(
                    client, kept.filter, self._target(kept.filter), options, after
                )
            except TopicRefusedError:
                continue
            except ThingsteadError as error:
                if error.category in _GONE:
                    continue
                raise
            self._feeds[kept.filter] = feeds
            for feed in feeds:
                if isinstance(feed, ValuesFeed) and after is not None:
                    behind.append((feed, after))
                elif isinstance(feed, RelayFeed) and options.qos:
                    relayed.append(feed)
                else:
                    feed.open()
                    continue
                feed.subscription.hold()
        self._is_resuming = False
        client.broker.spawn(self._catching_up.run(behind, relayed))

    def delivering(self, number: int) -> None:
        """Note that a message that waited in the session is about to be sent."""
        self._from_session.sent(number)

    def delivered(self, number: int) -> None:
        """Note that a message that waited in the session has been acknowledged."""
        self._from_session.acknowledged(number)

    def ended(self, reason: End) -> None:
        """End the connection because one of its subscriptions has; it may subscribe again."""
        if reason is End.SHUTDOWN and self._client.broker.is_stopping:
            return
        if reason is not End.CLOSED and not self._is_leaving:
            self._client.connection.fail(_ENDS[reason], reason.value)

    def poke(self) -> None:
        """Let feeds send that could not write."""
        self._catching_up.wake()
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.subscription.poke()

    def progress(self) -> tuple[KeptSubscription, ...] | None:
        """Return how far the feeds came, None when nothing has changed since it was asked."""
        now = self._kept()
        if now == self._noted:
            return None
        self._noted = now
        return now

    def _kept(self) -> tuple[KeptSubscription, ...]:
        return tuple(map(self._kept_of, self._feeds.values()))

    def _kept_of(self, feeds: tuple[Feed, ...]) -> KeptSubscription:
        afters = [feed.after for feed in feeds if isinstance(feed, ValuesFeed)]
        lowest = min((after for after in afters if after is not None), default=None)
        first = feeds[0].kept()
        return KeptSubscription(first.filter, first.options, lowest)

    def _kept_relays(self) -> list[RelayFeed]:
        return [
            feed
            for feeds in self._feeds.values()
            for feed in feeds
            if isinstance(feed, RelayFeed) and feed.options.qos
        ]

    async def leave(self) -> None:
        """Close everything, having kept what a kept session gets when it comes back."""
        self._is_leaving = True
        self._catching_up.stop()
        client = self._client
        self.poke()
        try:
            if client.session is not None:
                await self._keep()
        finally:
            for text in tuple(self._feeds):
                self._drop(text)

    async def _keep(self) -> None:
        client = self._client
        session, kept = client.session, client.broker.services.kept
        assert session is not None  # noqa: S101  # Asked for kept sessions only.
        relays = self._kept_relays()
        by_thing: dict[str, list[KeptSubscription]] = {}
        for feed in relays:
            by_thing.setdefault(feed.subscription.holder, []).append(feed.kept())
        try:
            if self._from_session.after:
                await kept.delivered(session.id, up_to=self._from_session.after)
        finally:
            await kept.leave(
                session.id,
                self._kept(),
                # Of what could not be opened again, nobody here knows the things.
                by_thing=None if self._is_resuming else by_thing,
                # Asked at the moment from which on what is relayed waits by itself.
                left=lambda: [message for feed in relays for message in feed.left()],
                expires_after_s=self.expires_after_s,
            )
