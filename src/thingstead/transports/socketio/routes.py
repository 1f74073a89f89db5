"""Socket.IO over HTTP: polling at `/socket.io/`, and the WebSocket to which it may change.

The one module of the package that knows how bytes come and go. Refusals have the form that the
clients' library knows: `{"code":N,"message":"…"}`, with Engine.IO's own codes.

Browsers send credentials with the polls of Socket.IO 1.x and 2.x, whether there are any or not,
and then take no answer that allows every origin by `*`; so answers to these name the origin.
Nothing here reads a cookie, and the id of a connection cannot be guessed.
"""

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import parse_qsl

from thingstead.kernel.addresses import counted_as
from thingstead.kernel.errors import OverloadedError, ThingsteadError
from thingstead.transports.http.answers import V2_HEADERS, Answer, Header
from thingstead.transports.http.protocol import Refused, UpgradeRequest
from thingstead.transports.http.request import ClientGoneError, Request
from thingstead.transports.http.router import Access, Parameter, Route
from thingstead.transports.http.v2.long_lists import while_connected
from thingstead.transports.http.websockets import WebSocketAcceptor
from thingstead.transports.socketio.engine import NORMAL, POLICY, EngineSession, PollRefusedError
from thingstead.transports.socketio.packets import (
    Generation,
    MalformedPacketError,
    join_payload,
    split_payload,
)
from thingstead.transports.socketio.refusals import encode
from thingstead.transports.socketio.server import SocketIOServer
from thingstead.transports.websocket import (
    CloseCode,
    Watcher,
    WebSocketConnection,
    WebSocketLimits,
)

PATH = "/socket.io"
_PATTERN = f"{PATH}/"
_POLLING, _WEBSOCKET = "polling", "websocket"
_TEXT: Header = (b"Content-Type", b"text/plain; charset=UTF-8")
_SCRIPT: Header = (b"Content-Type", b"text/javascript; charset=UTF-8")
# As engine.io has it: some browsers offer a form's answer for download if it is plain text.
_OK = Answer(200, b"ok", content_type=(b"Content-Type", b"text/html"))
_ANY_ORIGIN: Header = (b"Access-Control-Allow-Origin", b"*")
_OTHER_HEADERS = tuple(header for header in V2_HEADERS if header != _ANY_ORIGIN)
_PREFLIGHT_HEADERS: tuple[Header, ...] = (
    (b"Access-Control-Allow-Methods", b"GET, POST, OPTIONS"),
    (b"Access-Control-Allow-Headers", b"Content-Type"),
    (b"Access-Control-Max-Age", b"86400"),
)
_LONGEST_ORIGIN = 256
_SCRIPT_NUMBER = re.compile(r"[0-9]{1,9}")
_FRAMED = b"application/octet-stream"
_LINE_END = re.compile(r"(\\)?\\n")

_PARAMETERS = (
    Parameter("EIO", {"type": "string", "enum": ["3", "4"]}, "The version of Engine.IO."),
    Parameter("transport", {"type": "string", "enum": [_POLLING]}, "How packets travel."),
    Parameter("sid", {"type": "string"}, "The connection's id; without it a new one is opened."),
    Parameter("j", {"type": "string"}, "The number of a JSONP callback."),
)


class PollingError(Exception):
    """A refusal in Engine.IO's own terms."""

    status: ClassVar[int] = 400
    code: ClassVar[int] = 3
    message: ClassVar[str] = "Bad request"


class TransportUnknownError(PollingError):
    """`transport` names none, or not the one that this request uses."""

    code = 0
    message = "Transport unknown"


class ConnectionUnknownError(PollingError):
    """No open connection of this generation has this id."""

    code = 1
    message = "Session ID unknown"


class HandshakeMethodError(PollingError):
    """A connection is opened by GET only."""

    code = 2
    message = "Bad handshake method"


class ProtocolVersionError(PollingError):
    """`EIO` names no generation that is served."""

    code = 5
    message = "Unsupported protocol version"


