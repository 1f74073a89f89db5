"""One server for the tests of this folder that need no server of their own."""

import pytest

from e2e.firmware.station import Station
from support.commands import beside
from support.in_process import free_port
from support.process import server_process


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    ports = ("--mqtt-port", str(free_port()), "--coap-port", str(free_port()))
    # Devices of tests restart at once.
    env = {"THINGSTEAD_LIMITS_FIRMWARE_GRACE_SECONDS": "0"}
    folder = tmp_path_factory.mktemp("server") / "folder"
    with server_process(folder, *ports, env=env) as running:
        yield running
        assert running.stop() == 0, running.logged()
        assert "Traceback" not in running.logged()


@pytest.fixture
def station(server, tmp_path):
    """A product of its own."""
    return Station(server, str(beside(server, "product", "create", "Station")["id"]), tmp_path)
