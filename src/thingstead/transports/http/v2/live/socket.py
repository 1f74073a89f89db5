"""The live WebSocket `GET /v2/live`: who talks to us, and what they subscribe to.

Texts are JSON objects with a `type`. The first must authenticate, unless the request did by its
header `Authorization` or by `?ticket=`. Requests are answered one after the other: while one
waits for the store, no further one is read. Read on in `holders.py` (whose resources),
`subscription.py` (their events), `messages.py` (the texts) and `docs/live.md` (for clients).
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass

from thingstead.features.live.model import End
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.users.errors import InvalidSessionError
from thingstead.kernel.errors import Category, InvalidBodyError, OverloadedError, ThingsteadError
from thingstead.transports.http.v2.live.errors import (
    AlreadyAuthenticatedError,
    NotAuthenticatedError,
    SubscriptionExistsError,
    SubscriptionNotFoundError,
    TooManySubscriptionsError,
    UnknownTokenError,
)
from thingstead.transports.http.v2.live.holders import Holder, Holders
from thingstead.transports.http.v2.live.messages import (
    LiveRequest,
    decode_request,
    error_said,
    said,
)
from thingstead.transports.http.v2.live.subscription import LiveSubscription
from thingstead.transports.websocket import CloseCode, WebSocketConnection

_log = logging.getLogger(__name__)
_AUTHENTICATED = said("authenticated")
_PONG = said("pong")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSocketLimits:
    """How long a client may stay unknown, and how much it may subscribe to."""

    authenticate_seconds: float = 5.0
    subscriptions: int = 50


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client brings: a token of any kind, or a ticket where only that may stand."""

    text: str
    is_ticket: bool = False


