"""Who accepts WebSockets, and in which subprotocol."""

import pytest

from thingstead.transports.http.protocol import Accepted, Peer, Refused, UpgradeRequest
from thingstead.transports.http.websockets import WebSocketAcceptor
from thingstead.transports.websocket import WebSocketConnection, WebSocketLimits
from unit.transports.websocket.rig import Recorder, Watched


def acceptor(answer, *subprotocols):
    asked = []

    def handler_for(request):
        asked.append(request)
        return answer

    made = WebSocketAcceptor(
        handler_for, WebSocketLimits(), Watched(), subprotocols=tuple(subprotocols)
    )
    return made, asked


def request(*offers):
    headers = [(b"sec-websocket-protocol", offer) for offer in offers]
    return UpgradeRequest(
        path="/mqtt", query_string=b"a=1", headers=headers, peer=Peer("192.0.2.1", "http")
    )


async def test_the_handler_is_made_for_the_request():
    made, asked = acceptor(Recorder())
    wanted = request()

    accepted = made.accept(wanted)

    assert isinstance(accepted, Accepted)
    assert isinstance(accepted.successor, WebSocketConnection)
    assert accepted.subprotocol is None
    assert asked == [wanted]


async def test_the_makers_refusal_is_the_answer():
    refused = Refused(401, "Unauthorized")
    made, _ = acceptor(refused)

    assert made.accept(request()) == refused


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ([b"mqtt"], "mqtt"),
        ([b"mqttv3.1, mqtt"], "mqttv3.1"),
        ([b"x", b" mqtt ,"], "mqtt"),
    ],
)
async def test_the_first_offer_that_is_spoken_is_chosen(offers, chosen):
    made, _ = acceptor(Recorder(), "mqtt", "mqttv3.1")

    assert made.accept(request(*offers)).subprotocol == chosen


@pytest.mark.parametrize("offers", [[], [b""], [b"MQTT"], [b"stomp, mqtt5"]])
async def test_who_offers_nothing_that_is_spoken_is_refused_before_a_handler_is_made(offers):
    made, asked = acceptor(Recorder(), "mqtt", "mqttv3.1")

    refused = made.accept(request(*offers))

    assert isinstance(refused, Refused)
    assert (refused.status, asked) == (400, [])
    assert "mqtt, mqttv3.1" in refused.message


async def test_where_no_subprotocol_is_spoken_offers_are_ignored():
    made, _ = acceptor(Recorder())

    assert made.accept(request(b"chat")).subprotocol is None
