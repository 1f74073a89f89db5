"""The URLs that agents of hawkBit are given."""

import pytest

from doubles.hawkbit import THING, firmware, links
from thingstead.transports.http.ddi.links import artifact_name, base_url
from thingstead.transports.http.refusals import InvalidHeaderError
from thingstead.transports.http.request import Request

ROOT = f"http://server:8000/DEFAULT/controller/v1/{THING.id}"


def request_with(*hosts, scheme="http"):
    headers = [(b"host", host) for host in hosts]
    scope = {"method": "GET", "raw_path": b"/", "headers": headers, "scheme": scheme}
    return Request(scope, None)


@pytest.mark.parametrize(
    ("host", "scheme", "url"),
    [
        (b"server", "http", "http://server"),
        (b"server:8000", "http", "http://server:8000"),
        (b"192.0.2.7:8000", "https", "https://192.0.2.7:8000"),
        (b"[2001:db8::1]:8000", "http", "http://[2001:db8::1]:8000"),
        (b"my_server.example.org", "https", "https://my_server.example.org"),
        (b"h" * 253, "http", "http://" + "h" * 253),
    ],
)
def test_links_begin_with_what_the_agent_called(host, scheme, url):
    assert base_url(request_with(host, scheme=scheme), None) == url


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        (b"",),
        (b"a", b"b"),
        (b"h" * 254,),
        (b"server/path",),
        (b"user@server",),
        (b"server:123456",),
        (b"server:x",),
        (b'a"b',),
        (b"a b",),
        (b"a\\b",),
        (b"[::1",),
        (b"a?b",),
        (b"\xe4",),
    ],
)
def test_what_can_be_no_host_is_refused(hosts):
    with pytest.raises(InvalidHeaderError, match="Host"):
        base_url(request_with(*hosts), None)


def test_with_a_public_url_the_host_is_all_the_same():
    assert base_url(request_with(b"a/b"), "https://example.org/iot/") == "https://example.org/iot"


def test_the_name_of_the_tenant_is_told_in_capital_letters():
    assert links(tenant="default").root == ROOT


def test_each_resource_has_its_link():
    named = links()

    assert named.config_data == f"{ROOT}/configData"
    assert named.deployment(7) == f"{ROOT}/deploymentBase/7"
    assert named.installed(7) == f"{ROOT}/installedBase/7"
    assert named.artifact(firmware()) == f"{ROOT}/softwaremodules/12/artifacts/station-1.3.0.swu"


def test_the_number_of_what_is_to_be_stopped_has_a_digit_to_leave_out():
    base, _, number = links().cancellation(7).rpartition("cancelAction/")

    # As Zephyr's agent reads it: from the 14th character after the beginning of `cancelAction/`.
    assert base == f"{ROOT}/"
    assert int(number) == int(number[1:]) == 7


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("station.bin", "station.bin"),
        ("station-1.3+7.swu", "station-1.3_7.swu"),
        ("a b/c%2F.swu", "a_b_c_2F.swu"),
        ("x" * 44 + ".swu", "x" * 44 + ".swu"),
        ("x" * 45 + ".swu", "x" * 44 + ".swu"),
        ("..", "firmware.bin"),
        (".hidden", "hidden"),
        ("", "firmware.bin"),
    ],
)
def test_names_of_files_are_plain_and_short_and_keep_their_end(filename, name):
    assert artifact_name(firmware(filename=filename)) == name