class SocketIORoutes:
    """Serves polling, and says what becomes of requests for a WebSocket."""

    def __init__(self, server: SocketIOServer) -> None:
        self.server = server

    def routes(self) -> list[Route]:
        """Return the routes of polling."""
        return [
            Route(
                "GET",
                _PATTERN,
                "Socket.IO: open a connection, poll it, or change it to a WebSocket",
                self.poll,
                statuses=(200, 101, 400, 503),
                parameters=_PARAMETERS,
                media_type="text/plain",
                access=Access.PUBLIC,
            ),
            Route(
                "POST",
                _PATTERN,
                "Socket.IO: packets of a client that polls",
                self.post,
                statuses=(200, 400, 413),
                parameters=_PARAMETERS,
                media_type="text/html",
                access=Access.PUBLIC,
            ),
            Route(
                "OPTIONS",
                _PATTERN,
                "Socket.IO: what browsers ask before a page of another origin may poll",
                self.preflight,
                access=Access.PUBLIC,
            ),
        ]

    def acceptor(self, watcher: Watcher) -> WebSocketAcceptor:
        """Return what accepts the WebSockets."""
        limits = self.server.limits
        return WebSocketAcceptor(
            self.handler_for,
            WebSocketLimits(
                message_bytes=limits.message_bytes,
                messages_per_second=limits.messages.per_second,
                message_burst=int(limits.messages.burst),
            ),
            watcher,
        )

    async def preflight(self, request: Request) -> Answer:
        """Answer what a browser asks before it sends a poll's body to another origin."""
        return Answer(200, b"", _PREFLIGHT_HEADERS, common=_common(request))

    async def poll(self, request: Request) -> Answer:
        """Answer with the packets that wait for the client, as soon as there are any."""
        try:
            if request.method != "GET":
                raise HandshakeMethodError
            generation = _generation_in(request.query, _POLLING)
            sid = request.query.get("sid")
            if sid is None:
                session = self.server.open(generation, request.address)
            else:
                session = self._known(sid, generation)
            payload = join_payload(generation, await _waited_for(request, session))
            return _answer_with(request, payload)
        except (PollingError, OverloadedError) as error:
            return _refused(request, error)

    async def post(self, request: Request) -> Answer:
        """Take the packets of a client."""
        try:
            generation = _generation_in(request.query, _POLLING)
            sid = request.query.get("sid")
            if sid is None:
                raise HandshakeMethodError
            session = self._known(sid, generation)
            body = await request.body(self.server.limits.message_bytes)
            try:
                session.receive_polled(_packets_of(request, generation, body))
            except PollRefusedError as exc:
                raise PollingError from exc
            except MalformedPacketError as exc:
                session.end(str(exc), POLICY)
                raise PollingError from exc
        except PollingError as error:
            return _refused(request, error)
        return Answer(_OK.status, _OK.body, content_type=_OK.content_type, common=_common(request))

    def handler_for(self, request: UpgradeRequest) -> "SocketIOWebSocket | Refused":
        """Return what speaks over a new WebSocket, or why there is none."""
        try:
            query = dict(parse_qsl(request.query_string.decode("latin-1"), max_num_fields=50))
            generation = _generation_in(query, _WEBSOCKET)
            sid = query.get("sid")
            session = None if sid is None else self._known(sid, generation)
            address = counted_as(request.peer.address or "unknown")
            if session is None:
                self.server.check_room(address)
        except PollingError as error:
            return Refused(error.status, error.message)
        except OverloadedError as error:
            return Refused(503, str(error), b"Retry-After: %d\r\n" % (error.retry_after_s or 1))
        except ValueError:
            return Refused(400, PollingError.message)
        return SocketIOWebSocket(self.server, generation, address, session)

    def _known(self, sid: str, generation: Generation) -> EngineSession:
        session = self.server.find(sid, generation)
        if session is None:
            raise ConnectionUnknownError
        return session


