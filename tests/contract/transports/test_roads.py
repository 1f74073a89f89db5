"""Which road can do what; nothing is left out of the suite but what stands here."""

import pkgutil

from contract.transports.driver import Can
from contract.transports.roads import ROADS
from thingstead import transports

# Carriers of other roads, and what roads share.
_NO_ROADS = {"wire", "websocket"}

_BOTH_WAYS = {Can.WHISPER, Can.READ}
_NO_CODES = {Can.SAY_WHAT, Can.SAY_END}
_NO_NAME = {Can.HEAR_RESOURCE, Can.RESUME}
_WRITES = {Can.WRITE, Can.WHISPER, Can.READ, Can.SAY_WHY}
_HEARING = {Can.HEAR, Can.HEAR_RESOURCE, Can.UNSUBSCRIBE, Can.RESUME, Can.SAY_END}

LACKS = {
    # Streams of HTTP are roads of their own.
    "http": _HEARING,
    "callback": {*_HEARING, Can.WHISPER, Can.READ},
    # What is heard over HTTP is written in a request of its own, and a stream ends with its
    # connection.
    "http stream": {*_WRITES, Can.UNSUBSCRIBE, Can.RESUME},
    "event stream": {*_WRITES, Can.UNSUBSCRIBE},
    "live socket": _WRITES,
    # A Socket.IO connection that was lost begins anew (docs/socketio.md).
    "socket.io 3 polling": {*_WRITES, Can.RESUME},
    "socket.io 3 websocket": {*_WRITES, Can.RESUME},
    "socket.io 4 polling": {*_WRITES, Can.RESUME},
    "socket.io 4 websocket": {*_WRITES, Can.RESUME},
    # MQTT 3 has one code for a refused filter and no word for the end of a connection.
    "mqtt 3.1.1": {*_BOTH_WAYS, *_NO_CODES},
    "mqtt 3.1.1 websocket": {*_BOTH_WAYS, *_NO_CODES},
    # Who gives no user name has no session: neither a user's nor one that is kept.
    "mqtt 3.1.1 anonymous": {*_BOTH_WAYS, *_NO_CODES, *_NO_NAME},
    "mqtt 5": _BOTH_WAYS,
    "mqtt 5 websocket": _BOTH_WAYS,
    "mqtt 5 anonymous": {*_BOTH_WAYS, *_NO_NAME},
    # There are no users over CoAP, and an observation has no cursor.
    "coap": _NO_NAME,
    # One byte comes back.
    "udp": {*_HEARING, Can.WHISPER, Can.READ, Can.SAY_WHY},
}


def test_what_each_road_lacks():
    assert {road.name: set(Can) - road.can for road in ROADS} == LACKS


def test_every_transport_has_a_road():
    transport_names = {module.name for module in pkgutil.iter_modules(transports.__path__)}

    assert {road.transport for road in ROADS} == transport_names - _NO_ROADS
