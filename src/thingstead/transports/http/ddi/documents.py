"""What agents are told, in the words of hawkBit's DDI API.

The smallest agents have room for 1,100 bytes, so that no member is sent that none of them reads.
One deployment is one image: neither rauc-hawkbit-updater nor Zephyr's agent takes a second one.
Actions are whole numbers that hawkBit writes as texts. It must not know who asks.
"""

from thingstead.features.firmware.model import Firmware
from thingstead.transports.http.ddi.links import MD5_ENDING, Links, artifact_name

Document = dict[str, object]

# "Application"; the only kind that Zephyr's agent takes, and nobody minds it.
_PART = "bApp"
# Agents read it as a time of day.
_LONGEST_SLEEP_S = 24 * 3_600 - 1


def sleep_text(seconds: int) -> str:
    """Return the time between two polls as HH:MM:SS, from a second to a second below a day."""
    bounded = min(max(seconds, 1), _LONGEST_SLEEP_S)
    return f"{bounded // 3_600:02}:{bounded // 60 % 60:02}:{bounded % 60:02}"


def poll_document(poll_after_s: int, links: dict[str, str]) -> Document:
    """Return the resource that agents poll; `links` by their relations."""
    return {
        "config": {"polling": {"sleep": sleep_text(poll_after_s)}},
        "_links": {relation: _link(url) for relation, url in links.items()},
    }


def deployment_document(action: int, firmware: Firmware, links: Links) -> Document:
    """Return what is to be installed."""
    handling = "forced" if firmware.is_mandatory else "attempt"
    return {
        "id": str(action),
        "deployment": {
            "download": handling,
            "update": handling,
            "chunks": [
                {
                    "part": _PART,
                    "version": firmware.version,
                    "name": firmware.mcu,
                    "artifacts": [artifact_document(firmware, links)],
                }
            ],
        },
    }


def artifact_document(firmware: Firmware, links: Links) -> Document:
    """Return one file: its digests in lower-case hexadecimal, and where it is.

    The relation is `download-http` over TLS, too: all agents look for it and follow the URL as it
    is, and some look for nothing else.
    """
    url = links.artifact(firmware)
    urls = {"download-http": url, "md5sum-http": url + MD5_ENDING}
    return {
        "filename": artifact_name(firmware),
        "hashes": {
            "sha1": firmware.digests.sha1.hex(),
            "md5": firmware.digests.md5.hex(),
            "sha256": firmware.digests.sha256.hex(),
        },
        "size": firmware.size,
        "_links": {relation: _link(one) for relation, one in urls.items()},
    }


def cancel_document(action: int) -> Document:
    """Return which action is to be stopped."""
    return {"id": str(action), "cancelAction": {"stopId": str(action)}}


def confirmation_document() -> Document:
    """Return that nothing waits for a confirmation, and nothing ever does."""
    return {"autoConfirm": {"active": True}, "_links": {}}


def _link(url: str) -> Document:
    return {"href": url}
