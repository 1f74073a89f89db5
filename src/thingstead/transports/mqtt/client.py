"""Who a connection belongs to, from its CONNECT to its end.

Holds the parts that speak for the client: what it publishes (`publishing.py`), what it
subscribes to (`subscribing.py`), what waits for its PUBACK (`outbox.py`), its will.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thingstead.features.kept_sessions.model import Holder, KeptSession, KeptSubscription
from thingstead.features.users.model import Caller
from thingstead.transports.mqtt.broker import Broker
from thingstead.transports.mqtt.codec import (
    NO_PROPERTIES,
    Connect,
    Disconnect,
    Properties,
    Reason,
    Will,
    encoder,
)
from thingstead.transports.mqtt.outbox import Outbox
from thingstead.transports.mqtt.publishing import Publishing
from thingstead.transports.mqtt.subscribing import Subscribing
from thingstead.transports.mqtt.wills import publish_will

if TYPE_CHECKING:
    from thingstead.transports.mqtt.connection import MQTTConnection

# A SUBACK of a packet with all filters that a client may have, without its reason.
_AROUND_REASONS = 128


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose credential came with CONNECT; an anonymous client has neither.

    `thing_token`: topics of other things are refused. `session_token` with `caller`: an app
    user, who may subscribe to resources and publishes nothing.
    """

    holder: Holder | None = None
    thing_token: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    caller: Caller | None = None


class Client:
    """One connected client."""

    def __init__(
        self,
        broker: Broker,
        connection: "MQTTConnection",
        connect: Connect,
        identity: Identity,
        *,
        address: str,
        client_id: str,
        session: KeptSession | None,
        is_present: bool,
    ) -> None:
        limits = broker.limits
        properties = connect.properties
        self.broker = broker
        self.connection = connection
        self.identity = identity
        self.address = address
        self.level = connect.level
        self.number = broker.next_number()
        self.will: Will | None = connect.will
        self.session = session
        self.client_id = client_id
        self.keeps_deliveries = session is not None and session.expires_after_s > 0
        """Whether what it sends again after a cut connection must be recognised."""
        self.most_packet_bytes = properties.maximum_packet_bytes or 2**28
        self.keep_alive_s = connect.keep_alive_s
        window = min(properties.receive_maximum or 65_535, limits.inflight)
        self.outbox = Outbox(window, last_id=secrets.randbelow(65_535))
        self.publishing = Publishing(self)
        self.subscribing = Subscribing(self)
        self._is_present = is_present
        self._has_own_id = bool(connect.client_id)
        self._session_expiry_s = properties.session_expiry_s
        self._gives_problems = properties.request_problem_information != 0
        if self.level == 5:
            longest = limits.longest_keep_alive_s
            self.keep_alive_s = min(connect.keep_alive_s or longest, longest)
        self._asked_keep_alive_s = connect.keep_alive_s

    async def begin(self) -> None:
        """Answer the CONNECT, and go on where a kept session was left.

        Raises:
            ThingsteadError: where it was left cannot be read just now.
        """
        packet = encoder.connack(
            self.level,
            session_present=self._is_present,
            properties=self._welcome() if self.level == 5 else NO_PROPERTIES,
        )
        if len(packet) > self.most_packet_bytes:
            # Such a client can be told nothing (MQTT 5, 3.1.2.11.4).
            self.connection.close()
            return
        self.connection.write(packet)
        if self.session is not None and self._is_present:
            await self.subscribing.resume(self.session.subscriptions)

    def _welcome(self) -> Properties:
        limits = self.broker.limits
        kept_s = 0 if self.session is None else self.session.expires_after_s
        changed = kept_s != (self._session_expiry_s or 0)
        return Properties(
            session_expiry_s=kept_s if changed else None,
            receive_maximum=limits.inflight,
            maximum_qos=1,
            retain_available=0,
            maximum_packet_bytes=limits.packet_bytes,
            assigned_client_id=None if self._has_own_id else self.client_id,
            server_keep_alive_s=(
                self.keep_alive_s if self.keep_alive_s != self._asked_keep_alive_s else None
            ),
            shared_subscription_available=0,
        )

    def told(self, text: str) -> str:
        """Return the text if the client takes reason strings in answers, else nothing."""
        return self.told_last(text) if self._gives_problems else ""

    def told_last(self, text: str) -> str:
        """Return the text if a DISCONNECT may hold it, which is less often refused (3.1.2.11.7)."""
        is_short = len(text.encode("utf-8")) + _AROUND_REASONS <= self.most_packet_bytes
        return text if self.level == 5 and is_short else ""

    def say_goodbye(self, packet: Disconnect) -> None:
        """Take the client's DISCONNECT: only with reason 4 its will is published."""
        if packet.reason != Reason.DISCONNECT_WITH_WILL:
            self.will = None
        expiry_s = packet.properties.session_expiry_s
        if expiry_s is not None and self.session is not None:
            # 0 at CONNECT may not become more now (MQTT 5, 3.14.2.2.2).
            self.subscribing.expires_after_s = min(expiry_s, self.broker.limits.session_s)

    def poke(self) -> None:
        """Let events go out that were held back."""
        self.subscribing.poke()

    def progress_to_note(self) -> tuple[str, tuple[KeptSubscription, ...]] | None:
        """Return how far the kept session came since that was asked last, None for nowhere."""
        if self.session is None:
            return None
        moved = self.subscribing.progress()
        return None if moved is None else (self.session.id, moved)

    def leave(self) -> "asyncio.Task[None]":
        """End: publish the will if the client was lost, keep its session if it is kept.

        Returns what keeps the session; the will takes its time beside it.
        """
        if self.will is not None:
            will = publish_will(self.broker, self.identity, self.will, self.address)
            self.broker.spawn(will)
        return self.broker.spawn(self._leave())

    async def _leave(self) -> None:
        try:
            await self.subscribing.leave()
        finally:
            identity = self.identity
            if identity.holder is not None:
                self.broker.forget(identity.holder, self.client_id, self.connection)
