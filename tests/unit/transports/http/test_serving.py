"""The listening socket passes on to its connections what notices dead peers."""

import socket
from contextlib import closing

import pytest

from thingstead.transports.http.serving import open_listener


@pytest.fixture
def connection():
    with (
        closing(open_listener("127.0.0.1", 0)) as listener,
        closing(socket.create_connection(listener.getsockname(), 5)),
    ):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with closing(accepted):
            yield accepted


def test_connections_ask_whether_their_peer_lives(connection):
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_USER_TIMEOUT", 120_000)]
)
def test_connections_end_when_their_peer_is_silent(connection, name, value):
    option = getattr(socket, name, None)
    if option is None:
        pytest.skip(f"this system has no {name}")

    assert connection.getsockopt(socket.IPPROTO_TCP, option) == value


def test_an_address_that_is_taken_is_refused():
    with closing(open_listener("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(OSError, match="in use"):
            open_listener("127.0.0.1", port)