class LiveSocket:
    """Serves one client (`websocket.WebSocketHandler`)."""

    __slots__ = (
        "_address",
        "_connection",
        "_credential",
        "_drained",
        "_holder",
        "_holders",
        "_limits",
        "_subscriptions",
        "_tasks",
    )

    def __init__(
        self,
        holders: Holders,
        limits: LiveSocketLimits,
        *,
        address: str,
        credential: Credential | None,
    ) -> None:
        self._holders = holders
        self._limits = limits
        self._address = address
        self._credential = credential
        self._connection: WebSocketConnection
        self._holder: Holder | None = None
        self._subscriptions: dict[str, LiveSubscription] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._drained: asyncio.Future[None] | None = None

    # --- What the connection calls ---

    def opened(self, connection: WebSocketConnection) -> None:
        """Authenticate, or wait for the message that does."""
        self._connection = connection
        connection.set_deadline(self._limits.authenticate_seconds)
        credential, self._credential = self._credential, None
        if credential is not None:
            self._answer(self._authenticate(credential))

    def text(self, message: str) -> None:
        """Answer a request."""
        try:
            request = decode_request(message)
            if self._holder is None and request.type != "authenticate":
                raise NotAuthenticatedError
            self._serve(request)
        except ThingsteadError as error:
            self._refuse(error)

    def binary(self, _message: bytes) -> None:
        """Refuse: everything here is text."""
        self._connection.close(CloseCode.UNSUPPORTED_DATA, "send JSON as text")

    def writable(self) -> None:
        """Go on with everything that waited for the client to read."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        for subscription in self._subscriptions.values():
            subscription.go_on()

    def deadline_passed(self) -> None:
        """Send away who has not authenticated."""
        self._refuse(NotAuthenticatedError(f"within {self._limits.authenticate_seconds:g} s"))

    def closed(self) -> None:
        """Let every subscription go."""
        for subscription in self._subscriptions.values():
            subscription.close()
        self._subscriptions.clear()
        for task in self._tasks:
            task.cancel()
        self._holder = None

    # --- What subscriptions call ---

    @property
    def is_writable(self) -> bool:
        """Whether the client reads what is sent."""
        return self._connection.is_writable

    async def until_writable(self) -> None:
        """Wait until it does; how long it may take not to is the connection's matter."""
        while not self._connection.is_writable:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            # Several may wait for it, and one of them may be cancelled.
            await asyncio.shield(self._drained)

    def say(self, message: bytes) -> None:
        """Send a message."""
        self._connection.send_text(message)

    def send_frames(self, frames: bytes) -> None:
        """Send frames that are made."""
        self._connection.send_frames(frames)

    def start(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        """Run something beside; what goes wrong in it ends the socket."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def stream_ended(self, subscription: LiveSubscription, reason: End) -> None:
        """Tell the client, and end with everything when the holder's own right has ended."""
        if reason is End.SHUTDOWN:
            self._connection.shutdown()
        elif reason is End.REVOKED:
            error = subscription.revoked(reason.value)
            for each in list(self._subscriptions.values()):
                self.stream_failed(each, error)
            self._connection.close(CloseCode.POLICY_VIOLATION, reason.value)
        else:
            self.stream_failed(subscription, OverloadedError(reason.value))

    def stream_failed(self, subscription: LiveSubscription, error: ThingsteadError) -> None:
        """Tell the client that a subscription is over, and why."""
        if self._subscriptions.pop(subscription.id, None) is not None:
            subscription.close()
            self.say(error_said(error, subscription.id, kind="ended"))

    # --- Requests ---

    def _serve(self, request: LiveRequest) -> None:
        match request.type:
            case "authenticate":
                if self._holder is not None:
                    raise AlreadyAuthenticatedError
                if request.token is None:
                    raise InvalidBodyError("token: missing")
                self._answer(self._authenticate(Credential(request.token)))
            case "subscribe":
                self._answer(self._subscribe(request))
            case "unsubscribe":
                self._unsubscribe(request)
            case "ping":
                self.say(_PONG)
            case _:
                raise InvalidBodyError("type: not one that is known")

    async def _authenticate(self, credential: Credential) -> None:
        try:
            if credential.is_ticket:
                holder = await self._holders.of_ticket(credential.text)
            else:
                holder = await self._holders.of(credential.text, address=self._address)
        except ThingsteadError as error:
            is_wrong = error.category in (Category.UNAUTHENTICATED, Category.NOT_FOUND)
            self._refuse(UnknownTokenError() if is_wrong else error)
            return
        self._holder = holder
        self._connection.set_deadline(None)
        self.say(_AUTHENTICATED)

    async def _subscribe(self, request: LiveRequest) -> None:
        subscription_id = request.id
        try:
            if subscription_id is None:
                raise InvalidBodyError("id: missing")
            self._check_room(subscription_id)
            await self._open(subscription_id, request)
        except (InvalidSessionError, ThingNotFoundError) as error:
            # The holder is none any more.
            self.say(error_said(error, subscription_id))
            self._connection.close(CloseCode.POLICY_VIOLATION, End.REVOKED.value)
        except ThingsteadError as error:
            self.say(error_said(error, subscription_id))

    def _check_room(self, subscription_id: str) -> None:
        if subscription_id in self._subscriptions:
            raise SubscriptionExistsError
        most = self._limits.subscriptions
        if len(self._subscriptions) >= most:
            raise TooManySubscriptionsError(f"at most {most} on one socket")

    async def _open(self, subscription_id: str, request: LiveRequest) -> None:
        assert self._holder is not None  # noqa: S101  # Nothing else is served before.
        opened = await self._holder.open(request.resource)
        subscription = LiveSubscription(self, subscription_id, opened)
        self._subscriptions[subscription_id] = subscription
        try:
            await subscription.begin(request.since, conflates=request.conflate)
        except ThingsteadError:
            self._subscriptions.pop(subscription_id, None)
            subscription.close()
            raise

    def _unsubscribe(self, request: LiveRequest) -> None:
        subscription = self._subscriptions.pop(request.id or "", None)
        if subscription is None:
            self.say(error_said(SubscriptionNotFoundError(), request.id))
            return
        subscription.close()
        self.say(said("unsubscribed", id=subscription.id))

    def _refuse(self, error: ThingsteadError) -> None:
        """Say what is wrong; who is unknown is sent away."""
        self.say(error_said(error))
        if self._holder is None:
            is_our_fault = error.category is Category.UNAVAILABLE
            code = CloseCode.TRY_AGAIN_LATER if is_our_fault else CloseCode.POLICY_VIOLATION
            self._connection.close(code, error.message)

    def _answer(self, work: Coroutine[object, object, None]) -> None:
        """Read no further request until this one is answered."""
        self._connection.pause_reading()
        self.start(work).add_done_callback(self._answered)

    def _answered(self, _task: "asyncio.Task[None]") -> None:
        self._connection.resume_reading()

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("Unhandled error in a live WebSocket", exc_info=error)
            self._connection.close(CloseCode.INTERNAL_ERROR, "internal error")