class SocketIOWebSocket:
    """Carries one connection's packets over a WebSocket (`websocket.WebSocketHandler`)."""

    __slots__ = ("_address", "_connection", "_generation", "_server", "_session")

    def __init__(
        self,
        server: SocketIOServer,
        generation: Generation,
        address: str,
        session: EngineSession | None,
    ) -> None:
        self._server = server
        self._generation = generation
        self._address = address
        self._session = session
        self._connection: WebSocketConnection | None = None

    def opened(self, connection: WebSocketConnection) -> None:
        """Begin a connection, or offer it to the one that has begun by polling."""
        self._connection = connection
        if self._session is None:
            try:
                self._session = self._server.open(self._generation, self._address, connection)
            except OverloadedError as error:
                connection.close(CloseCode.TRY_AGAIN_LATER, str(error))
        elif not self._session.offer(connection):
            connection.close(POLICY, "this connection cannot change to a WebSocket")

    def text(self, message: str) -> None:
        """Take a packet."""
        if self._session is not None and self._connection is not None:
            self._session.receive_text(self._connection, message)

    def binary(self, _message: bytes) -> None:
        """Refuse it: all packets are texts."""
        if self._connection is not None:
            self._connection.close(CloseCode.UNSUPPORTED_DATA, "binary packets are not taken")

    def writable(self) -> None:
        """Go on sending."""
        if self._session is not None and self._connection is not None:
            self._session.writable(self._connection)

    def deadline_passed(self) -> None:
        """Do nothing: the connection's own deadlines are those of `engine.py`."""

    def closed(self) -> None:
        """Let go."""
        if self._session is not None and self._connection is not None:
            self._session.lost(self._connection)


async def _waited_for(request: Request, session: EngineSession) -> list[bytes]:
    try:
        return await while_connected(request, session.poll())
    except PollRefusedError as exc:
        raise PollingError from exc
    except ClientGoneError:
        # What it would have been answered is lost, so the connection is.
        session.end("the client left", NORMAL)
        raise


def _generation_in(query: Mapping[str, str], transport: str) -> Generation:
    version = query.get("EIO")
    if version not in ("3", "4"):
        raise ProtocolVersionError
    if query.get("transport") != transport:
        raise TransportUnknownError
    return Generation(int(version))


def _packets_of(request: Request, generation: Generation, body: bytes) -> list[str]:
    if "j" in request.query:
        return split_payload(generation, _form_payload(body))
    media_type = (request.header(b"content-type") or b"").lower()
    is_framed = media_type.startswith(_FRAMED) and generation is Generation.THREE
    return split_payload(generation, body, is_framed=is_framed)


def _form_payload(body: bytes) -> bytes:
    """Return the payload of a form, whose line ends the client has escaped for the browser."""
    try:
        fields = dict(parse_qsl(body.decode("ascii"), max_num_fields=10))
    except ValueError as exc:
        raise MalformedPacketError("the form cannot be read") from exc
    text = _LINE_END.sub(lambda found: found[0] if found[1] else "\n", fields.get("d", "")).replace(
        "\\\\n", "\\n"
    )
    return text.encode("utf-8", "replace")


def _answer_with(request: Request, payload: bytes) -> Answer:
    number = request.query.get("j")
    if number is None:
        return Answer(200, payload, content_type=_TEXT, common=_common(request))
    if not _SCRIPT_NUMBER.fullmatch(number):
        raise PollingError
    # A payload is ASCII, and so is a literal of JavaScript as well as of JSON.
    script = b"___eio[%b](%b);" % (number.encode("ascii"), encode(payload.decode("ascii")))
    return Answer(200, script, content_type=_SCRIPT, common=_common(request))


def _refused(request: Request, error: PollingError | ThingsteadError) -> Answer:
    common = _common(request)
    if isinstance(error, PollingError):
        body = encode({"code": error.code, "message": error.message})
        return Answer(error.status, body, common=common)
    retry = (b"Retry-After", str(error.retry_after_s or 1).encode("ascii"))
    # 4 is Engine.IO's "Forbidden", the nearest to it.
    return Answer(503, encode({"code": 4, "message": str(error)}), (retry,), common=common)


def _common(request: Request) -> tuple[Header, ...]:
    """Return the headers of every answer; see the module about origins."""
    origin = request.header(b"origin")
    if origin is None or len(origin) > _LONGEST_ORIGIN or request.query.get("EIO") != "3":
        return V2_HEADERS
    return (
        *_OTHER_HEADERS,
        (b"Access-Control-Allow-Origin", origin),
        (b"Access-Control-Allow-Credentials", b"true"),
        (b"Vary", b"Origin"),
    )
