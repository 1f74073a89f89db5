"""What an app says in the namespace `/v2`, and what it hears (`thethings-v2.md` 5.3).

One conversation rides on one connection (`engine.py`). What the app asks is answered in order, by
a task that lives only while there is something to answer; values are pushed to it without one.
An answer goes out as the event of the same name and, when the app waits for one, as its
acknowledgement. Knows no polling and no WebSocket. Topics are in `topics.py`.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial

from thingstead.features.live.model import End
from thingstead.features.live.subscription import SubscriptionEndedError
from thingstead.features.streams.service import Streams
from thingstead.features.users.errors import InvalidSessionError
from thingstead.features.users.model import Caller
from thingstead.features.users.sessions import Sessions
from thingstead.kernel.errors import (
    InvalidBodyError,
    OverloadedError,
    ThingsteadError,
    TooManyStreamsError,
)
from thingstead.transports.socketio.engine import POLICY, EngineSession
from thingstead.transports.socketio.limits import SocketIOLimits
from thingstead.transports.socketio.packets import (
    Generation,
    MalformedPacketError,
    SocketPacket,
    SocketPacketType,
    ack_packet,
    connected_packet,
    event_packet,
    refused_packet,
    socket_packet_of,
)
from thingstead.transports.socketio.refusals import refusal, success
from thingstead.transports.socketio.topics import NAMESPACE, Listening, opened, topic_named
from thingstead.transports.wire.json_bodies import decode_any

_log = logging.getLogger(__name__)
_ROOT = "/"
_MOST_UNANSWERED = 100
_INTERNAL_ERROR = 1011

Spawn = Callable[[Coroutine[object, object, None]], "asyncio.Task[None]"]


class Conversation:
    """One client in the namespace."""

    def __init__(
        self,
        session: EngineSession,
        sessions: Sessions,
        streams: Streams,
        limits: SocketIOLimits,
        *,
        address: str,
        spawn: Spawn,
    ) -> None:
        self._session = session
        self._sessions = sessions
        self._streams = streams
        self._limits = limits
        self._address = address
        self._spawn = spawn
        self._has_joined = False
        self._token: str | None = None
        self._open: dict[str, Listening] = {}
        self._asked: deque[SocketPacket] = deque()
        self._to_recheck: deque[Listening] = deque()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Greet the client; those of Engine.IO 3 expect to be in the root namespace at once."""
        if self._session.generation is Generation.THREE:
            self._session.send(connected_packet(Generation.THREE, _ROOT, ""))

    # --- What the connection calls ---

    def on_message(self, text: str) -> None:
        """Take a packet."""
        packet = socket_packet_of(text)
        if packet.type is SocketPacketType.CONNECT:
            self._join(packet.namespace)
        elif packet.type is SocketPacketType.ACK:
            return  # Nothing that is sent asks for one.
        elif packet.namespace != NAMESPACE or not self._has_joined:
            self._refuse(packet.namespace)
        elif packet.type is SocketPacketType.DISCONNECT:
            self._leave()
        elif packet.type is SocketPacketType.EVENT:
            self._ask(packet)
        else:
            raise MalformedPacketError("a packet that only the server sends")

    def on_writable(self) -> None:
        """Go on with what could not be sent."""
        for listening in self._open.values():
            listening.stream.subscription.poke()

    def on_closed(self) -> None:
        """Let go of all topics and of what was asked."""
        self._let_go()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    # --- Coming and going ---

    def _join(self, namespace: str) -> None:
        generation = self._session.generation
        if namespace == NAMESPACE:
            self._has_joined = True
            # Not the connection's id, which is a secret between the two.
            sid = secrets.token_urlsafe(15)
            self._session.send(connected_packet(generation, NAMESPACE, sid))
        elif namespace != _ROOT or generation is not Generation.THREE:
            self._session.send(refused_packet(generation, namespace, "Invalid namespace"))

    def _refuse(self, namespace: str) -> None:
        if namespace == _ROOT and self._session.generation is Generation.THREE:
            # Such clients are there without having asked.
            said = f"Connect to the namespace {NAMESPACE}"
            self._session.send(refused_packet(Generation.THREE, _ROOT, said))
            return
        raise MalformedPacketError("it is not connected to this namespace")

    def _leave(self) -> None:
        self._has_joined = False
        self._let_go()
        self._settle()

    def _let_go(self) -> None:
        self._token = None
        self._asked.clear()
        self._to_recheck.clear()
        for listening in self._open.values():
            listening.stream.close()
        self._open.clear()

    def _settle(self) -> None:
        """Let the connection last as long as its client holds a right."""
        if self._token is not None or self._open:
            self._session.welcome()
        else:
            self._session.estrange()

    # --- Answering ---

    def _ask(self, packet: SocketPacket) -> None:
        if len(self._asked) >= _MOST_UNANSWERED:
            self._session.end("too many messages wait for their answers", POLICY)
            return
        self._asked.append(packet)
        self._work()

    def _work(self) -> None:
        if self._task is None:
            self._task = self._spawn(self._answer_all())

    async def _answer_all(self) -> None:
        try:
            while not self._session.has_ended:
                if self._to_recheck:
                    await self._recheck(self._to_recheck.popleft())
                elif self._asked:
                    await self._answer(self._asked.popleft())
                else:
                    return
        except Exception:  # noqa: BLE001  # Supervises the answers: one connection ends here.
            _log.exception("Unhandled error in a Socket.IO conversation")
            self._session.end("internal error", _INTERNAL_ERROR)
        finally:
            self._task = None

    async def _answer(self, packet: SocketPacket) -> None:
        name, argument = "error", None
        listening = None
        try:
            name, sent = _asked(packet)
            argument = _document(sent)
            if name == "authenticate":
                document = await self._authenticate(argument)
            elif name == "subscribe":
                listening, document = await self._subscribe(argument)
            elif name == "unsubscribe":
                document = self._unsubscribe(argument)
            else:
                name = "error"
                raise InvalidBodyError("expected authenticate, subscribe or unsubscribe")
        except ThingsteadError as error:
            if isinstance(error, InvalidSessionError) and name == "subscribe":
                self._forget(self._token)
            document = refusal(error, _resource_in(argument))
        if packet.ack is not None:
            self._session.send(ack_packet(NAMESPACE, packet.ack, document))
        self._session.send(event_packet(NAMESPACE, name, document))
        if listening is not None and not self._session.has_ended:
            # Nothing of the topic goes out before its confirmation.
            listening.stream.subscription.push_to(partial(self._push, listening))

    async def _authenticate(self, argument: object) -> bytes:
        token = _member(argument, "sessionToken")
        self._sessions.admit(await self._caller(token, address=self._address))
        self._token = token
        self._settle()
        return success("authenticated")

    async def _caller(self, token: str | None, *, address: str | None) -> Caller:
        if token is None:
            raise InvalidSessionError
        known = self._sessions.known(token)
        return known or await self._sessions.authenticate(token, address=address)

    async def _subscribe(self, argument: object) -> tuple[Listening | None, bytes]:
        topic = topic_named(_member(argument, "resource"))
        if topic.name in self._open:
            return None, success("subscribed", topic.name)
        if len(self._open) >= self._limits.subscriptions:
            raise TooManyStreamsError(
                f"at most {self._limits.subscriptions} subscriptions of one connection"
            )
        # The session of now stays the topic's, whoever authenticates later.
        token = self._token
        again = partial(self._caller, token, address=None)
        if topic.thing_token is None:
            self._sessions.admit(await again())
        listening = await opened(topic, self._streams, again, address=self._address)
        listening.session_token = token
        if self._session.has_ended or not self._has_joined:
            listening.stream.close()
            raise OverloadedError("the connection is closing")
        self._open[topic.name] = listening
        self._settle()
        return listening, success("subscribed", topic.name)

    def _forget(self, token: str | None) -> None:
        """Forget a session that has ended, if it still is the client's."""
        if self._token == token:
            self._token = None
            self._settle()

    def _unsubscribe(self, argument: object) -> bytes:
        topic = topic_named(_member(argument, "resource"))
        listening = self._open.pop(topic.name, None)
        if listening is not None:
            listening.stream.close()
            self._settle()
        return success("unsubscribed", topic.name)

    # --- Pushing ---

    def _push(self, listening: Listening) -> None:
        """Send what a topic has to say, unless its right must be looked at first."""
        subscription = listening.stream.subscription
        if listening.is_rechecking or self._open.get(listening.name) is not listening:
            return
        if subscription.ended is None and subscription.takes_recheck():
            listening.is_rechecking = True
            self._to_recheck.append(listening)
            self._work()
            return
        if subscription.ended is None and not self._session.is_writable:
            return  # The connection calls again when it can take more.
        try:
            events = subscription.take()
        except SubscriptionEndedError as ended:
            self._end(listening, ended.reason)
            return
        for event in events:
            # What waited while a right ended must not go out after it.
            packet = listening.encode(event) if listening.stream.accepts(event) else None
            if packet is not None:
                self._session.send(packet)

    async def _recheck(self, listening: Listening) -> None:
        await listening.stream.recheck()
        listening.is_rechecking = False
        self._push(listening)

    def _end(self, listening: Listening, reason: End) -> None:
        """Tell the client that a topic has ended, and why."""
        del self._open[listening.name]
        listening.stream.close()
        error: ThingsteadError = OverloadedError(reason.value)
        if reason is End.REVOKED:
            error = listening.stream.revoked(reason.value)
            if isinstance(error, InvalidSessionError):
                self._forget(listening.session_token)
        document = refusal(error, listening.name)
        self._session.send(event_packet(NAMESPACE, "unsubscribe", document))
        self._settle()


def _asked(packet: SocketPacket) -> tuple[str, object]:
    """Return an event's name and its first argument, None without one.

    Raises:
        InvalidBodyError, InvalidJSONError: it is no event.
    """
    data = decode_any(packet.data.encode("utf-8"))
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise InvalidBodyError("expected an event with a name")
    return data[0], data[1] if len(data) > 1 else None


def _document(sent: object) -> object:
    """Return an event's argument, of which some clients send the text.

    Raises:
        InvalidBodyError, InvalidJSONError: the text is no document.
    """
    return decode_any(sent.encode("utf-8")) if isinstance(sent, str) else sent


def _member(argument: object, name: str) -> str:
    value = argument.get(name) if isinstance(argument, dict) else None
    if not isinstance(value, str):
        raise InvalidBodyError(f"{name}: expected a text")
    return value


def _resource_in(argument: object) -> str | None:
    """Return the topic that a refused message named, for the answer to name it too."""
    value = argument.get("resource") if isinstance(argument, dict) else None
    return value if isinstance(value, str) else None
