"""The URLs in what agents are told: they follow them as they are given.

Without a public URL they are made of the `Host` that the agent itself called, and told to nobody
else. It must not know what the links lead to.
"""

import re
from dataclasses import dataclass

from thingstead.features.firmware.model import Firmware
from thingstead.transports.http.ddi.auth import Controller
from thingstead.transports.http.refusals import InvalidHeaderError
from thingstead.transports.http.request import Request

# A name or an IPv4 address, or an IPv6 address in brackets; then perhaps a port (RFC 9110, 7.2).
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")
# Older agents on Zephyr have room for 199 characters of a link from the tenant on, and for 1,099
# bytes of a whole answer.
_LONGEST_NAME = 48
MD5_ENDING = ".MD5SUM"


def base_url(request: Request, public_url: str | None) -> str:
    """Return the URL under which the agent reaches the server, without a slash at its end.

    Raises:
        InvalidHeaderError: `Host` is needed for it and cannot be one.
    """
    if public_url is not None:
        return public_url.rstrip("/")
    hosts = request.headers(b"host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise InvalidHeaderError("Host: expected the name or address of this server")
    return f"{request.scheme}://{hosts[0].decode('ascii')}"


def artifact_name(firmware: Firmware) -> str:
    """Return the image's file name as agents see it: plain characters, the end of it kept.

    The end matters: SWUpdate takes files that end with `.swu` only.
    """
    name = _UNUSUAL.sub("_", firmware.filename)[-_LONGEST_NAME:].lstrip(".")
    return name or "firmware.bin"


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses of one controller's resources."""

    base: str
    controller: Controller

    @property
    def root(self) -> str:
        """The resource that the agent polls.

        hawkBit tells the names of tenants in capital letters, and agents on Zephyr ask for
        `/default/…` but look for `/DEFAULT/…` in what they are told.
        """
        return f"{self.base}/{self.controller.tenant.upper()}/controller/v1/{self.controller.id}"

    @property
    def config_data(self) -> str:
        """Where the agent tells its attributes."""
        return f"{self.root}/configData"

    def deployment(self, action: int) -> str:
        """Return where the agent finds what to install."""
        return f"{self.root}/deploymentBase/{action}"

    def installed(self, action: int) -> str:
        """Return where the agent finds what it installed last."""
        return f"{self.root}/installedBase/{action}"

    def cancellation(self, action: int) -> str:
        """Return where the agent finds what to stop.

        Newer agents on Zephyr leave the first digit of the number out, because they count the
        end mark of `cancelAction/` with it; so there is one to leave out.
        """
        return f"{self.root}/cancelAction/0{action}"

    def artifact(self, firmware: Firmware) -> str:
        """Return where the image is."""
        return f"{self.root}/softwaremodules/{firmware.number}/artifacts/{artifact_name(firmware)}"
