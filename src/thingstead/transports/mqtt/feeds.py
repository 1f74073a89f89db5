"""What goes out to one subscription: values of a thing, of a resource, or relayed messages.

A feed is called by the hub when there is something to take (`live/subscription.py`), takes as
much as the client's window has room for, and writes it in one piece. An event is encoded once
for all clients with the same topic.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from thingstead.features.kept_sessions.model import KeptSubscription, WaitingMessage
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Event
from thingstead.features.live.subscription import Overflow, Subscription, SubscriptionEndedError
from thingstead.features.streams.service import Stream
from thingstead.transports.mqtt.codec import NO_PROPERTIES, Properties, encoder
from thingstead.transports.mqtt.outgoing import Outgoing
from thingstead.transports.mqtt.progress import Progress
from thingstead.transports.mqtt.relays import RelayedMessage
from thingstead.transports.mqtt.topics import FilterTarget

if TYPE_CHECKING:
    from thingstead.transports.mqtt.client import Client

_AT_ONCE = 64
_QOS = 1
_NO_LOCAL = 2
_ID_SHIFT = 2


class Options:
    """How a subscription wants to be served; one number when it is kept."""

    __slots__ = ("identifier", "is_no_local", "qos")

    def __init__(
        self, qos: int, *, is_no_local: bool = False, identifier: int | None = None
    ) -> None:
        self.qos = qos
        self.is_no_local = is_no_local
        self.identifier = identifier

    @property
    def number(self) -> int:
        """The options as one number."""
        return self.qos | self.is_no_local << 1 | (self.identifier or 0) << _ID_SHIFT

    @classmethod
    def of(cls, number: int) -> "Options":
        """Return the options that a number stands for."""
        return cls(
            number & _QOS,
            is_no_local=bool(number & _NO_LOCAL),
            identifier=number >> _ID_SHIFT or None,
        )


class Feed(ABC):
    """One filter's way out; what is sent is the business of its kinds below."""

    __slots__ = ("_client", "_holds", "_properties", "_rest", "filter", "options", "target")

    def __init__(self, client: "Client", text: str, target: FilterTarget, options: Options) -> None:
        self._client = client
        self.filter = text
        self.target = target
        self._holds = 0
        # Messages of an event that was taken, for which the client's window had no room.
        self._rest: deque[tuple[bytes, bytes, Callable[[], None]]] = deque()
        self.change(options)

    def change(self, options: Options) -> None:
        """Serve as the client asks now: it subscribed to the same filter once more."""
        self.options = options
        self._properties = (
            NO_PROPERTIES
            if options.identifier is None or self._client.level < 5
            else Properties(subscription_identifiers=(options.identifier,))
        )

    @property
    @abstractmethod
    def subscription(self) -> Subscription:
        """Its place in the hub."""

    def open(self) -> None:
        """Begin to send."""
        self.subscription.push_to(self.ready)

    @property
    def is_behind(self) -> bool:
        """Whether something of the last event is still to be sent."""
        return bool(self._rest)

    def ready(self) -> None:
        """Take what there is and send it; called by the hub."""
        client, subscription = self._client, self.subscription
        if subscription.takes_recheck():
            self._holds += 1
            client.broker.spawn(self._recheck())
            return
        is_held = self._holds or self._rest or not client.connection.is_writable
        if subscription.ended is None and is_held:
            return
        room = _AT_ONCE
        if self.options.qos:
            room = min(room, client.outbox.room)
            if room <= 0 and subscription.ended is None:
                client.outbox.call_when_room(subscription.poke)
                return
        try:
            events = subscription.take(room)
        except SubscriptionEndedError as ended:
            client.subscribing.ended(ended.reason)
            return
        self.send(events)

    def send(self, events: list[Event]) -> None:
        """Send the events, in one piece; with QoS 1 there must be room for them."""
        pieces: list[bytes] = []
        for event in events:
            self.add(event, pieces)
        if pieces:
            self._client.connection.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._rest:
            self._client.outbox.call_when_room(self._send_rest)

    def _send_rest(self) -> None:
        outbox, rest = self._client.outbox, self._rest
        if self.subscription.ended is None:
            while rest and outbox.room > 0:
                self._client.connection.write(self._packet(*rest.popleft()))
            if rest:
                outbox.call_when_room(self._send_rest)
        if not rest:
            self.subscription.poke()

    @abstractmethod
    def add(self, event: Event, pieces: list[bytes]) -> None:
        """Append the packets of an event."""

    async def _recheck(self) -> None:
        try:
            await self.recheck()
        finally:
            # There may be more of these at once, and the last one counts.
            self._holds -= 1
        self.subscription.poke()

    @abstractmethod
    async def recheck(self) -> None:
        """Look at the right once more."""

    @abstractmethod
    def close(self) -> None:
        """Let go."""

    def kept(self) -> KeptSubscription:
        """Return what a kept session keeps of it."""
        return KeptSubscription(self.filter, self.options.number)

    def _packet(
        self, topic: bytes, payload: bytes, on_acknowledged: Callable[[], None] | None
    ) -> bytes:
        client = self._client
        packet_id = None
        if on_acknowledged is not None:
            packet_id = client.outbox.add(on_acknowledged)
        return encoder.publish(
            client.level,
            topic,
            payload,
            qos=0 if packet_id is None else 1,
            packet_id=packet_id,
            properties=self._properties,
        )

    def _fits(self, topic: bytes, payload: bytes) -> bool:
        most = self._client.most_packet_bytes
        # Head, topic's length, packet id and properties take less than this.
        if len(topic) + len(payload) + 32 <= most:
            return True
        packet_id = 1 if self.options.qos else None
        packet = encoder.publish(
            self._client.level,
            topic,
            payload,
            qos=self.options.qos,
            packet_id=packet_id,
            properties=self._properties,
        )
        return len(packet) <= most


