"""What one client publishes, and how it is acknowledged: after the durable commit.

`take` is the hot path: a write to a thing whose token was seen lately, with QoS 0 or 1. All
else comes through `publish`, one after the other.
"""

import hashlib
from asyncio import Future, shield
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from thingstead.features.things.model import Thing
from thingstead.features.values.model import Appended, Delivery
from thingstead.kernel.errors import (
    Category,
    StoreUnavailableError,
    ThingsteadError,
)
from thingstead.transports.mqtt.carrying import Message, carry_out, decoder_of_thing
from thingstead.transports.mqtt.codec import MQTTProtocolError, Publish, Pubrel, Reason, encoder
from thingstead.transports.mqtt.refusals import is_for_later, puback_reason
from thingstead.transports.mqtt.relays import RelayedMessage
from thingstead.transports.mqtt.topics import TopicRefusedError, parse_topic

if TYPE_CHECKING:
    from thingstead.transports.mqtt.client import Client

_THINGS = "v2/things/"
_TOKEN_START = len(_THINGS)
_TOPIC_LENGTH = _TOKEN_START + 43
_PUBACK = b"\x40\x02"
_MOST_RECEIVED = 256
_DIGEST_BYTES = 16
_ERRORS = "errors"
_encode = msgspec.json.Encoder().encode


