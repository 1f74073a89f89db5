"""WebSocket connections: messages in, messages out, within limits; no feature is known here.

    connection = WebSocketConnection(handler, limits, watcher)

`connection.py` carries messages, `lifetime.py` owns the socket, `frames.py` reads and writes
frames over the library `websockets`, `limits.py` has the numbers, `handler.py` says what its user
must be. How a socket comes to be a WebSocket is the HTTP server's matter
(`transports/http/websockets.py`).
"""

from thingstead.transports.websocket.connection import WebSocketConnection
from thingstead.transports.websocket.frames import CloseCode, frame_of_binary, frame_of_text
from thingstead.transports.websocket.handler import WebSocketHandler
from thingstead.transports.websocket.lifetime import Watcher
from thingstead.transports.websocket.limits import WebSocketLimits

__all__ = [
    "CloseCode",
    "Watcher",
    "WebSocketConnection",
    "WebSocketHandler",
    "WebSocketLimits",
    "frame_of_binary",
    "frame_of_text",
]
