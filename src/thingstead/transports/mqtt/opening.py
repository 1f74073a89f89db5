"""From a filter to its feeds, with the right that each of them needs."""

from typing import TYPE_CHECKING

from thingstead.features.users.errors import InvalidSessionError
from thingstead.features.users.model import Caller
from thingstead.kernel.ids import ThingId
from thingstead.transports.mqtt.carrying import NotForThisClientError
from thingstead.transports.mqtt.feeds import Feed, Options, RelayFeed, ValuesFeed
from thingstead.transports.mqtt.outgoing import (
    EachResource,
    OneResource,
    Outgoing,
    UsersResource,
    WholeWrites,
)
from thingstead.transports.mqtt.relays import relay_topic
from thingstead.transports.mqtt.topics import FilterTarget, TopicKind

if TYPE_CHECKING:
    from thingstead.transports.mqtt.client import Client


async def open_feeds(
    client: "Client", text: str, target: FilterTarget, options: Options, after: int | None
) -> tuple[Feed, ...]:
    """Return the feeds of a filter; none of them sends yet."""
    if target.kind is TopicKind.USER_RESOURCE:
        return (await _open_resource(client, text, target, options, after),)
    identity = client.identity
    if identity.session_token is not None:
        raise NotForThisClientError("an app user subscribes to v2/me/resources/RESOURCE")
    if identity.thing_token is not None and identity.thing_token != target.token:
        raise NotForThisClientError("the filter holds another token than the connection")
    opened: list[Feed] = []
    try:
        for outgoing, key in _values_of(target):
            stream = await client.broker.services.streams.of_thing(
                target.token, address=client.address, key=key
            )
            opened.append(
                ValuesFeed(
                    client,
                    text,
                    target,
                    options,
                    stream=stream,
                    outgoing=outgoing,
                    after=after,
                )
            )
        if wants_relayed(target):
            right = await client.broker.services.streams.of_thing(
                target.token, address=client.address
            )
            feed = RelayFeed(client, text, target, options, right=right)
            right.subscription.accepts = feed.wants
            right.subscription.follow((relay_topic(thing_id_of(right.subscription.holder)),))
            opened.append(feed)
    except BaseException:
        for one in opened:
            one.close()
        raise
    return tuple(opened)


async def _open_resource(
    client: "Client", text: str, target: FilterTarget, options: Options, after: int | None
) -> Feed:
    identity, services = client.identity, client.broker.services
    token = identity.session_token
    if token is None:
        raise InvalidSessionError("connect with a session token as user name or password")

    async def again() -> Caller:
        return await services.sessions.authenticate(token, address=None)

    stream = await services.streams.of_resource(await again(), again, target.name)
    outgoing = UsersResource(f"{target.slash}{target.filter}", target.name)
    return ValuesFeed(client, text, target, options, stream=stream, outgoing=outgoing, after=after)


def _values_of(target: FilterTarget) -> list[tuple[Outgoing, str | None]]:
    """Return how values go out for a filter, and of which key; none for what is only relayed."""
    base = f"{target.slash}v2/things/{target.token}"
    if target.kind is TopicKind.THING:
        return [(WholeWrites(base), None)]
    if target.kind is TopicKind.RESOURCE:
        return [(OneResource(f"{base}/resources/{target.name}", target.name), target.name)]
    if target.kind is not TopicKind.SUBTREE:
        return []
    if target.name in {"resources/#", "resources/+"}:
        return [(EachResource(base), None)]
    return [(WholeWrites(base), None)] if target.name == "#" else []


def wants_relayed(target: FilterTarget) -> bool:
    """Return whether relayed messages go to the filter."""
    if target.kind is TopicKind.RELAYED:
        return True
    return target.kind is TopicKind.SUBTREE and not target.name.startswith("resources/")


def thing_id_of(holder: str) -> ThingId:
    """Return the thing that a stream of a thing belongs to."""
    return ThingId(holder)
