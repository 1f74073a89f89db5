"""CONNECT: whose credential it brings, which session it goes on with.

An anonymous client is known by the tokens in its topics alone: it always gets a clean session
and takes nobody's place (`rulings.md`, Transports). A token in the user name or the password
makes it a client whose session can be kept.
"""

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from thingstead.features.kept_sessions.model import Holder, HolderKind, KeptSession
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.kernel.ids import is_session_shaped, is_token_shaped
from thingstead.transports.mqtt.broker import Broker
from thingstead.transports.mqtt.client import Client, Identity
from thingstead.transports.mqtt.codec import Connect, Reason, Will
from thingstead.transports.mqtt.topics import TopicRefusedError
from thingstead.transports.mqtt.wills import check_will

if TYPE_CHECKING:
    from thingstead.transports.mqtt.connection import MQTTConnection

_MQTT_3_SESSION_S = 2**31


class RefusedError(Exception):
    """The connection is refused for a reason that only MQTT has; `reason` is that of MQTT 5."""

    def __init__(self, reason: int, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


async def introduce(
    broker: Broker, connection: "MQTTConnection", connect: Connect, address: str
) -> Client:
    """Return the client that the CONNECT introduces; nothing is sent to it yet.

    Raises:
        RefusedError: MQTT itself says no.
        ThingsteadError: the credential is unknown, too many were, or the store is not there.
    """
    if connect.properties.authentication_method is not None:
        raise RefusedError(Reason.BAD_AUTHENTICATION_METHOD, "there are no such methods here")
    if not connect.client_id and not connect.is_clean and connect.level == 4:
        # MQTT 3.1.1, 3.1.3-8: a session could never be found again.
        raise RefusedError(Reason.CLIENT_ID_NOT_VALID, "a kept session needs a client identifier")
    if connect.will is not None and connect.level == 5:
        _check_served(connect.will)
    identity = await _identify(broker, connect, address)
    if connect.will is not None:
        try:
            await check_will(broker, identity, connect.will, address)
        except TopicRefusedError as exc:
            raise RefusedError(exc.reason, f"will topic: {exc}") from exc
    client_id = connect.client_id or secrets.token_hex(12)
    session, is_present = None, False
    if identity.holder is not None:
        try:
            session, is_present = await _take_over(
                broker, connection, connect, identity.holder, client_id=client_id
            )
        except BaseException:
            broker.forget(identity.holder, client_id, connection)
            raise
    return Client(
        broker,
        connection,
        _without_dead_keep_alive(connect),
        identity,
        address=address,
        client_id=client_id,
        session=session,
        is_present=is_present,
    )


async def _take_over(
    broker: Broker,
    connection: "MQTTConnection",
    connect: Connect,
    holder: Holder,
    *,
    client_id: str,
) -> tuple[KeptSession | None, bool]:
    """Take the place of the same client's connection, and return its session."""
    before = broker.take_over(holder, client_id, connection)
    if before is not None:
        await before.give_way()
    if not broker.holds(holder, client_id, connection):
        # It connected once more meanwhile; the session is for that connection.
        raise RefusedError(Reason.SERVER_UNAVAILABLE, "the same client connected anew")
    return await _session(broker, holder, connect, client_id)


def _without_dead_keep_alive(connect: Connect) -> Connect:
    # A keep-alive of a second would end connections in every hiccup of a network.
    return (
        replace(connect, keep_alive_s=max(connect.keep_alive_s, 2))
        if (connect.keep_alive_s and connect.level < 5)
        else connect
    )


def _check_served(will: Will) -> None:
    """MQTT 5, 3.2.2-12 and -13; MQTT 3 has no way to learn what is served."""
    if will.qos > 1:
        raise RefusedError(Reason.QOS_NOT_SUPPORTED, "a will has at most QoS 1 in MQTT 5")
    if will.retain:
        raise RefusedError(Reason.RETAIN_NOT_SUPPORTED, "no message is retained here")


async def _session(
    broker: Broker, holder: Holder, connect: Connect, client_id: str
) -> tuple[KeptSession | None, bool]:
    asked = connect.properties.session_expiry_s
    if connect.level < 5:
        expires_after_s = 0 if connect.is_clean else _MQTT_3_SESSION_S
    else:
        expires_after_s = asked or 0
    session, is_present = await broker.services.kept.open(
        holder,
        client_id,
        is_clean=connect.is_clean,
        expires_after_s=min(expires_after_s, broker.limits.session_s),
    )
    # One that is not to be kept, but was, is served once more and ends with the connection.
    is_kept = is_present or session.expires_after_s > 0
    return (session if is_kept else None), is_present


async def _identify(broker: Broker, connect: Connect, address: str) -> Identity:
    texts = [_text(connect.password), connect.user_name or ""]
    given = [text for text in texts if text]
    if not given:
        return Identity()
    services = broker.services
    for text in given:
        if is_session_shaped(text):
            caller = await services.sessions.authenticate(text, address=address)
            holder = Holder(HolderKind.USER, caller.user.id)
            return Identity(holder, session_token=text, caller=caller)
        if is_token_shaped(text):
            thing = await services.things.resolve(text, address=address)
            return Identity(Holder(HolderKind.THING, thing.id), thing_token=text)
    # Neither is a token; the thing service says so, and counts the guess.
    await services.things.resolve(given[0], address=address)
    raise ThingNotFoundError


def _text(password: bytes | None) -> str:
    return "" if password is None else password.decode("utf-8", "replace")
