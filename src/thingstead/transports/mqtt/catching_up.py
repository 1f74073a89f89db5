"""Sending what a kept session missed, before it is live again.

First what waits in the session itself, then the values behind the place of each subscription.
Nothing is sent beyond the client's window, so what was missed is never in memory as a whole.
"""

from asyncio import Future
from contextlib import aclosing
from typing import TYPE_CHECKING

from thingstead.features.kept_sessions.model import WaitingMessage
from thingstead.features.live.model import End
from thingstead.features.live.subscription import SubscriptionEndedError
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.mqtt.codec import Reason
from thingstead.transports.mqtt.feeds import Feed, RelayFeed, ValuesFeed
from thingstead.transports.mqtt.opening import thing_id_of
from thingstead.transports.mqtt.relays import RelayedMessage

if TYPE_CHECKING:
    from thingstead.transports.mqtt.client import Client

_WAITING_PAGE = 100


class _LeftError(Exception):
    """The client is gone, or is being sent away."""


class CatchingUp:
    """Catches up for one client."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._waiting: Future[None] | None = None
        self._is_stopped = False

    def stop(self) -> None:
        """Send nothing more: the client leaves."""
        self._is_stopped = True
        self.wake()

    def wake(self) -> None:
        """Look again whether something may be sent."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def run(self, behind: list[tuple[ValuesFeed, int]], relayed: list[RelayFeed]) -> None:
        """Send what was missed, and let each feed go on from there.

        The feeds' subscriptions are held: what comes meanwhile is found where it waits.
        """
        # Told of a right to be looked at again, and of the end, also while nothing may be sent.
        for feed in (*relayed, *(values for values, _ in behind)):
            feed.subscription.push_to(self.wake)
        try:
            await self._send_waiting(relayed)
            # In the same turn of the loop in which nothing was left, so that nothing is lost.
            for feed in relayed:
                feed.subscription.release()
                feed.open()
            for values, after in behind:
                await self._replay(values, after)
        except _LeftError:
            return
        except ThingsteadError as error:
            # What was missed cannot be read just now; the session begins again where it was.
            self._client.connection.fail(Reason.SERVER_BUSY, str(error))

    async def _replay(self, feed: ValuesFeed, after: int) -> None:
        try:
            async with aclosing(feed.stream.missed(after)) as pages:
                async for page in pages:
                    for event in page.events:
                        await self._room_for(feed)
                        feed.send([event])
                    feed.passed(page.scanned_to)
        except SubscriptionEndedError as ended:
            self._note_end(ended.reason)
        feed.open()

    async def _send_waiting(self, feeds: list[RelayFeed]) -> None:
        client = self._client
        session = client.session
        after = 0
        # Without any feed, too: what waits for filters that open nothing any more has to go.
        while session is not None:
            page = await client.broker.services.kept.waiting(
                session.id, after=after, limit=_WAITING_PAGE
            )
            if not page:
                return
            for message in page:
                after = message.number
                await self._give(message, feeds)

    async def _give(self, message: WaitingMessage, feeds: list[RelayFeed]) -> None:
        subscribing = self._client.subscribing
        subscribing.delivering(message.number)
        for feed in feeds:
            event = RelayedMessage(
                thing_id_of(feed.subscription.holder),
                message.topic,
                message.payload,
                number=message.number,
            )
            if not feed.wants(event):
                continue
            try:
                await self._room_for(feed)
            except SubscriptionEndedError as ended:
                self._note_end(ended.reason)
                continue
            feed.send([event])
            return
        subscribing.delivered(message.number)

    def _note_end(self, reason: End) -> None:
        """Go on without a subscription that the client closed; any other end is the client's."""
        if reason is not End.CLOSED:
            self._client.subscribing.ended(reason)
            raise _LeftError

    async def _room_for(self, feed: Feed) -> None:
        """Wait until a message may be sent to the feed.

        Raises:
            SubscriptionEndedError: the feed's subscription has ended.
            _LeftError: the client is gone.
        """
        client, subscription = self._client, feed.subscription
        while not self._is_stopped:
            if subscription.takes_recheck():
                await feed.recheck()
            if subscription.ended is not None:
                raise SubscriptionEndedError(subscription.ended)
            if client.outbox.room > 0 and client.connection.is_writable and not feed.is_behind:
                return
            self._waiting = client.broker.loop.create_future()
            client.outbox.call_when_room(self.wake)
            await self._waiting
        raise _LeftError
