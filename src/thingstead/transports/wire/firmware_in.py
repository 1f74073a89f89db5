"""What a thing says about its firmware: which version runs, and how an update goes."""

import re
from collections.abc import Mapping

from thingstead.features.firmware.errors import InvalidStatusError
from thingstead.features.firmware.model import NO_REPORT, Report
from thingstead.features.firmware.status import Status, parse_status, printable
from thingstead.kernel.ids import FirmwareId

_MOST_NAME_CHARACTERS = 64
_MD5 = re.compile(r"[0-9a-f]{32}")


def report_of(version: str | None, mcu: str | None, md5: str | None = None) -> Report:
    """Return what a thing says that it runs; what is empty, or no MD5, counts as not said."""
    if not version and not mcu and not md5:
        return NO_REPORT
    digest = (md5 or "").strip().lower()
    return Report(
        mcu=_name(mcu),
        version=_name(version),
        md5=digest if _MD5.fullmatch(digest) else None,
    )


def status_in(body: object) -> tuple[FirmwareId, Status]:
    """Return which image a body speaks of, and what it says about the update.

    `{"id","state"|"execution","result"?,"progress"?,"error"?,"log"?}`; `error` is a text, `log` a
    text or a list of texts, and both together are cut to what a timeline holds.

    Raises:
        InvalidStatusError: a member is missing or cannot be understood.
    """
    if not isinstance(body, Mapping):
        raise InvalidStatusError("an object is expected")
    firmware_id = body.get("id")
    if not isinstance(firmware_id, str):
        raise InvalidStatusError("id: a text is expected")
    state = body.get("state")
    status = parse_status(
        body.get("execution") if state is None else state,
        body.get("result"),
        body.get("progress"),
        _details(body.get("error"), body.get("log")),
    )
    return FirmwareId(firmware_id), status


def _details(error: object, log: object) -> object:
    if error is None:
        return log
    if not isinstance(error, str):
        raise InvalidStatusError("error: a text is expected")
    if log is None:
        return error
    return [error, *log] if isinstance(log, list) else [error, log]


def _name(text: str | None) -> str | None:
    return printable(text, _MOST_NAME_CHARACTERS) or None if text else None