class Publishing:
    """Carries out what one client publishes."""

    __slots__ = (
        "_client",
        "_pubacks",
        "_received",
        "_settled",
        "_write",
        "outstanding",
    )

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._write = client.connection.write
        self._pubacks = b""
        self.outstanding = 0
        """How many writes were taken and are not committed yet."""
        self._settled: Future[None] | None = None
        # Of a session that is not kept: packet ids of QoS 2 between PUBREC and PUBREL.
        self._received: set[int] = set()

    def take(self, packet: Publish) -> bool:
        """Take the message if it is one for the hot path; otherwise nothing has happened."""
        topic = packet.topic
        if len(topic) != _TOPIC_LENGTH or packet.qos > 1 or not topic.startswith(_THINGS):
            return False
        client = self._client
        identity = client.identity
        token = topic[_TOKEN_START:]
        if identity.holder is not None and identity.thing_token != token:
            return False
        services = client.broker.services
        thing = services.things.known(token)
        if thing is None:
            return False
        packet_id = packet.packet_id
        delivery = None
        if packet_id is not None and client.keeps_deliveries:
            delivery = self._delivery(packet)
        try:
            future = services.values.submit_encoded(
                thing, decoder_of_thing(packet.payload), delivery=delivery
            )
        except ThingsteadError:
            # Refused on the ordinary way once more, in its turn and with all that belongs to it.
            return False
        self.outstanding += 1
        future.add_done_callback(partial(self._stored, thing, packet_id))
        return True

    def _stored(self, thing: Thing, packet_id: int | None, future: "Future[Appended]") -> None:
        self.outstanding -= 1
        if future.cancelled():
            error: BaseException | None = StoreUnavailableError()
        else:
            error = future.exception()
        if error is None:
            if packet_id is not None:
                # All of a commit go out in one write for each connection.
                if not self._pubacks:
                    self._client.broker.flush_soon(self)
                self._pubacks += _PUBACK + packet_id.to_bytes(2, "big")
        else:
            known = error if isinstance(error, ThingsteadError) else ThingsteadError()
            self.flush()
            self._refuse(thing, 0 if packet_id is None else 1, packet_id, known)
        if self._settled is not None and not self.outstanding:
            settled, self._settled = self._settled, None
            # Who waited may have been cancelled.
            if not settled.done():
                settled.set_result(None)
        self._client.connection.resume_if_room()

    def flush(self) -> None:
        """Write the PUBACKs that were gathered."""
        if self._pubacks:
            pubacks, self._pubacks = self._pubacks, b""
            self._write(pubacks)

    async def publish(self, packet: Publish) -> None:
        """Carry a message out and acknowledge it.

        Raises:
            MQTTProtocolError: the connection must end.
        """
        client = self._client
        if packet.qos == 2 and client.level == 5:
            raise MQTTProtocolError(Reason.QOS_NOT_SUPPORTED, "at most QoS 1 is served in MQTT 5")
        if packet.properties.topic_alias is not None:
            raise MQTTProtocolError(Reason.TOPIC_ALIAS_INVALID, "topic aliases are not served")
        if packet.qos == 2 and packet.packet_id in self._received:
            self._acknowledge(packet)
            return
        self._check_room(packet)
        message = Message(
            packet.topic,
            packet.payload,
            client.number,
            self._delivery(packet) if client.keeps_deliveries and packet.qos else None,
        )
        try:
            await carry_out(
                client.broker,
                client.identity,
                message,
                client.address,
                # A client of MQTT 5 is told; any other is read no further for a while.
                waits_for_rate=client.level < 5 or not packet.qos,
            )
        except TopicRefusedError as refused:
            await self.settle()
            self._refuse_topic(packet, refused)
        except ThingsteadError as error:
            await self.settle()
            await self._refuse_late(packet, error)
        else:
            if packet.qos == 2 and packet.packet_id is not None:
                self._received.add(packet.packet_id)
            await self.settle()
            self._acknowledge(packet)

    async def release(self, packet: Pubrel) -> None:
        """Finish a QoS 2 message; its packet id is free from then on."""
        client = self._client
        self._received.discard(packet.packet_id)
        if client.session is not None and client.keeps_deliveries:
            await client.broker.services.deliveries.release(client.session.id, packet.packet_id)
        self._write(encoder.pubcomp(client.level, packet.packet_id))

    def _check_room(self, packet: Publish) -> None:
        if packet.qos == 2 and len(self._received) >= _MOST_RECEIVED:
            raise MQTTProtocolError(
                Reason.RECEIVE_MAXIMUM_EXCEEDED,
                f"at most {_MOST_RECEIVED} QoS 2 messages may wait for their PUBREL",
            )

    async def settle(self) -> None:
        """Wait until what was taken before is acknowledged: PUBACKs keep their order (4.6)."""
        while self.outstanding:
            if self._settled is None:
                self._settled = self._client.broker.loop.create_future()
            # Several may wait; that one of them gives up is no matter of the others.
            await shield(self._settled)
        self.flush()

    def _delivery(self, packet: Publish) -> Delivery:
        session, packet_id = self._client.session, packet.packet_id
        assert session is not None  # noqa: S101  # Asked for kept sessions only.
        assert packet_id is not None  # noqa: S101  # QoS 1 and 2 have one.
        digest = hashlib.sha256(packet.topic.encode("utf-8") + b"\0" + packet.payload).digest()
        return Delivery(
            session.id, packet_id, packet.qos, digest[:_DIGEST_BYTES], packet.is_duplicate
        )

    def _acknowledge(self, packet: Publish, reason: int = 0, text: str = "") -> None:
        if packet.packet_id is None:
            return
        client = self._client
        answer = encoder.puback if packet.qos == 1 else encoder.pubrec
        self._write(answer(client.level, packet.packet_id, reason, client.told(text)))

    def _refuse_topic(self, packet: Publish, refused: TopicRefusedError) -> None:
        client = self._client
        if client.level < 5 or not packet.qos:
            client.broker.note_refusal(None, "topic")
            raise MQTTProtocolError(refused.reason, str(refused))
        self._acknowledge(packet, refused.reason, str(refused))

    async def _refuse_late(self, packet: Publish, error: ThingsteadError) -> None:
        thing = None
        if error.category not in {Category.NOT_FOUND, Category.FORBIDDEN, Category.TOO_MANY}:
            try:
                token = parse_topic(packet.topic).token
                thing = await self._client.broker.services.things.resolve(token, address=None)
            except ThingsteadError as gone:
                error = gone
        self._refuse(thing, packet.qos, packet.packet_id, error)

    def _refuse(
        self, thing: Thing | None, qos: int, packet_id: int | None, error: ThingsteadError
    ) -> None:
        """Say no in the way that the client's version has.

        What may succeed later is not acknowledged: the connection ends, and the client sends
        it again. In MQTT 3 what can never succeed must be acknowledged all the same, or the
        client would send it for ever; who listens to the thing's `errors` is told why.
        """
        client = self._client
        client.broker.note_refusal(None if thing is None else thing.id, error.code)
        if is_for_later(error):
            client.connection.fail(Reason.SERVER_BUSY, str(error))
            return
        if thing is not None:
            self._tell(thing, error)
        is_told = client.level == 5 and packet_id is not None
        if not is_told and thing is None:
            client.connection.fail(puback_reason(error), str(error))
            return
        if packet_id is not None:
            answer = encoder.puback if qos == 1 else encoder.pubrec
            reason = puback_reason(error) if is_told else 0
            text = client.told(str(error)) if is_told else ""
            self._write(answer(client.level, packet_id, reason, text))

    def _tell(self, thing: Thing, error: ThingsteadError) -> None:
        bus = self._client.broker.services.bus
        document = {"status": "error", "code": error.code, "message": str(error)}
        told = RelayedMessage(thing.id, _ERRORS, _encode(document))
        if bus.has_listener(told.topic):
            bus.publish(told)