class ValuesFeed(Feed):
    """Values of a thing, of one of its resources, or of a user's resource."""

    __slots__ = ("_outgoing", "_progress", "_stream")

    def __init__(
        self,
        client: "Client",
        text: str,
        target: FilterTarget,
        options: Options,
        *,
        stream: Stream,
        outgoing: Outgoing,
        after: int | None,
    ) -> None:
        super().__init__(client, text, target, options)
        self._stream = stream
        self._outgoing = outgoing
        self._progress = None if after is None else Progress(after)

    @property
    def subscription(self) -> Subscription:
        """Its place in the hub."""
        return self._stream.subscription

    @property
    def stream(self) -> Stream:
        """The stream, for what was missed."""
        return self._stream

    def add(self, event: Event, pieces: list[bytes]) -> None:
        """Append the packets of an event."""
        stream = self._stream
        if not isinstance(event, LiveEvent) or not stream.accepts(event):
            return
        messages = [one for one in self._outgoing.messages(event) if self._fits(one[0], one[2])]
        if self.options.qos:
            self._add_surely(event, messages, pieces)
        elif self._properties is NO_PROPERTIES:
            for topic, name, payload in messages:
                pieces.append(self._shared_packet(event, topic, name, payload))
        else:
            pieces += [self._packet(topic, payload, None) for topic, _, payload in messages]

    def _add_surely(
        self, event: LiveEvent, messages: list[tuple[bytes, str, bytes]], pieces: list[bytes]
    ) -> None:
        """Append the packets with QoS 1 that there is room for; the others wait for room."""
        progress = self._progress
        acknowledged: Callable[[], None] = _nothing
        if progress is not None and messages:
            progress.sent(event.sequence, len(messages))
            acknowledged = partial(progress.acknowledged, event.sequence)
        elif progress is not None:
            progress.passed(event.sequence)
        outbox = self._client.outbox
        for topic, _, payload in messages:
            if self._rest or outbox.room <= 0:
                self._rest.append((topic, payload, acknowledged))
            else:
                pieces.append(self._packet(topic, payload, acknowledged))

    def _shared_packet(self, event: LiveEvent, topic: bytes, name: str, payload: bytes) -> bytes:
        name = f"{'mqtt5' if self._client.level == 5 else 'mqtt'}:{name}"
        packet = event.encodings.get(name)
        if packet is None:
            packet = encoder.publish_qos0(self._client.level, topic, payload)
            event.encodings[name] = packet
        return packet

    async def recheck(self) -> None:
        """Look at the right once more."""
        await self._stream.recheck()

    def close(self) -> None:
        """Let go."""
        self._stream.close()

    def begin_behind(self, after: int | None) -> None:
        """Keep from here on how far the client came, unless that is kept already.

        None is for a client that does not want any longer what it missed.
        """
        if after is None:
            self._progress = None
        elif self._progress is None:
            self._progress = Progress(after)

    def passed(self, sequence: int) -> None:
        """Note that there was nothing up to the sequence."""
        if self._progress is not None:
            self._progress.passed(sequence)

    @property
    def after(self) -> int | None:
        """Behind which sequence to begin again, None when missed values are not wanted."""
        return None if self._progress is None else self._progress.after

    def kept(self) -> KeptSubscription:
        """Return what a kept session keeps of it."""
        return KeptSubscription(self.filter, self.options.number, self.after)


