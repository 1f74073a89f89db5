"""What agents of hawkBit are told, as small as the smallest of them needs it."""

import json

import pytest

from doubles.hawkbit import THING, firmware, links
from thingstead.transports.http.ddi.documents import (
    cancel_document,
    deployment_document,
    poll_document,
    sleep_text,
)

# hawkbit.c of Zephyr: RESPONSE_BUFFER_SIZE, and the end mark that it writes behind the text.
ROOM_OF_ZEPHYR = 1_100 - 1
BOARD = "nrf9160dk_nrf9160_ns"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "00:00:01"),
        (0, "00:00:01"),
        (1, "00:00:01"),
        (59, "00:00:59"),
        (900, "00:15:00"),
        (3_661, "01:01:01"),
        (86_399, "23:59:59"),
        (86_400, "23:59:59"),
    ],
)
def test_the_time_between_polls_is_a_time_of_day(seconds, text):
    assert sleep_text(seconds) == text


def test_polling_tells_the_time_and_the_links():
    told = poll_document(
        900, {"deploymentBase": "http://server/a", "configData": "http://server/b"}
    )

    assert told == {
        "config": {"polling": {"sleep": "00:15:00"}},
        "_links": {
            "deploymentBase": {"href": "http://server/a"},
            "configData": {"href": "http://server/b"},
        },
    }


def test_a_deployment_is_one_chunk_with_one_file():
    told = deployment_document(7, firmware(), links())
    url = links().artifact(firmware())

    assert told == {
        "id": "7",
        "deployment": {
            "download": "attempt",
            "update": "attempt",
            "chunks": [
                {
                    "part": "bApp",
                    "version": "1.3.0",
                    "name": "main",
                    "artifacts": [
                        {
                            "filename": "station-1.3.0.swu",
                            "hashes": {"sha1": "cd" * 20, "md5": "ef" * 16, "sha256": "ab" * 32},
                            "size": 123_456,
                            "_links": {
                                "download-http": {"href": url},
                                "md5sum-http": {"href": f"{url}.MD5SUM"},
                            },
                        }
                    ],
                }
            ],
        },
    }


def test_what_is_mandatory_is_forced():
    deployment = deployment_document(7, firmware(is_mandatory=True), links())["deployment"]

    assert (deployment["download"], deployment["update"]) == ("forced", "forced")


def test_what_is_to_be_stopped_is_named_twice():
    assert cancel_document(7) == {"id": "7", "cancelAction": {"stopId": "7"}}


def test_the_largest_deployment_fits_into_the_smallest_agent():
    largest = firmware(
        number=9_999_999,
        size=2**30,
        version="v" * 64,
        mcu="m" * 64,
        filename="f" * 100,
        is_mandatory=True,
    )
    zephyrs = links("https://iot.example.org:8443", controller_id=f"{BOARD}-{THING.id[:32]}")

    told = json.dumps(deployment_document(2**31 - 1, largest, zephyrs), separators=(",", ":"))

    assert len(told) <= ROOM_OF_ZEPHYR
