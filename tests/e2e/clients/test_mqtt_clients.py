"""MQTT clients that nobody here wrote: Mosquitto's, Paho for Python, MQTT.js for Node."""

import asyncio
import json
import queue
import ssl
import subprocess
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from support.in_process import free_port
from support.process import PATIENCE_SECONDS, server_process
from support.tools import CLIENTS
from support.wire import ask

VERSIONS = {
    "3.1": MQTTProtocolVersion.MQTTv31,
    "3.1.1": MQTTProtocolVersion.MQTTv311,
    "5": MQTTProtocolVersion.MQTTv5,
}
MOSQUITTO = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5": "mqttv5"}
NODE = {"3.1": "3", "3.1.1": "4", "5": "5"}
EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
ROADS = pytest.mark.parametrize("road", ["plain", "tls", "websockets"])


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("mqtt")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    plain, tls = free_port(), free_port()
    flags = ("--mqtt-port", str(plain))
    with server_process(folder / "data", *flags) as running:
        running.ca = folder / "ca.pem"
        running.ports = {"plain": plain, "tls": tls, "websockets": running.address.port}
        yield running


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("mqtts")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    pem = folder / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    port = free_port()
    flags = ("--mqtts-port", str(port), "--tls-cert", str(pem), "--tls-key", str(pem))
    with server_process(folder / "data", *flags) as running:
        running.ca = folder / "ca.pem"
        running.ports = {"tls": port}
        yield running


@pytest.fixture
def serving(request, road):
    """The server of that road; the HTTP port of one that has a certificate speaks TLS only."""
    return request.getfixturevalue("tls_server" if road == "tls" else "server")


class Paho:
    """The Paho client with a thread of its own; what it hears waits in queues."""

    def __init__(self, server, road, version, **options):
        self.messages = queue.Queue()
        self.answers = queue.Queue()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            protocol=VERSIONS[version],
            transport="websockets" if road == "websockets" else "tcp",
            **options,
        )
        if road == "websockets":
            self.client.ws_set_options(path="/mqtt")
        if road == "tls":
            self.client.tls_set_context(ssl.create_default_context(cafile=server.ca))
        self.client.on_connect = self._connected
        self.client.on_subscribe = lambda *more: self.answers.put(("subscribed", more[3]))
        self.client.on_message = lambda *more: self.messages.put(more[2])

    def _connected(self, _client, _data, flags, reason, _properties):
        self.answers.put(("connected", (flags.session_present, reason)))

    def answer(self, kind):
        found, value = self.answers.get(timeout=PATIENCE_SECONDS)
        assert found == kind
        return value

    def message(self):
        return self.messages.get(timeout=PATIENCE_SECONDS)

    def publish(self, topic, payload, qos):
        told = self.client.publish(topic, payload, qos)
        told.wait_for_publish(PATIENCE_SECONDS)
        assert told.is_published()


@contextmanager
def connected(server, road, version, *, connect=None, user=None, **options):
    one = Paho(server, road, version, **options)
    if user is not None:
        one.client.username_pw_set(user)
    one.client.connect("127.0.0.1", server.ports[road], **(connect or {}))
    one.client.loop_start()
    try:
        one.is_present, reason = one.answer("connected")
        assert not reason.is_failure, reason
        yield one
    finally:
        one.client.disconnect()
        one.client.loop_stop()


def values(message):
    return [(one["key"], one["value"]) for one in json.loads(message.payload)]