class RelayFeed(Feed):
    """Messages on a thing's sub-topics, as they were published."""

    __slots__ = ("_base", "_right", "_unacknowledged")

    def __init__(
        self,
        client: "Client",
        text: str,
        target: FilterTarget,
        options: Options,
        *,
        right: Stream,
    ) -> None:
        super().__init__(client, text, target, options)
        # A stream of the thing, turned to what is relayed: the right is the same.
        self._right = right
        # What the client is too slow for, or the server stops before, a kept session keeps.
        right.subscription.overflow = Overflow.KEEP
        self._base = f"{target.slash}v2/things/{target.token}/"
        self._unacknowledged: dict[int, RelayedMessage] = {}

    @property
    def subscription(self) -> Subscription:
        """Its place in the hub."""
        return self._right.subscription

    def wants(self, event: Event) -> bool:
        """Return whether a relayed message is for this filter."""
        return (
            isinstance(event, RelayedMessage)
            and not (self.options.is_no_local and event.origin == self._client.number)
            and self.target.covers(f"v2/things/{self.target.token}/{event.rest}")
        )

    def add(self, event: Event, pieces: list[bytes]) -> None:
        """Append the packets of an event."""
        if not isinstance(event, RelayedMessage):
            return
        topic = (self._base + event.rest).encode("utf-8")
        if not self._fits(topic, event.payload):
            # As if it had been delivered (MQTT 5, 3.1.2.11.4).
            self._acknowledged(event)
            return
        acknowledged = None
        if self.options.qos:
            self._unacknowledged[id(event)] = event
            acknowledged = partial(self._acknowledged, event)
        pieces.append(self._packet(topic, event.payload, acknowledged))

    def _acknowledged(self, event: RelayedMessage) -> None:
        self._unacknowledged.pop(id(event), None)
        if event.number:
            self._client.subscribing.delivered(event.number)

    def left(self) -> list[WaitingMessage]:
        """Return what the client did not acknowledge, and what waited for it, in order."""
        events = [*self._unacknowledged.values(), *self.subscription.left()]
        return [
            WaitingMessage(event.rest, event.payload)
            for event in events
            if isinstance(event, RelayedMessage) and not event.number
        ]

    async def recheck(self) -> None:
        """Look at the right once more."""
        await self._right.recheck()

    def close(self) -> None:
        """Let go."""
        self._right.close()


def _nothing() -> None:
    """Nobody keeps how far this subscription came."""
