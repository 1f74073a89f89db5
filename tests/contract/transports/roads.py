"""All roads, what each can, and how tests choose among them."""

from functools import partial

import pytest

from contract.transports.driver import Can, Road
from contract.transports.drivers.coap import CoAPDriver
from contract.transports.drivers.http_streams import EventStreamDriver, StreamDriver
from contract.transports.drivers.live_socket import LiveSocketDriver
from contract.transports.drivers.mqtt import MQTTDriver
from contract.transports.drivers.plain_http import CallbackDriver, HTTPDriver
from contract.transports.drivers.socketio import SocketIODriver
from contract.transports.drivers.udp import UDPDriver

# Its datagrams and blocks have 1,024 bytes.
_SMALL = 500
_SAYS = {Can.SAY_WHAT, Can.SAY_WHY}
_APP = {Can.HEAR, Can.HEAR_RESOURCE, Can.SAY_WHAT, Can.SAY_END}


def _mqtt(name: str, *lacking: Can, **options: object) -> Road:
    can = set(Can) - {Can.WHISPER, Can.READ, *lacking}
    return Road(name, "mqtt", frozenset(can), partial(MQTTDriver, **options))


def _socketio(eio: int, carrier: str) -> Road:
    is_polling = carrier == "polling"
    make = partial(SocketIODriver, eio=eio, is_polling=is_polling)
    can = frozenset({*_APP, Can.UNSUBSCRIBE})
    # What waits for a poll has a bound of its own, which few of the largest texts would meet.
    characters = _SMALL if is_polling else 7_500
    return Road(f"socket.io {eio} {carrier}", "socketio", can, make, characters)


ROADS = (
    Road("http", "http", frozenset({Can.WRITE, Can.WHISPER, Can.READ, *_SAYS}), HTTPDriver),
    Road("callback", "http", frozenset({Can.WRITE, *_SAYS}), CallbackDriver),
    Road("http stream", "http", frozenset(_APP), StreamDriver),
    Road("event stream", "http", frozenset({*_APP, Can.RESUME}), EventStreamDriver),
    Road(
        "live socket",
        "http",
        frozenset({*_APP, Can.RESUME, Can.UNSUBSCRIBE}),
        LiveSocketDriver,
    ),
    *(_socketio(eio, carrier) for eio in (3, 4) for carrier in ("polling", "websocket")),
    _mqtt("mqtt 3.1.1", Can.SAY_WHAT, Can.SAY_END, level=4),
    _mqtt(
        "mqtt 3.1.1 anonymous",
        Can.HEAR_RESOURCE,
        Can.RESUME,
        Can.SAY_WHAT,
        Can.SAY_END,
        level=4,
        is_anonymous=True,
    ),
    _mqtt("mqtt 5", level=5),
    _mqtt("mqtt 5 anonymous", Can.HEAR_RESOURCE, Can.RESUME, level=5, is_anonymous=True),
    _mqtt("mqtt 3.1.1 websocket", Can.SAY_WHAT, Can.SAY_END, level=4, is_on_websocket=True),
    _mqtt("mqtt 5 websocket", level=5, is_on_websocket=True),
    Road(
        "coap",
        "coap",
        frozenset(set(Can) - {Can.HEAR_RESOURCE, Can.RESUME}),
        CoAPDriver,
        _SMALL,
    ),
    Road("udp", "udp", frozenset({Can.WRITE, Can.SAY_WHAT}), UDPDriver),
)


def roads_that(*can: Can) -> list[Road]:
    """The roads that can do all of it."""
    return [road for road in ROADS if road.can >= set(can)]


def each_road(*can: Can) -> pytest.MarkDecorator:
    """Run the test once for each road that can do all of it, as `road`."""
    return pytest.mark.parametrize("road", roads_that(*can), ids=str)
