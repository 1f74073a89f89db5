"""What a published message does: it is written to a thing, or passed on to who listens.

Both end where everything ends: values in `Values.submit_encoded`, relayed messages on the bus
and, for subscribers that are away, in their kept sessions.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from thingstead.features.kept_sessions.model import WaitingMessage
from thingstead.features.things.model import Thing
from thingstead.features.values.model import Delivery, IncomingValue, IncomingWrite
from thingstead.kernel.errors import (
    Category,
    InvalidBodyError,
    OverloadedError,
    ThingsteadError,
    TooManyRequestsError,
)
from thingstead.transports.mqtt.relays import RelayedMessage
from thingstead.transports.mqtt.topics import Target, TopicKind, parse_filter, parse_topic
from thingstead.transports.wire.json_bodies import decode_any, decode_write
from thingstead.transports.wire.msgpack_bodies import decode_msgpack_write

if TYPE_CHECKING:
    from thingstead.transports.mqtt.broker import Broker
    from thingstead.transports.mqtt.client import Identity

_SHORTEST_NAP_S = 0.02
_LONGEST_NAP_S = 1.0
_PATIENCE_S = 30.0
_MAPS = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})


class NotForThisClientError(ThingsteadError):
    """The topic belongs to nobody that this client speaks for."""

    category = Category.FORBIDDEN
    code = "not-for-this-client"
    message = "Topic is not for this client"
    advice = (
        "A client that connects with a thing token uses that token in its topics; an app user"
        " subscribes to v2/me/resources/RESOURCE and publishes nothing."
    )


@dataclass(frozen=True, slots=True)
class Message:
    """A message to carry out; `origin` is the connection that it came by."""

    topic: str = field(repr=False)
    payload: bytes = field(repr=False)
    origin: int = 0
    delivery: Delivery | None = None


async def check_address(
    broker: "Broker", identity: "Identity", target: Target, address: str
) -> Thing:
    """Return the thing that a topic to publish to belongs to.

    Raises:
        NotForThisClientError: nothing can be published there, or not by this client.
        ThingNotFoundError, TooManyRequestsError: as `Things.resolve`.
    """
    if not target.token or identity.session_token is not None:
        raise NotForThisClientError("nothing can be published there")
    if identity.thing_token is not None and identity.thing_token != target.token:
        raise NotForThisClientError("the topic holds another token than the connection")
    return await broker.services.things.resolve(target.token, address=address)


async def carry_out(
    broker: "Broker",
    identity: "Identity",
    message: Message,
    address: str,
    *,
    waits_for_rate: bool = True,
) -> Thing:
    """Carry the message out, durably; return whose it was.

    While the server is busy it waits, and so does everything behind it on its connection;
    also, with `waits_for_rate`, while the thing sends faster than it may.

    Raises:
        TopicRefusedError: the topic addresses nothing.
        ThingsteadError: the message is refused; nothing of it was stored.
    """
    target = parse_topic(message.topic)
    thing = await check_address(broker, identity, target, address)

    async def write() -> None:
        decode = decoder_of(target, message.payload)
        await broker.services.values.submit_encoded(thing, decode, delivery=message.delivery)

    async def admit() -> None:
        _check_relay_rate(broker, thing)

    if target.kind is TopicKind.RELAYED:
        await _patiently(broker, admit, waits_for_rate=waits_for_rate)
        await relay(broker, thing, target.name, message)
    else:
        await _patiently(broker, write, waits_for_rate=waits_for_rate)
    return thing


async def _patiently(
    broker: "Broker", attempt: Callable[[], Awaitable[None]], *, waits_for_rate: bool
) -> None:
    """Attempt it until the server is not busy, and with `waits_for_rate` the thing not too fast."""
    nap_s = _SHORTEST_NAP_S
    end = broker.now() + _PATIENCE_S
    while True:
        try:
            return await attempt()
        except OverloadedError:
            if broker.now() >= end:
                raise
            await asyncio.sleep(nap_s)
            nap_s = min(nap_s * 2, _LONGEST_NAP_S)
        except TooManyRequestsError as error:
            if not waits_for_rate or broker.now() >= end:
                raise
            await asyncio.sleep(min(error.retry_after_s or 1, _LONGEST_NAP_S))


def _check_relay_rate(broker: "Broker", thing: Thing) -> None:
    wait_s = broker.relays.take(thing.id, broker.now())
    if wait_s > 0:
        raise TooManyRequestsError(
            f"at most {broker.relays.rate.per_second:g} relayed messages of one thing in a second",
            retry_after_s=int(wait_s) + 1,
        )


async def relay(broker: "Broker", thing: Thing, rest: str, message: Message) -> None:
    """Pass a message on to who listens now, and let it wait for who is away.

    Raises:
        ThingsteadError: it could not be kept for who is away.
    """
    services = broker.services
    passed_on = RelayedMessage(thing.id, rest, message.payload, message.origin)
    # In one turn of the loop, so that nobody can leave in between and hear of it in neither way.
    kept = {
        session_id: WaitingMessage(rest, message.payload)
        for session_id, subscription in services.kept.away_for(thing.id)
        if _wants(subscription.filter, rest)
    }
    is_heard = services.bus.has_listener(passed_on.topic)
    if is_heard:
        services.bus.publish(passed_on)
    if kept:
        waiting = list(kept.items())
        # Again and again this alone: who listens has got it.
        await _patiently(broker, partial(services.kept.keep, waiting), waits_for_rate=False)
    elif is_heard:
        # Who listens takes it before the next one comes: many may have come in one read.
        await asyncio.sleep(0)


def _wants(filter_text: str, rest: str) -> bool:
    target = parse_filter(filter_text)
    return target.covers(f"v2/things/{target.token}/{rest}")


def decoder_of(target: Target, payload: bytes) -> Callable[[], IncomingWrite]:
    """Return what decodes a payload published to a thing or to one of its resources."""
    if target.kind is TopicKind.RESOURCE:
        return partial(_write_of_resource, target.name, payload)
    return decoder_of_thing(payload)


def decoder_of_thing(payload: bytes) -> Callable[[], IncomingWrite]:
    """Return what decodes a payload published to a thing: JSON, or MessagePack if it is a map."""
    if payload and payload[0] in _MAPS:
        return partial(decode_msgpack_write, payload)
    return partial(decode_write, payload)


def _write_of_resource(key: str, payload: bytes) -> IncomingWrite:
    """Return the write of one resource: a write's object, a value's object, or a bare value."""
    try:
        sent = decode_any(payload)
    except ThingsteadError:
        return IncomingWrite([IncomingValue(key, _as_text(payload))])
    if isinstance(sent, dict) and isinstance(sent.get("values"), list):
        return IncomingWrite([_value_of(key, member) for member in sent["values"]])
    return IncomingWrite([_value_of(key, sent)])


def _value_of(key: str, sent: object) -> IncomingValue:
    if isinstance(sent, dict) and "value" in sent:
        return IncomingValue(key, sent["value"], sent.get("geo"), sent.get("datetime"))
    return IncomingValue(key, sent)


def _as_text(payload: bytes) -> str:
    if payload[:1] in {b"{", b"["}:
        raise InvalidBodyError("it begins like JSON, but is none")
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidBodyError("it is neither JSON nor a text in UTF-8") from exc
