"""What may be said about an image: lengths, dates and numbers. Knows nothing of its bytes."""

from thingstead.features.firmware.errors import InvalidFirmwareError
from thingstead.features.firmware.manifests import MAX_SEQUENCE
from thingstead.features.firmware.model import NewFirmware
from thingstead.features.firmware.versions import check_mcu, check_version, version_key
from thingstead.kernel.names import has_control_characters

MAX_NOTES_CHARACTERS = 10_000
_LAYOUT = str.maketrans("", "", "\t\r\n")


def check_new(new: NewFirmware) -> None:
    """Check what a publisher says about an image.

    Raises:
        InvalidFirmwareError: something cannot be; the text names it and what is expected.
    """
    check_mcu(new.mcu)
    check_version(new.version)
    if new.min_version is not None:
        check_version(new.min_version, "min_version")
        if version_key(new.min_version) > version_key(new.version):
            raise InvalidFirmwareError("min_version: it is newer than the image's own version")
    if new.sequence is not None and not 1 <= new.sequence <= MAX_SEQUENCE:
        raise InvalidFirmwareError(f"sequence: it has to be within 1 and {MAX_SEQUENCE}")
    if new.signature is not None and new.sequence is None:
        raise InvalidFirmwareError("sequence: the one that was signed is missing")
    if new.notes is not None:
        _check_notes(new.notes)
    _check_dates(new.not_before_ms, new.expires_at_ms)


def _check_notes(notes: str) -> None:
    if len(notes) > MAX_NOTES_CHARACTERS:
        raise InvalidFirmwareError(f"notes: at most {MAX_NOTES_CHARACTERS} characters are possible")
    if has_control_characters(notes.translate(_LAYOUT)):
        raise InvalidFirmwareError("notes: they must not contain control characters")


def _check_dates(not_before_ms: int | None, expires_at_ms: int | None) -> None:
    for name, at_ms in (("not_before", not_before_ms), ("expires", expires_at_ms)):
        if at_ms is not None and at_ms < 0:
            raise InvalidFirmwareError(f"{name}: it has to be in 1970 or later")
    if not_before_ms is not None and expires_at_ms is not None and expires_at_ms <= not_before_ms:
        raise InvalidFirmwareError("expires: it has to be later than not_before")