@EACH_VERSION
@ROADS
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho_writes_and_hears(serving, road, version, qos):
    topic = f"v2/things/{serving.token}"
    body = json.dumps({"values": [{"key": "k", "value": f"{road}{version}{qos}"}]})
    with connected(serving, road, version) as client:
        client.client.subscribe(topic, qos)
        [granted] = client.answer("subscribed")
        # MQTT 5 is told not to send more than QoS 1.
        client.publish(topic, body, min(qos, 1) if version == "5" else qos)

        message = client.message()

    assert granted.value == min(qos, 1)
    assert (message.topic, message.qos) == (topic, min(qos, 1))
    assert values(message) == [("k", f"{road}{version}{qos}")]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_paho_finds_its_session_again(server, version):
    token = server.token
    options = {"client_id": f"kept {version}"}
    connect = {}
    if version == "5":
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 600
        connect = {"clean_start": False, "properties": properties}
    else:
        options["clean_session"] = False

    def as_kept():
        return connected(server, "plain", version, connect=connect, user=token, **options)

    with as_kept() as client:
        first = client.is_present
        client.client.subscribe(f"v2/things/{token}/resources/kept", 1)
        client.answer("subscribed")
    body = {"values": [{"key": "kept", "value": version}]}
    asyncio.run(ask(server.address, "POST", f"/v2/things/{token}", body))
    with as_kept() as client:
        heard = values(client.message())
        second = client.is_present

    assert (first, second) == (False, True)
    assert heard == [("kept", version)]


def test_paho_is_told_why_a_payload_is_refused(server):
    refused = queue.Queue()
    with connected(server, "plain", "5") as client:
        client.client.on_publish = lambda *more: refused.put((more[3], more[4]))
        client.client.publish(f"v2/things/{server.token}", "no JSON", 1)
        reason, properties = refused.get(timeout=PATIENCE_SECONDS)

    assert reason.value == 0x99
    assert "Invalid JSON" in properties.ReasonString


@EACH_VERSION
@ROADS
@pytest.mark.needs_tool("node")
def test_mqtt_js_writes_and_hears(serving, road, version):
    scheme, path = {"plain": ("mqtt", ""), "tls": ("mqtts", ""), "websockets": ("ws", "/mqtt")}[
        road
    ]
    url = f"{scheme}://127.0.0.1:{serving.ports[road]}{path}"

    done = subprocess.run(
        ["node", str(CLIENTS / "mqtt.js"), url, NODE[version], serving.token],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"subscribed": [1]} in said
    [heard] = [one for one in said if "topic" in one]
    assert heard["topic"] == f"v2/things/{serving.token}"
    [value] = json.loads(heard["payload"])
    assert (value["key"], value["value"]) == ("temperature", 21.5)


def mosquitto(name, server, road, *words):
    options = ["-h", "127.0.0.1", "-p", str(server.ports[road])]
    if road == "tls":
        options += ["--cafile", str(server.ca)]
    return [name, *options, *words]


def ran(command):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


@EACH_VERSION
@pytest.mark.parametrize("road", ["plain", "tls"])
@pytest.mark.needs_tool("mosquitto_pub")
@pytest.mark.needs_tool("mosquitto_sub")
def test_mosquitto_writes_and_hears_what_it_missed(serving, road, version):
    topic = f"v2/things/{serving.token}/resources/mosquitto"
    words = ["-V", MOSQUITTO[version], "-t", topic, "-q", "1"]
    kept = [*words, "-i", f"m{version}", "-u", serving.token, "-c"]
    kept += ["-x", "600"] if version == "5" else []

    # It subscribes and leaves, a value is written, it comes back for one message.
    done = [
        ran(mosquitto("mosquitto_sub", serving, road, *kept, "-E")),
        ran(mosquitto("mosquitto_pub", serving, road, *words, "-m", "21.5")),
        ran(mosquitto("mosquitto_sub", serving, road, *kept, "-C", "1")),
    ]

    assert [one.returncode for one in done] == [0, 0, 0], done
    [value] = json.loads(done[-1].stdout)
    assert (value["key"], value["value"]) == ("mosquitto", 21.5)


@pytest.mark.needs_tool("mosquitto_pub")
def test_mosquitto_is_told_that_a_token_is_wrong(server):
    words = ("-V", "mqttv5", "-u", "A" * 43, "-t", "v2/things/x", "-m", "1", "-q", "1")

    done = ran(mosquitto("mosquitto_pub", server, "plain", *words))

    assert done.returncode != 0
    assert "Bad User Name" in done.stderr
